//! The built program as a child process: started in an empty environment and a folder of its own,
//! told from its own lines where it listens, and ended with the test. Every wait has a deadline.

use std::fs::File;
use std::net::SocketAddr;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// Far above what anything here takes, so that only a hang meets it.
pub(crate) const LONG: Duration = Duration::from_secs(20);

const PROGRAM: &str = env!("CARGO_BIN_EXE_afterbay");

/// A started program.
pub(crate) struct Daemon {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    _home: TempDir,
}

/// What a program that ended by itself left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Daemon {
    /// Starts `afterbay` with these arguments and variables, and with HOME in a new folder.
    pub(crate) fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut program = Command::new(PROGRAM);
        program.args(arguments);
        Self::run(program, variables)
    }

    /// As [`Daemon::start`], with at most this many open files.
    pub(crate) fn start_with_descriptors(most: u32, arguments: &[&str]) -> Self {
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(format!("ulimit -n {most} && exec \"$0\" \"$@\""));
        shell.arg(PROGRAM).args(arguments);
        Self::run(shell, &[])
    }

    /// As [`Daemon::start`], with its log lines in `log`: a pipe that nobody reads would stop a
    /// talkative program.
    pub(crate) fn start_with_log(
        log: File,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        let mut program = Command::new(PROGRAM);
        program.args(arguments);
        Self::run_with(program, variables, Stdio::from(log))
    }

    fn run(program: Command, variables: &[(&str, &str)]) -> Self {
        Self::run_with(program, variables, Stdio::piped())
    }

    fn run_with(mut program: Command, variables: &[(&str, &str)], log: Stdio) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut child = program
            .env_clear()
            .env("HOME", home.path())
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines, _home: home }
    }

    /// Waits for both address lines: the clients' and the operators'.
    pub(crate) async fn addresses(&mut self) -> (SocketAddr, SocketAddr) {
        let clients = self.line("listening on http://").await;
        let operators = self.line("admin on http://").await;
        (clients, operators)
    }

    /// Waits for one line that begins with `start` and ends with an address.
    pub(crate) async fn line(&mut self, start: &str) -> SocketAddr {
        let line = self.text_line().await;
        let address = line.strip_prefix(start).unwrap_or_else(|| panic!("{line:?}"));
        address.parse().unwrap()
    }

    /// Waits for the next line, whatever it says.
    pub(crate) async fn text_line(&mut self) -> String {
        let line = timeout(LONG, self.lines.next_line()).await.expect("a line in time").unwrap();
        line.expect("a line before the end")
    }

    /// Waits for a log line that holds `text`.
    pub(crate) async fn logs(&mut self, text: &str) {
        let pipe = self.child.stderr.take().expect("the log is read by one wait");
        let mut lines = BufReader::new(pipe).lines();
        let seen = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if line.contains(text) {
                    return;
                }
            }
            panic!("the log ended without {text:?}");
        };
        timeout(LONG, seen).await.expect("a log line in time");
        self.child.stderr = Some(lines.into_inner().into_inner());
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id().expect("still running")).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Waits for its end.
    pub(crate) async fn exit(&mut self) -> ExitStatus {
        timeout(LONG, self.child.wait()).await.expect("an end in time").unwrap()
    }

    /// Waits for its end and takes what it wrote.
    pub(crate) async fn ended(mut self) -> Ended {
        let mut stderr = String::new();
        if let Some(mut pipe) = self.child.stderr.take() {
            timeout(LONG, pipe.read_to_string(&mut stderr)).await.expect("an end in time").unwrap();
        }
        let mut stdout = String::new();
        while let Some(line) = self.lines.next_line().await.unwrap() {
            stdout.push_str(&line);
            stdout.push('\n');
        }
        Ended { code: self.exit().await.code(), stdout, stderr }
    }
}
