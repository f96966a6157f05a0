//! What all figures depend on: processor, kernel, file system, device. Refuses a file system that
//! is in memory, where a sync costs nothing.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::usage;

/// File systems without a disk below them.
const IN_MEMORY: [&str; 2] = ["tmpfs", "ramfs"];

pub(crate) fn print(folder: &Path) {
    let cores = std::thread::available_parallelism().unwrap();
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    println!("machine   {}, {cores} cores, load {}", processor(), read("/proc/loadavg"));
    println!(
        "kernel    {} {}",
        read("/proc/sys/kernel/ostype"),
        read("/proc/sys/kernel/osrelease")
    );
    let (kind, source, options) = mount(folder);
    println!("folder    {}", folder.display());
    println!("on        {kind}, {source} ({options})");
    assert!(
        !IN_MEMORY.contains(&kind.as_str()),
        "the folder is in memory; set CARGO_TARGET_DIR to one on a disk"
    );
    let queue = usage::device(folder).join("queue");
    let of = |name: &str| {
        let text = std::fs::read_to_string(queue.join(name)).unwrap_or_default();
        text.trim().to_owned()
    };
    println!(
        "device    write cache: {}, FUA: {}, rotational: {}, sectors: {}/{} bytes",
        of("write_cache"),
        of("fua"),
        of("rotational"),
        of("logical_block_size"),
        of("physical_block_size"),
    );
}

fn processor() -> String {
    let all = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = all.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or_else(|| "unknown processor".to_owned(), |(_, name)| name.to_owned())
}

/// Kind, source and options of the mount that `folder` is on.
fn mount(folder: &Path) -> (String, String, String) {
    let device = folder.metadata().unwrap().dev();
    let device = format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = mounts.lines().find(|line| line.split(' ').nth(2) == Some(&device));
    let Some((_, after)) = line.and_then(|line| line.split_once(" - ")) else {
        return ("unknown file system".into(), device, String::new());
    };
    let mut words = after.split(' ').map(str::to_owned);
    let mut word = || words.next().unwrap_or_default();
    (word(), word(), word())
}
