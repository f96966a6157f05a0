//! Prometheus' own checker, where it is installed.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// Panics with what `promtool` has to say, also if it only advises.
pub(super) fn check_metrics(text: &str) {
    let started = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut checker) = started else {
        println!("SKIPPED: promtool is not installed, and only root can install it");
        return;
    };
    let mut input = checker.stdin.take().expect("a pipe");
    input.write_all(text.as_bytes()).expect("it reads");
    drop(input);
    let done = checker.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
    assert!(done.status.success() && said.trim().is_empty(), "{said}");
}
