//! What is done to the files of a closed log behind its back.

use std::collections::{BTreeMap, BTreeSet};

use super::forge::{self, BatchHead, Head};
use super::input::Input;
use super::support::faulty_disk::FaultyDisk;
use super::support::log_forge::signed_index;

/// A file is not made longer than this, and no more files are made than these.
const LONGEST: usize = 64 << 10;
const FILES: usize = 24;
const EPOCHS: usize = 12;

/// Whether something lies that opening believes: an index of a segment, or the number of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    AsWritten,
    Forged,
}

/// Does one thing to one of the files.
pub(crate) fn tamper(disk: &FaultyDisk, input: &mut Input<'_>) -> Order {
    let before = numbers(disk);
    let order = change(disk, input);
    let is_known = |(name, numbers): (String, BTreeSet<u64>)| {
        before.get(&name).is_some_and(|known| numbers.is_subset(known))
    };
    if numbers(disk).into_iter().all(is_known) { order } else { Order::Forged }
}

fn numbers(disk: &FaultyDisk) -> BTreeMap<String, BTreeSet<u64>> {
    let is_segment = |name: &String| name.starts_with("segment-") && name.ends_with(".log");
    let names = disk.names().into_iter().filter(is_segment);
    names.map(|name| (name.clone(), forge::numbers(&disk.content(&name)))).collect()
}

fn change(disk: &FaultyDisk, input: &mut Input<'_>) -> Order {
    match input.below(8) {
        0 | 1 => return set_field(disk, input),
        2 => return overwrite(disk, input),
        3 => {
            let Some(name) = pick(disk, input) else { return Order::AsWritten };
            let bytes = usize::from(input.u16()) % LONGEST;
            disk.damage(&name, |content| content.resize(bytes, 0));
        }
        4 => return copy(disk, input),
        5 => {
            let Some(name) = pick(disk, input) else { return Order::AsWritten };
            disk.boot().remove(&name).expect("remove");
            disk.boot().sync_dir().expect("sync");
        }
        6 => make_segment(disk, input),
        _ => return push_group(disk, input),
    }
    Order::AsWritten
}

fn pick(disk: &FaultyDisk, input: &mut Input<'_>) -> Option<String> {
    let names = disk.names();
    (!names.is_empty()).then(|| names[input.below(names.len())].clone())
}

/// Gives a field another value.
fn set_field(disk: &FaultyDisk, input: &mut Input<'_>) -> Order {
    let Some(name) = pick(disk, input) else { return Order::AsWritten };
    let content = disk.content(&name);
    let which = usize::from(input.u16());
    let field = if name.ends_with(".idx") {
        // All fields of an index begin at multiples of four.
        let width = if input.flag() { 8 } else { 4 };
        (which % (content.len() / 4).max(1) * 4, width)
    } else {
        let fields = forge::fields(&content);
        if fields.is_empty() {
            return Order::AsWritten;
        }
        fields[which % fields.len()]
    };
    let (at, width) = field;
    if at + width > content.len() {
        return Order::AsWritten;
    }
    let mut old = [0; 8];
    old[..width].copy_from_slice(&content[at..at + width]);
    let old = u64::from_le_bytes(old);
    let new = match input.below(4) {
        0 => input.number(),
        1 => old.wrapping_add(1 + u64::from(input.byte() / 64)),
        2 => old.wrapping_sub(1 + u64::from(input.byte() / 64)),
        _ => old ^ (1 << (input.byte() % 64)),
    };
    disk.damage(&name, |content| {
        content[at..at + width].copy_from_slice(&new.to_le_bytes()[..width]);
        // The header's second copy says the same.
        if at < 512 && name.ends_with(".log") && content.len() >= 1024 {
            content.copy_within(..512, 512);
        }
    });
    sign(disk, &name, input)
}

fn overwrite(disk: &FaultyDisk, input: &mut Input<'_>) -> Order {
    let Some(name) = pick(disk, input) else { return Order::AsWritten };
    let at = usize::from(input.u16());
    let count = input.below(16);
    let bytes = input.bytes(count);
    disk.damage(&name, |content| {
        for (byte, new) in content.iter_mut().skip(at).zip(bytes) {
            *byte = *new;
        }
    });
    sign(disk, &name, input)
}

/// Puts fresh checksums into a file, mostly. An index that does not go with its segment is mostly
/// removed.
fn sign(disk: &FaultyDisk, name: &str, input: &mut Input<'_>) -> Order {
    let how = input.byte() % 16;
    let Some((stem, ending)) = name.rsplit_once('.').filter(|_| how != 15) else {
        return Order::AsWritten;
    };
    let (segment, index) = (format!("{stem}.log"), format!("{stem}.idx"));
    if ending == "log" {
        disk.damage(name, |content| forge::sign(content));
    }
    let names = disk.names();
    if !names.contains(&index) {
        return Order::AsWritten;
    }
    if ending == "log" && how < 11 {
        disk.boot().remove(&index).expect("remove");
        disk.boot().sync_dir().expect("sync");
        return Order::AsWritten;
    }
    if names.contains(&segment) {
        let segment = disk.content(&segment);
        disk.damage(&index, |content| {
            if content.len() >= 68 && segment.len() >= 36 {
                *content = signed_index(content, &segment);
            }
        });
    }
    Order::Forged
}

/// Puts a file's content under another name, in the place of what was there.
fn copy(disk: &FaultyDisk, input: &mut Input<'_>) -> Order {
    let Some(from) = pick(disk, input) else { return Order::AsWritten };
    let epoch = epoch(input);
    let kind = input.below(6);
    let to = match kind {
        0 => format!("blank-{epoch:016x}.log"),
        1 => format!("segment-{epoch:016x}.tmp"),
        2 | 3 => format!("segment-{epoch:016x}.idx"),
        _ => format!("segment-{epoch:016x}.log"),
    };
    let mut content = disk.content(&from);
    // Mostly it says that it is what its name says.
    let at = if kind > 3 { [12, 524].as_slice() } else { &[12] };
    for at in at {
        if let Some(field) = content.get_mut(*at..*at + 8) {
            field.copy_from_slice(&epoch.to_le_bytes());
        }
    }
    put(disk, &to, content);
    if disk.names().contains(&to) { sign(disk, &to, input) } else { Order::AsWritten }
}

fn epoch(input: &mut Input<'_>) -> u64 {
    match input.byte() {
        0xff => u64::MAX,
        0xfe => u64::MAX - 1,
        small => 1 + u64::from(small) % EPOCHS as u64,
    }
}

fn put(disk: &FaultyDisk, name: &str, content: Vec<u8>) {
    let names = disk.names();
    if names.len() < FILES || names.iter().any(|other| other == name) {
        let opened = disk.boot();
        opened.create(name).expect("create");
        opened.sync_dir().expect("sync");
        disk.damage(name, |now| *now = content);
    }
}

fn make_segment(disk: &FaultyDisk, input: &mut Input<'_>) {
    let epoch = epoch(input);
    let origin = 1 + input.below(3) as u32;
    let [base, end, groups] = match origin {
        1 => [0; 3],
        2 => [input.number(), 0, 0],
        _ => [input.number(), input.number(), input.number()],
    };
    let mut segment = forge::segment(Head { epoch, base, origin, end, groups });
    for n in 0..input.below(4) {
        push(&mut segment, base.wrapping_add(n as u64), input);
    }
    forge::sign(&mut segment);
    put(disk, &format!("segment-{epoch:016x}.log"), segment);
}

fn push_group(disk: &FaultyDisk, input: &mut Input<'_>) -> Order {
    let Some(name) = pick(disk, input) else { return Order::AsWritten };
    let number = input.number();
    disk.damage(&name, |content| {
        // Behind the groups that are there, or where they end in a full file.
        let used = content.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        if (1024..LONGEST).contains(&used.next_multiple_of(512)) {
            content.truncate(used);
            push(content, number, input);
        }
    });
    sign(disk, &name, input)
}

/// Puts a group of a few batches behind the others.
fn push(segment: &mut Vec<u8>, number: u64, input: &mut Input<'_>) {
    let batches: Vec<_> = (0..input.below(4)).map(|_| batch(input)).collect();
    forge::push_group(segment, number, &batches);
}

fn batch(input: &mut Input<'_>) -> Vec<u8> {
    let key = [input.byte() % 4 + 1; 16];
    let (lsn, seq) = (input.number(), input.number());
    let (mut records, mut events, mut body) = (0, 0, Vec::new());
    for _ in 0..input.below(4) {
        records += 1;
        match input.below(4) {
            0 | 1 => {
                events += 1;
                body.extend_from_slice(b"\x01\x01\0\0\0\x02\0\0\0x{}");
            }
            2 => body.extend_from_slice(b"\x02\x07\0\0\0\x01\0\0\0c"),
            _ => {
                body.extend_from_slice(b"\x03\0\0\0\0\x20\0\0\0");
                body.extend_from_slice(&input.number().to_le_bytes());
                body.extend_from_slice(&input.number().to_le_bytes());
                body.extend_from_slice(&[0; 16]);
            }
        }
    }
    forge::batch(BatchHead { key, lsn, seq, records, events }, &mut [0; 16], &body)
}
