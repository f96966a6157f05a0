//! Small libraries in C that stand between the daemon and what it asks of the system, built here.

use std::path::Path;
use std::process::Command;

/// Builds `tests/e2e/<source>` as `library` with `cc`.
pub(crate) fn build(source: &str, library: &Path) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e").join(source);
    let mut cc = Command::new("cc");
    cc.args(["-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o"]).arg(library).arg(source);
    let built = cc.arg("-ldl").status().expect("run cc");
    assert!(built.success(), "cc: {built}");
}
