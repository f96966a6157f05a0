//! The daemon as a process of its own: started, killed, and started again on the port
//! and the folder it had.
//!
//! Whatever it wrote on stderr over all its lives is checked when the test ends: no panic, and
//! none of the credentials that passed through it.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use super::http::Request;
use super::port;
use super::process::Process;
use super::wait;

/// It opens its log and binds two ports: far below this even while the machine is busy.
const START_LIMIT: Duration = Duration::from_secs(30);

/// Beyond any grace that a test gives it.
const EXIT_LIMIT: Duration = Duration::from_secs(60);

/// What stands behind the daemon.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Kind {
    /// A real `opencode` server.
    #[default]
    Opencode,
    /// A box of the sandbox's kind.
    Tangle,
}

impl Kind {
    const fn flags(self) -> [&'static str; 2] {
        match self {
            Self::Opencode => ["--kind", "opencode"],
            Self::Tangle => ["--kind", "tangle"],
        }
    }
}

/// How soon the daemon gives up on a box.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Patience {
    /// Late enough for a box on a busy machine; a prompt that never arrives is waited for in full.
    #[default]
    Patient,
    /// Soon, for boxes that are gone.
    Hasty,
    /// As the program is shipped.
    AsShipped,
    /// For many turns at once on a box whose polls have a budget: each is looked at seldom.
    Crowded,
}

impl Patience {
    fn flags(self) -> Vec<&'static str> {
        let (start, unreachable, idle) = match self {
            Self::Patient => ("15s", "90s", "15s"),
            Self::Hasty => ("15s", "5s", "4s"),
            Self::AsShipped => return Vec::new(),
            Self::Crowded => ("15s", "90s", "4s"),
        };
        vec!["--start-deadline", start, "--unreachable-deadline", unreachable, "--idle-grace", idle]
    }
}

/// How often the daemon asks the box.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Pace {
    /// As fast as a test can use.
    #[default]
    Quick,
    /// As the program is shipped.
    AsShipped,
}

impl Pace {
    const fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Quick => &["--poll-fast", "50ms", "--poll-slow", "200ms"],
            Self::AsShipped => &[],
        }
    }
}

/// What the daemon is told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    /// What it stands before.
    pub(crate) kind: Kind,
    /// How soon it gives up on a box.
    pub(crate) patience: Patience,
    /// How often it asks the box.
    pub(crate) pace: Pace,
    /// Further flags, as `["--heartbeat", "1s"]`.
    pub(crate) flags: Vec<&'static str>,
    /// Variables.
    pub(crate) environment: Vec<(&'static str, PathBuf)>,
    /// What must never stand in its log lines.
    pub(crate) canaries: Vec<String>,
    /// Its data folder, if not one beside its log lines.
    pub(crate) data: Option<PathBuf>,
    /// Sockets that it is given and that outlive it; else it binds its own.
    pub(crate) sockets: Option<Arc<Sockets>>,
}

/// Listening sockets, as a service manager holds them.
#[derive(Debug)]
pub(crate) struct Sockets {
    pub(crate) clients: TcpListener,
    pub(crate) admin: TcpListener,
}

/// Puts the sockets that come as stdin and stderr where they are looked for, and the log lines into
/// the file that the first argument names; the process stays the same.
const HAND_OVER: &str = "exec 3<&0 4<&2 </dev/null 2>>\"$1\"; shift; \
    export LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=clients:admin; exec \"$@\"";

/// The daemon, running or dead.
#[derive(Debug)]
pub(crate) struct Daemon {
    process: Option<Process>,
    box_url: String,
    settings: Settings,
    folder: TempDir,
    clients: SocketAddr,
    admin: SocketAddr,
    lives: usize,
}

impl Daemon {
    /// Starts it in front of `box_url`; resolves when it serves.
    pub(crate) async fn start(box_url: String, settings: Settings) -> Self {
        let folder = tempfile::tempdir().expect("make the daemon's folder");
        let ours = || SocketAddr::from(([127, 0, 0, 1], port::lasting()));
        let (clients, admin, lives) = (ours(), ours(), 0);
        let mut daemon = Self { process: None, box_url, settings, folder, clients, admin, lives };
        daemon.restart().await;
        daemon
    }

    /// Where clients connect.
    pub(crate) fn address(&self) -> SocketAddr {
        self.clients
    }

    /// Where operators connect.
    pub(crate) fn operators(&self) -> SocketAddr {
        self.admin
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        drop(self.process.take());
    }

    /// Sends it `signal`.
    pub(crate) fn signal(&mut self, signal: Signal) {
        self.process.as_mut().expect("the daemon was started").signal(signal);
    }

    /// Resolves with its exit code when it has ended by itself; `None` if a signal ended it.
    pub(crate) async fn exit_code(&mut self) -> Option<i32> {
        let mut process = self.process.take().expect("the daemon was started");
        let ended =
            wait::until(EXIT_LIMIT, "the daemon ends", || std::future::ready(process.ended()));
        ended.await.code()
    }

    /// Resolves when it was killed by something else; panics if it ended in another way.
    pub(crate) async fn killed(&mut self) {
        let process = self.process.as_mut().expect("the daemon was started");
        let mut looks = tokio::time::interval(Duration::from_millis(5));
        let killed = wait::within(Duration::from_secs(30), "the daemon is killed", async {
            loop {
                looks.tick().await;
                if process.ended().is_some() {
                    return process.killed_by();
                }
            }
        });
        assert_eq!(killed.await, Some(9), "the daemon ended by itself: {}", self.stderr());
        self.process = None;
    }

    /// Starts it on the ports and the folder it had; resolves when it serves.
    pub(crate) async fn restart(&mut self) {
        self.kill();
        self.lives += 1;
        self.process = Some(self.spawn());
        let stderr = self.path("stderr");
        let serves = format!("the daemon serves; its log lines are in {}", stderr.display());
        let (clients, admin) = wait::until(START_LIMIT, &serves, || {
            let ended = self.process.as_mut().and_then(Process::ended);
            assert_eq!(ended, None, "the daemon ended: {}", self.stderr());
            std::future::ready(announced(&self.stdout_path()))
        })
        .await;
        (self.clients, self.admin) = (clients, admin);
    }

    /// Whether it says that it is ready.
    pub(crate) async fn is_ready(&self) -> bool {
        self.missing().await.is_empty()
    }

    /// What it says it lacks to be ready.
    pub(crate) async fn missing(&self) -> Vec<String> {
        let answer = Request::get("/readyz").send(self.admin).await.expect("readyz");
        let is_ready = answer.status == 200;
        let said = answer.json().await.expect("a state");
        let missing = said["missing"].as_array().expect("a list").iter();
        let missing: Vec<_> = missing.filter_map(|name| name.as_str().map(str::to_owned)).collect();
        assert_eq!(missing.is_empty(), is_ready, "{said}");
        missing
    }

    /// What `afterbay verify` says of its data folder, and its exit code.
    pub(crate) async fn verify(&self) -> (Option<i32>, String) {
        let mut command = tokio::process::Command::new(program());
        command.arg("verify").arg(self.data()).stdin(Stdio::null()).kill_on_drop(true);
        let ended = wait::within(START_LIMIT, "the log is verified", command.output());
        let ended = ended.await.expect("start the program");
        let said = [ended.stdout, ended.stderr].concat();
        (ended.status.code(), String::from_utf8_lossy(&said).into_owned())
    }

    /// A number from `/metrics`, summed over its labels; 0 if it is not there.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let answer = Request::get("/metrics").send(self.admin).await.expect("metrics");
        assert_eq!(answer.status, 200);
        let text = answer.bytes().await.expect("metrics in full");
        let text = String::from_utf8_lossy(&text);
        let lines = text.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Its log lines over all lives.
    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(self.path("stderr")).expect("read the log lines")
    }

    /// Its process, while it runs.
    pub(crate) fn process_id(&self) -> u32 {
        self.process.as_ref().expect("the daemon was started").id()
    }

    /// The folder of its log.
    pub(crate) fn log_folder(&self) -> PathBuf {
        self.data().join("log")
    }

    /// Its data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.settings.data.clone().unwrap_or_else(|| self.path("data"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Each life has its own, so that an older life's announcement is not taken for the new one's.
    fn stdout_path(&self) -> PathBuf {
        self.path(&format!("stdout-{}", self.lives))
    }

    fn spawn(&self) -> Process {
        let stdout = File::create(self.stdout_path()).expect("open the daemon's stdout");
        let stderr = File::options().create(true).append(true).open(self.path("stderr"));
        let stderr = stderr.expect("open the daemon's stderr");
        let Some(sockets) = &self.settings.sockets else {
            return Process::start(&program(), |command| {
                self.dress(command);
                command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
            });
        };
        let copy = |socket: &TcpListener| socket.try_clone().expect("copy a socket");
        let (clients, admin) = (copy(&sockets.clients), copy(&sockets.admin));
        Process::start(Path::new("/bin/sh"), |command| {
            command.args(["-c", HAND_OVER, "hand over"]).arg(self.path("stderr")).arg(program());
            self.dress(command);
            let (stdin, stderr) = (OwnedFd::from(clients), OwnedFd::from(admin));
            command.stdin(stdin).stdout(stdout).stderr(stderr);
        })
    }

    fn dress(&self, command: &mut Command) {
        command.args(["serve", "--box", &self.box_url]).args(self.settings.kind.flags());
        command.args(["--listen", &self.clients.to_string()]);
        command.args(["--admin", &self.admin.to_string()]);
        command.arg("--data-dir").arg(self.data());
        command.args(self.settings.pace.flags()).args(self.settings.patience.flags());
        command.args(&self.settings.flags);
        command.env_clear().env("HOME", self.folder.path()).env("PATH", "/usr/bin:/bin");
        command.env("RUST_BACKTRACE", "1");
        command.envs(self.settings.environment.iter().map(|(name, value)| (name, value)));
    }

    /// What must hold for its log lines, whatever the test was about.
    fn check_log_lines(&self) {
        let lines = self.stderr();
        assert!(!lines.contains("panicked at"), "the daemon panicked: {lines}");
        for canary in &self.settings.canaries {
            assert!(!lines.contains(canary), "a credential stands in the log lines");
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            // The folder goes with the test; this is what it will be asked about.
            eprintln!("---- the daemon's log lines ----\n{}", self.stderr());
        } else {
            self.check_log_lines();
        }
    }
}

/// The daemon that was built with the tests, or the one that `AFTERBAY_BIN` names.
#[expect(clippy::disallowed_methods, reason = "a variable of the tests' own")]
pub(crate) fn program() -> PathBuf {
    let given = std::env::var("AFTERBAY_BIN").ok();
    given.map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_afterbay")), PathBuf::from)
}

/// The addresses that it printed, once it has printed both.
fn announced(stdout: &Path) -> Option<(SocketAddr, SocketAddr)> {
    let text = fs::read_to_string(stdout).ok()?;
    let address = |before: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(before))?;
        line.parse().ok()
    };
    // The last line counts only when it is whole.
    let whole = text.ends_with('\n');
    let clients = address("listening on http://").or_else(|| address("listening on https://"));
    whole.then_some((clients?, address("admin on http://")?))
}
