//! Prometheus' own checker, where it is installed.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// What `promtool` has to say when it is told `input`; `None` where it is not installed. Panics if it
/// is not content.
pub(super) fn says(arguments: &[&str], input: &str) -> Option<String> {
    let mut command = Command::new("promtool");
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut checker) = command.spawn() else {
        println!("SKIPPED: promtool is not installed, and only root can install it");
        return None;
    };
    let mut to_it = checker.stdin.take().expect("a pipe");
    to_it.write_all(input.as_bytes()).expect("it reads");
    drop(to_it);
    let done = checker.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
    assert!(done.status.success(), "promtool {arguments:?}: {said}");
    Some(said)
}

/// Whether `promtool` is content in `folder`; `None` where it is not installed.
pub(super) fn is_content(arguments: &[&str], folder: &Path) -> Option<bool> {
    let done = Command::new("promtool").args(arguments).current_dir(folder).output().ok()?;
    Some(done.status.success())
}
