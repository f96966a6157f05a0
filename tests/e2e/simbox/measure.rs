//! What a process and its log take, as the system tells it, and the switches of long runs.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// The resident memory of a process, in KiB.
pub(crate) fn resident_kib(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB")).expect("a line `VmRSS`");
    number.trim().parse().expect("a number of KiB")
}

/// The bytes on disk of all files in `folder`, as blocks that are taken.
pub(crate) fn bytes_on_disk(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).expect("the folder");
    let blocks = |file: fs::DirEntry| file.metadata().expect("a file's size").blocks();
    files.map(|file| blocks(file.expect("a file")) * 512).sum()
}

/// The number that the variable `name` asks for, else `otherwise`.
#[expect(clippy::disallowed_methods, reason = "switches of these tests alone")]
pub(crate) fn number(name: &str, otherwise: u32) -> u32 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// The seconds that the variable `name` asks for, else `otherwise`.
#[expect(clippy::disallowed_methods, reason = "switches of these tests alone")]
pub(crate) fn asked_for(name: &str, otherwise: Duration) -> Duration {
    let asked = std::env::var(name).ok();
    let seconds = |text: String| text.parse().expect("a number of seconds");
    asked.map_or(otherwise, |text| Duration::from_secs(seconds(text)))
}
