//! What this process, or another one, has used up to now, as `/proc` and `/sys` tell it.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Jiffies of `/proc` in a second; the same on every Linux.
const TICKS: f64 = 100.0;
/// The unit of `/sys`, whatever the device's own sectors are.
const SECTOR_BYTES: f64 = 512.0;

/// Whose numbers.
pub(crate) fn this_process() -> PathBuf {
    "/proc/self".into()
}

/// Bytes in memory now.
pub(crate) fn rss(process: &Path) -> f64 {
    kib(process, "VmRSS:")
}

/// The most bytes that were in memory since the start, or since [`forget_peak`].
pub(crate) fn peak(process: &Path) -> f64 {
    kib(process, "VmHWM:")
}

/// From now on [`peak`] means the most from now on.
pub(crate) fn forget_peak(process: &Path) {
    std::fs::write(process.join("clear_refs"), "5").unwrap();
}

fn kib(process: &Path, name: &str) -> f64 {
    let status = std::fs::read_to_string(process.join("status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
    line.trim().trim_end_matches(" kB").trim().parse::<f64>().unwrap() * 1024.0
}

/// Seconds of CPU, in user and kernel mode.
pub(crate) fn cpu(process: &Path) -> f64 {
    let ticks = ticks(process);
    (ticks(14) + ticks(15)) / TICKS
}

/// The fields of a process by their numbers.
fn ticks(process: &Path) -> impl Fn(usize) -> f64 + use<> {
    let stat = std::fs::read_to_string(process.join("stat")).unwrap();
    // The name in brackets may hold anything; after it the fields are numbers from 3 on.
    let fields = stat.rsplit_once(") ").unwrap().1;
    let fields: Vec<f64> = fields.split(' ').map(|n| n.parse().unwrap_or(f64::NAN)).collect();
    move |number| fields[number - 3]
}

/// Seconds of CPU that all other processes have had, the kernel's own threads among them: what
/// this process and those of its children that have ended had, taken from what the machine had.
pub(crate) fn cpu_of_others() -> f64 {
    let stat = std::fs::read_to_string("/proc/stat").unwrap();
    let all = stat.lines().next().expect("the line of all cores");
    let ticks: Vec<f64> = all.split_whitespace().skip(1).map(|n| n.parse().unwrap()).collect();
    // User, nice, system, idle, waiting, interrupts of both kinds, stolen by other machines.
    let busy: f64 = [0, 1, 2, 5, 6, 7].iter().map(|at| ticks[*at]).sum();
    busy / TICKS - cpu_with_children()
}

fn cpu_with_children() -> f64 {
    let ticks = ticks(&this_process());
    [14, 15, 16, 17].map(ticks).iter().sum::<f64>() / TICKS
}

/// Bytes of pages that this process made dirty and the kernel took for writing: a page that is
/// written twice counts twice, what the file system writes for itself does not count.
pub(crate) fn written_pages() -> f64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap();
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).expect("a line");
    line.parse().unwrap()
}

/// Bytes that the device below `folder` has taken, whoever wrote them: also the file system's
/// journal, and whatever other processes do meanwhile.
pub(crate) fn device_bytes(folder: &Path) -> f64 {
    let Ok(stat) = std::fs::read_to_string(device(folder).join("stat")) else {
        return f64::NAN;
    };
    // The seventh field is sectors written.
    stat.split_whitespace().nth(6).map_or(f64::NAN, |n| n.parse::<f64>().unwrap() * SECTOR_BYTES)
}

/// The folder in `/sys` of the device that `folder` is on.
pub(crate) fn device(folder: &Path) -> PathBuf {
    let device = folder.metadata().unwrap().dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    format!("/sys/dev/block/{major}:{minor}").into()
}
