//! The guard round every process that a test starts.
//!
//! Three nets: the test ends it and looks at how it exited; dropping the guard (a failed or
//! panicking test) ends it and its process group; and the kernel ends it when the test program
//! itself is killed.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process, kill_process_group};

use crate::Outcome;
use crate::wait::until;

const GRACE_ON_DROP: Duration = Duration::from_secs(2);

/// A running child process, ended with its process group when this is dropped.
pub struct Process {
    name: String,
    child: Child,
    exited: Option<ExitStatus>,
}

type Spawned = io::Result<Child>;

/// Where all processes are spawned. The kernel's parent-death signal is tied to the *thread* that
/// spawned, so a test's own thread would take shared processes with it when it ends.
fn spawner() -> &'static Sender<(Command, Sender<Spawned>)> {
    static SPAWNER: OnceLock<Sender<(Command, Sender<Spawned>)>> = OnceLock::new();
    SPAWNER.get_or_init(|| {
        let (sender, jobs) = channel::<(Command, Sender<Spawned>)>();
        std::thread::spawn(move || {
            for (mut command, reply) in jobs {
                // Nobody left to tell is nobody left to care.
                let _ = reply.send(command.spawn());
            }
        });
        sender
    })
}

/// A command for `program` that the kernel ends with SIGTERM when this test program dies.
///
/// setpriv (util-linux) asks for the signal and then becomes the program, under the same pid.
pub fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "--"]).arg(program).process_group(0);
    command
}

fn pid(id: u32) -> Outcome<Pid> {
    Pid::from_raw(i32::try_from(id)?).ok_or_else(|| format!("{id} is no process id").into())
}

/// Sends a signal to a process that the test started, such as a worker of its nginx.
pub fn signal(id: u32, signal: Signal) -> Outcome {
    Ok(kill_process(pid(id)?, signal)?)
}

/// The command line that a process shows, which nginx changes to tell what it does; empty if it
/// has ended.
pub fn title(id: u32) -> String {
    let bytes = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Process {
    /// Starts what [`command`] has prepared. `name` is for error texts.
    pub fn spawn(name: &str, command: Command) -> Outcome<Self> {
        let (reply, spawned) = channel();
        spawner().send((command, reply))?;
        let child = spawned.recv()?.map_err(|error| format!("cannot start {name}: {error}"))?;
        Ok(Self { name: name.to_owned(), child, exited: None })
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The child's standard input, once, if it was piped.
    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// The child's standard output, once, if it was piped.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    fn pid(&self) -> Outcome<Pid> {
        pid(self.child.id())
    }

    /// Sends a signal to the process itself, not to its children.
    pub fn signal(&self, signal: Signal) -> Outcome {
        self::signal(self.id(), signal)
    }

    /// How it exited, or nothing while it runs.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        if self.exited.is_none() {
            self.exited = self.child.try_wait().ok().flatten();
        }
        self.exited
    }

    /// Waits for the exit; an error if it still runs after `patience`.
    pub fn wait(&mut self, patience: Duration) -> Outcome<ExitStatus> {
        let what = format!("{} to exit", self.name);
        until(patience, &what, || self.exit_status())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let Ok(group) = self.pid() else { return };
        if self.exit_status().is_none() {
            let _ = kill_process_group(group, Signal::TERM);
            if self.wait(GRACE_ON_DROP).is_err() {
                let _ = kill_process_group(group, Signal::KILL);
                let _ = self.child.wait();
            }
        }
        // Children that outlived it: a worker whose master was killed does not notice by itself.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;
    use crate::wait::PATIENCE;

    fn runs(pid: u32) -> bool {
        std::path::Path::new(&format!("/proc/{pid}")).exists()
    }

    #[test]
    fn dropping_the_guard_ends_the_process_and_its_children() {
        let mut shell = command("sh");
        shell.args(["-c", "sleep 600 & echo $!; wait"]).stdout(Stdio::piped());
        let mut process = Process::spawn("sh", shell).unwrap();
        let mut line = String::new();
        let mut output = io::BufReader::new(process.take_stdout().unwrap());
        io::BufRead::read_line(&mut output, &mut line).unwrap();
        let child: u32 = line.trim().parse().unwrap();
        assert!(runs(process.id()) && runs(child));

        let parent = process.id();
        drop(process);
        assert!(!runs(parent));
        // An orphan is reaped by init, or stays a zombie where nobody is init.
        let ended = || {
            let status = std::fs::read_to_string(format!("/proc/{child}/stat")).ok();
            status.is_none_or(|text| text.contains(") Z ")).then_some(())
        };
        until(PATIENCE, "the child to end", ended).unwrap();
    }

    #[test]
    fn a_process_that_ignores_the_polite_signal_is_killed() {
        let mut shell = command("sh");
        shell.args(["-c", "trap '' TERM; echo ready; while :; do read x; done"]);
        let mut process = Process::spawn("sh", {
            shell.stdin(Stdio::piped()).stdout(Stdio::piped());
            shell
        })
        .unwrap();
        let input = process.take_stdin();
        let mut line = String::new();
        let mut output = io::BufReader::new(process.take_stdout().unwrap());
        io::BufRead::read_line(&mut output, &mut line).unwrap();
        let pid = process.id();
        drop(process);
        assert!(!runs(pid));
        drop(input);
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let mut process = Process::spawn("ghost", command("/no/such/program")).unwrap();
        assert_eq!(process.wait(PATIENCE).unwrap().code(), Some(127));
    }
}
