use std::path::Path;

use super::*;
use crate::consumers::ConsumersBlock;
use crate::directive::Words;

const BOB: &str = r#"{"consumers":[{"username":"bob"}]}"#;
const ALICE: &str = r#"{"consumers":[{"username":"alice"}]}"#;
const BOTH: &str = r#"{"consumers":[{"username":"bob"},{"username":"alice"}]}"#;

struct Scene {
    folder: tempfile::TempDir,
    watcher: Watcher,
    now_ms: u64,
}

impl Scene {
    fn new(watch: &str, required: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("f"), BOB).unwrap();
        let mut block = ConsumersBlock::new("s", Place::default()).unwrap();
        let watch = format!("watch={watch}");
        let arguments = ["f", &*watch];
        block.line(&Words::new("file", &arguments, Place::default(), folder.path())).unwrap();
        let plan = Arc::new(block.compile(&|_: &str| None).unwrap());
        let loaded = plan.load().unwrap();
        let required = required.iter().map(|name| (*name).to_owned()).collect();
        let watcher = Watcher::new(plan, &loaded, required, 1_000);
        Self { folder, watcher, now_ms: 1_000 }
    }

    fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("f")
    }

    /// Puts a new file in the old one's place, as a careful writer does.
    fn replace(&self, text: &str) {
        let new = self.folder.path().join("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.file()).unwrap();
    }

    /// All that happens within one interval, polled whenever the watcher asks for it.
    fn interval(&mut self) -> Vec<String> {
        let end = self.now_ms + 1_000;
        let mut events = Vec::new();
        while let Some(next) = self.watcher.next_ms().filter(|next| *next <= end) {
            match self.watcher.poll(next) {
                Poll::Unchanged => {}
                Poll::Swap(set) => {
                    events.push(set.consumers().map(|it| it.name()).collect::<Vec<_>>().join(" "));
                }
                Poll::Bad(reason) => events.push(format!("bad: {reason}")),
            }
        }
        self.now_ms = end;
        events
    }
}

fn is_bad(events: &[String], reason: &str) -> bool {
    matches!(events, [event] if event.starts_with("bad: ") && event.contains(reason))
}

#[test]
fn a_change_is_in_force_within_the_interval_and_once() {
    let mut scene = Scene::new("1s", &[]);
    assert_eq!(scene.interval(), [""; 0]);
    scene.replace(ALICE);
    assert_eq!(scene.interval(), ["alice"]);
    assert_eq!(scene.interval(), [""; 0]);
    // in place, of the same size
    std::fs::write(scene.file(), ALICE.replace("alice", "carol")).unwrap();
    assert_eq!(scene.interval(), ["carol"]);
}

#[test]
fn nothing_is_looked_at_before_its_time() {
    let mut scene = Scene::new("1s", &[]);
    scene.replace(ALICE);
    assert!(matches!(scene.watcher.poll(1_499), Poll::Unchanged));
    assert_eq!(scene.watcher.next_ms(), Some(1_500));
    assert!(matches!(scene.watcher.poll(1_500), Poll::Unchanged));
    assert_eq!(scene.watcher.next_ms(), Some(1_750));
    assert!(matches!(scene.watcher.poll(1_749), Poll::Unchanged));
    assert!(matches!(scene.watcher.poll(1_750), Poll::Swap(_)));
}

#[test]
fn a_file_that_is_not_watched_stays_as_it_was() {
    let mut scene = Scene::new("off", &[]);
    scene.replace(ALICE);
    assert_eq!(scene.watcher.next_ms(), None);
    assert!(matches!(scene.watcher.poll(u64::MAX), Poll::Unchanged));
}

#[test]
fn a_bad_version_is_said_once_and_a_good_one_ends_it() {
    let mut scene = Scene::new("1s", &[]);
    for (bad, reason) in
        [("", "it is empty"), (&BOTH[..BOTH.len() - 5], "line 1: the file ends too early")]
    {
        std::fs::write(scene.file(), bad).unwrap();
        let events = scene.interval();
        assert!(is_bad(&events, reason), "{events:?}");
        assert!(scene.watcher.degraded().unwrap().contains(reason));
        assert_eq!(scene.interval(), [""; 0]);
    }
    std::fs::remove_file(scene.file()).unwrap();
    assert!(is_bad(&scene.interval(), "No such file"));
    scene.replace(BOTH);
    assert_eq!(scene.interval(), ["bob alice"]);
    assert_eq!(scene.watcher.degraded(), None);
}

#[test]
fn a_file_that_is_being_written_is_left_alone() {
    let mut scene = Scene::new("1s", &[]);
    // YAML: every prefix of it is a good file
    let lines = ["consumers:\n- username: bob\n", "- username: alice\n", "- username: carol\n"];
    let mut written = String::new();
    for (now_ms, line) in [1_500, 1_750, 2_000].into_iter().zip(lines) {
        written.push_str(line);
        std::fs::write(scene.file(), &written).unwrap();
        assert_eq!(scene.watcher.next_ms(), Some(now_ms));
        assert!(matches!(scene.watcher.poll(now_ms), Poll::Unchanged), "{now_ms}");
    }
    scene.now_ms = 2_000;
    assert_eq!(scene.interval(), ["bob alice carol"]);
}

#[test]
fn a_version_without_the_anonymous_consumer_is_bad() {
    let mut scene = Scene::new("1s", &["bob"]);
    scene.replace(ALICE);
    let events = scene.interval();
    assert!(is_bad(&events, "it lacks the consumer \"bob\""), "{events:?}");
    scene.replace(BOTH);
    assert_eq!(scene.interval(), ["bob alice"]);
}

#[test]
fn the_same_version_has_the_same_hash_in_every_process() {
    let mut scene = Scene::new("1s", &[]);
    let other = |scene: &Scene| {
        let loaded = scene.watcher.plan.load().unwrap();
        Watcher::new(scene.watcher.plan.clone(), &loaded, Vec::new(), 0).stamp_hash()
    };
    let first = scene.watcher.stamp_hash();
    assert_eq!(first, other(&scene));
    scene.replace("bad");
    assert!(is_bad(&scene.interval(), "it must be"));
    assert_ne!(first, scene.watcher.stamp_hash());
    scene.replace(BOTH);
    scene.interval();
    assert_eq!(scene.watcher.stamp_hash(), other(&scene));
}

#[test]
fn what_is_no_file_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let error = read_whole(folder.path()).unwrap_err();
    assert!(error.to_string().contains("it is not a regular file"));
    assert_eq!(Stamp::of(Path::new("/nonexistent/f")), Stamp::Missing);
}
