use std::path::Path;

use super::*;
use crate::consumers::exchange::tests::{SharedHost, process, words};
use crate::consumers::{ConsumerEntry, ConsumersBlock};
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
                    events.push(
                        set.consumers().map(|it| it.name().as_str()).collect::<Vec<_>>().join(" "),
                    );
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
fn a_fault_is_the_same_in_every_process_and_another_one_is_not() {
    let mut scene = Scene::new("1s", &[]);
    let first = Loaded { set: carol(), stamps: vec![Stamp::Missing] };
    let mut faults = Vec::new();
    for text in ["bad", "consumers: 1", "bad"] {
        scene.replace(text);
        assert!(is_bad(&scene.interval(), "it must be"));
        let mut other = Watcher::new(Arc::clone(&scene.watcher.plan), &first, Vec::new(), 0);
        assert!(matches!(other.begin(0), Poll::Bad(_)));
        assert_eq!(scene.watcher.fault(), other.fault());
        assert!(!faults.contains(&other.fault()));
        faults.push(other.fault());
    }
}

/// A set that no file holds: whoever has it took it from another process.
fn carol() -> Arc<ConsumerSet> {
    let mut builder = SetBuilder::new("s");
    let username = Some("carol".into());
    builder.add(&ConsumerEntry { username, ..Default::default() }, false).unwrap();
    Arc::new(builder.finish().unwrap())
}

#[test]
fn a_version_that_another_process_is_making_is_waited_for_and_taken() {
    let (host, words) = (SharedHost::default(), words());
    let mut scene = Scene::new("1s", &[]);
    let plan = Arc::clone(&scene.watcher.plan);
    let loaded = plan.load().unwrap();
    let late = Watcher::new(Arc::clone(&plan), &loaded, vec!["bob".to_owned()], 1_000);
    let mut late = late.with_exchange(process(2, &host, words));
    scene.watcher = scene.watcher.with_exchange(process(1, &host, words));
    scene.replace(ALICE);
    let version = plan.version(&[Stamp::of(&scene.file())]);
    let mut maker = process(9, &host, words);
    assert!(matches!(maker.turn("s", version), Turn::Make));
    for now_ms in [1_500, 1_750, 1_770] {
        assert_eq!(scene.watcher.next_ms(), Some(now_ms));
        assert!(matches!(scene.watcher.poll(now_ms), Poll::Unchanged), "{now_ms}");
    }
    maker.made(version, carol());
    let Poll::Swap(set) = scene.watcher.poll(1_790) else { panic!("not taken") };
    assert!(set.by_username("carol").is_some());
    assert!(matches!(scene.watcher.poll(2_290), Poll::Unchanged));
    // what is taken must have everybody as well
    assert!(matches!(late.poll(1_500), Poll::Unchanged));
    let Poll::Bad(reason) = late.poll(1_750) else { panic!("not bad") };
    assert!(reason.contains("it lacks the consumer \"bob\""), "{reason}");
}

/// A process that starts later, with what the master has read.
fn late(scene: &Scene, first: &Loaded, required: &[&str]) -> Watcher {
    let required = required.iter().map(|name| (*name).to_owned()).collect();
    Watcher::new(Arc::clone(&scene.watcher.plan), first, required, scene.now_ms)
}

#[test]
fn a_process_that_starts_decides_by_what_is_in_force_elsewhere() {
    let (host, words) = (SharedHost::default(), words());
    let mut scene = Scene::new("1s", &[]);
    let first = scene.watcher.plan.load().unwrap();
    scene.watcher = scene.watcher.with_exchange(process(1, &host, words));
    scene.replace(ALICE);
    assert_eq!(scene.interval(), ["alice"]);
    let begin = |scene: &Scene, required: &[&str]| {
        let late = late(scene, &first, required).with_exchange(process(2, &host, words));
        (late.next_ms(), late)
    };
    // the same file, a broken one, and none at all
    for text in [ALICE, "bad", ""] {
        if text.is_empty() {
            std::fs::remove_file(scene.file()).unwrap();
        } else if text != ALICE {
            scene.replace(text);
        }
        let (next_ms, mut late) = begin(&scene, &[]);
        let Poll::Swap(set) = late.begin(scene.now_ms) else { panic!("{text:?} is not taken") };
        assert!(set.by_username("alice").is_some() && late.has_begun());
        assert_eq!(late.next_ms(), next_ms);
    }
    // a fault of the file is found later on, and what was taken stays
    let (_, mut late) = begin(&scene, &[]);
    assert!(matches!(late.begin(scene.now_ms), Poll::Swap(_)));
    scene.watcher = late;
    assert!(is_bad(&scene.interval(), "No such file"));
    // what lacks the anonymous consumer is not taken
    let (_, mut late) = begin(&scene, &["bob"]);
    assert!(matches!(late.begin(scene.now_ms), Poll::Unchanged));
}

#[test]
fn a_process_that_starts_leaves_a_change_alone_that_is_in_force_nowhere() {
    let (host, words) = (SharedHost::default(), words());
    let mut scene = Scene::new("1s", &[]);
    let first = scene.watcher.plan.load().unwrap();
    std::fs::write(scene.file(), "consumers:\n- username: half\n").unwrap();
    let mut late = late(&scene, &first, &[]).with_exchange(process(2, &host, words));
    assert!(matches!(late.begin(1_000), Poll::Unchanged));
    assert!(late.has_begun());
    assert_eq!(late.next_ms(), Some(1_250));
    std::fs::write(scene.file(), ALICE).unwrap();
    scene.watcher = late;
    assert_eq!(scene.interval(), ["alice"]);
}

#[test]
fn a_process_that_starts_alone_reads_a_changed_file_at_once() {
    let scene = Scene::new("1s", &[]);
    let first = scene.watcher.plan.load().unwrap();
    let mut unchanged = late(&scene, &first, &[]);
    assert!(matches!(unchanged.begin(1_000), Poll::Unchanged));
    assert!(unchanged.has_begun());
    scene.replace(ALICE);
    let mut changed = late(&scene, &first, &[]);
    let Poll::Swap(set) = changed.begin(1_000) else { panic!("not read") };
    assert!(set.by_username("alice").is_some() && changed.has_begun());
}

#[test]
fn a_process_that_starts_waits_for_a_version_in_the_making() {
    let (host, words) = (SharedHost::default(), words());
    let scene = Scene::new("1s", &[]);
    let first = scene.watcher.plan.load().unwrap();
    let mut maker = process(9, &host, words);
    host.lock().unwrap().shares_nothing = true;
    assert!(matches!(maker.turn("s", 1), Turn::Make));
    maker.made(1, carol());
    host.lock().unwrap().shares_nothing = false;
    scene.replace(ALICE);
    let version = scene.watcher.plan.version(&[Stamp::of(&scene.file())]);
    assert!(matches!(maker.turn("s", version), Turn::Make));
    let mut late = late(&scene, &first, &[]).with_exchange(process(2, &host, words));
    assert!(matches!(late.begin(1_000), Poll::Unchanged));
    assert!(!late.has_begun());
    maker.made(version, carol());
    assert!(matches!(late.poll(1_020), Poll::Swap(_)));
    assert!(late.has_begun());
}

#[test]
fn a_file_that_could_not_be_read_is_tried_again_though_it_is_the_same() {
    // permissions and descriptors come back without a trace in inode, size and time
    for (may_pass, expected) in [(true, &["alice"][..]), (false, &[])] {
        let mut scene = Scene::new("1s", &[]);
        scene.replace(ALICE);
        let version = scene.watcher.plan.version(&[Stamp::of(&scene.file())]);
        let fault = || Err(("cannot read".to_owned(), may_pass));
        assert!(matches!(scene.watcher.settle(version, fault()), Poll::Bad(_)));
        assert!(matches!(scene.watcher.settle(version, fault()), Poll::Unchanged));
        assert_eq!(scene.interval(), expected, "{may_pass}");
    }
    let scene = Scene::new("1s", &[]);
    scene.replace("bad");
    assert!(!scene.watcher.plan.load().unwrap_err().may_pass);
    std::fs::remove_file(scene.file()).unwrap();
    assert!(scene.watcher.plan.load().unwrap_err().may_pass);
}

#[test]
fn a_process_that_never_ends_its_turn_is_not_waited_for_for_ever() {
    let (host, words) = (SharedHost::default(), words());
    let mut scene = Scene::new("1s", &[]);
    scene.watcher = scene.watcher.with_exchange(process(1, &host, words));
    scene.replace(ALICE);
    let version = scene.watcher.plan.version(&[Stamp::of(&scene.file())]);
    assert!(matches!(process(9, &host, words).turn("s", version), Turn::Make));
    let mut events = Vec::new();
    while events.is_empty() && scene.now_ms < 100_000 {
        events = scene.interval();
    }
    assert_eq!((events, scene.now_ms), (vec!["alice".to_owned()], 62_000));
}

#[test]
fn another_configuration_makes_other_versions_of_the_same_files() {
    let (one, other) = (Scene::new("1s", &[]), Scene::new("1s", &[]));
    let stamps = [Stamp::Missing];
    assert_ne!(one.watcher.plan.version(&stamps), other.watcher.plan.version(&stamps));
}

#[test]
fn a_fifo_is_refused_and_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    let error = read_whole(&path).unwrap_err();
    assert_eq!(error.to_string(), "it is not a regular file");
}

#[test]
fn what_is_no_file_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let error = read_whole(folder.path()).unwrap_err();
    assert!(error.to_string().contains("it is not a regular file"));
    assert_eq!(Stamp::of(Path::new("/nonexistent/f")), Stamp::Missing);
}
