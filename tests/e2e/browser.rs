//! Chromium without a window.
//!
//! It finds nothing but this machine: no name resolves, and it has no business of its own.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;

use super::packages;
use super::process::Process;
use super::wait;

const QUIET: [&str; 15] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-domain-reliability",
    "--disable-extensions",
    "--disable-sync",
    "--disable-breakpad",
    "--no-first-run",
    "--window-size=1440,900",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--remote-debugging-port=0",
];

/// A running browser.
#[derive(Debug)]
pub(crate) struct Browser {
    /// `host:port` of its DevTools.
    pub(crate) devtools: String,
    _process: Process,
    _profile: TempDir,
}

impl Browser {
    /// Starts it; `None` where it is not installed.
    pub(crate) async fn start() -> Option<Self> {
        let Some(program) = packages::found("chromium") else {
            println!("SKIPPED: chromium is not installed, and only root can install it");
            return None;
        };
        let profile = tempfile::tempdir().expect("a folder for the browser");
        let process = Process::start(&program, |command| {
            command.args(QUIET).arg(format!("--user-data-dir={}", profile.path().display()));
            command.env("HOME", profile.path()).stdin(Stdio::null());
            command.stdout(Stdio::null()).stderr(Stdio::null());
        });
        let told = profile.path().join("DevToolsActivePort");
        let port = wait::until(Duration::from_secs(60), "the browser listens", || async {
            // The port, and a path on the second line: both are there once that is.
            let text = fs::read_to_string(&told).ok()?;
            Some(text.split_once('\n')?.0.to_owned())
        });
        let devtools = format!("127.0.0.1:{}", port.await);
        Some(Self { devtools, _process: process, _profile: profile })
    }
}
