//! Afterbay as a process of its own, the same program with `serve`: started in front of a box,
//! killed, and started again on the folder and the ports it had.
//!
//! It is ended by its handle alone, at the latest when the value is dropped, and waited for, so
//! that its folder can go.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::net::unix::pipe;

use crate::limits;

/// How it is started, each time.
#[derive(Debug)]
pub(super) struct Daemon {
    program: PathBuf,
    box_url: String,
    folder: PathBuf,
    clients: SocketAddr,
    admin: SocketAddr,
}

/// One life of it.
#[derive(Debug)]
pub(super) struct Life {
    child: Child,
    // Held open: a process that finds its stdout closed would end at the next line.
    stdout: Lines<BufReader<pipe::Receiver>>,
}

impl Daemon {
    /// Afterbay in front of `box_url`, with everything it keeps in `folder`.
    ///
    /// # Errors
    /// If the path of this program cannot be found out.
    pub(super) fn new(box_url: String, folder: &Path) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("find this program's own path")?;
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Ok(Self { program, box_url, folder: folder.to_owned(), clients: any, admin: any })
    }

    /// Where clients connect, once it has been started.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.clients)
    }

    /// Starts it; resolves when it serves. The ports of the first time are those of every time.
    ///
    /// # Errors
    /// If it does not serve within [`limits::DEMO_START_WAIT`]; its log lines are in the message.
    // Cancel-safe: dropped, the process is ended and nothing is remembered of it.
    pub(super) async fn start(&mut self) -> anyhow::Result<Life> {
        let mut life = self.spawn()?;
        let serves = tokio::time::timeout(limits::DEMO_START_WAIT, life.announced());
        match serves.await {
            Ok(Ok((clients, admin))) => (self.clients, self.admin) = (clients, admin),
            Ok(Err(error)) => anyhow::bail!("{error:#}; it says: {}", self.log_lines()),
            Err(_) => {
                anyhow::bail!("afterbay does not serve in time; it says: {}", self.log_lines())
            }
        }
        Ok(life)
    }

    fn spawn(&self) -> anyhow::Result<Life> {
        let log = File::options().create(true).append(true).open(self.log_path());
        let mut command = Command::new(&self.program);
        command.args(["serve", "--kind", "tangle", "--box", &self.box_url]);
        command.args(["--listen", &self.clients.to_string()]);
        command.args(["--admin", &self.admin.to_string()]);
        command.arg("--data-dir").arg(self.folder.join("data"));
        // A minute on a disk that is nearly full does no harm.
        command.args(["--retention-free", "16MiB"]);
        // What is set for an afterbay of this machine is not meant for this one.
        command.env_clear();
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(log.context("open a file for afterbay's log lines")?);
        let mut child = command.spawn().context("start afterbay")?;
        let stdout = child.stdout.take().map(|stdout| pipe::Receiver::from_owned_fd(stdout.into()));
        let Some(Ok(stdout)) = stdout else {
            end(&mut child);
            anyhow::bail!("afterbay's stdout cannot be read");
        };
        Ok(Life { child, stdout: BufReader::new(stdout).lines() })
    }

    fn log_path(&self) -> PathBuf {
        self.folder.join("stderr")
    }

    /// What it has logged over all its lives.
    fn log_lines(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }
}

impl Life {
    /// The addresses that it prints when it serves.
    async fn announced(&mut self) -> anyhow::Result<(SocketAddr, SocketAddr)> {
        let clients = self.address("listening on http://").await?;
        let admin = self.address("admin on http://").await?;
        Ok((clients, admin))
    }

    async fn address(&mut self, before: &str) -> anyhow::Result<SocketAddr> {
        let line = self.stdout.next_line().await.context("read afterbay's stdout")?;
        let line = line.context("afterbay ended before it served")?;
        let address = line.strip_prefix(before).and_then(|address| address.parse().ok());
        address.with_context(|| format!("afterbay says {line:?} instead of where it listens"))
    }

    /// `kill -9`; returns when it is gone.
    pub(super) fn kill(self) {
        drop(self);
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Kills and reaps it. A killed process is gone within milliseconds.
fn end(child: &mut Child) {
    // An error says that it has ended by itself, which is as good.
    let _ = child.kill();
    let _ = child.wait();
}
