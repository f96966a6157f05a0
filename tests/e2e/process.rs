//! A child process that cannot outlive its test: it leads a process group of its own, which is
//! killed by id when the test says so or when the value is dropped, also by a panic. Should the
//! test itself be killed, the kernel ends the child (`setpriv --pdeathsig`).

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};

use rustix::process::{Pid, Signal, kill_process_group};

/// A running child and its group.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts `program`; `dress` adds arguments, environment and pipes. To be called on the
    /// test's own thread: the kernel ends the child when the thread that started it ends.
    pub(crate) fn start(program: &Path, dress: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(program).process_group(0);
        dress(&mut command);
        let child = command.spawn().expect("start a process through setpriv");
        Self { child, ended: None }
    }

    /// Its process id; `setpriv` has become the program.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("ask for the child's end");
        }
        self.ended
    }

    /// The signal that ended it, if one has.
    pub(crate) fn killed_by(&mut self) -> Option<i32> {
        self.ended().and_then(|status| status.signal())
    }

    /// `kill -9`, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::KILL);
        if self.ended.is_none() {
            self.ended = Some(self.child.wait().expect("wait for a killed child"));
        }
    }

    /// Sends `signal` to the group, unless the child has ended: its id may be another's by then.
    pub(crate) fn signal(&mut self, signal: Signal) {
        if self.ended().is_some() {
            return;
        }
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.expect("a child has a positive id");
        // The child may end between the look and the signal; it is not reaped, so the id is ours.
        let _gone = kill_process_group(pid, signal);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
