//! The check of a data folder's log: where the log is, and how what was found is told.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::log::ReadOnlyFolder;
use crate::log::verify::{self, Counts, Finding, Numbers, Reach, Report, Unfinished};
use crate::turn::control::role;

/// How it is told.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    /// Lines for people.
    Lines,
    /// One JSON object.
    Json,
}

/// What it came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Whole,
    Wrong,
}

/// Checks the log in `path`, or in its sub-folder `log`, and tells `out` what is wrong.
pub(super) fn run(path: &Path, form: Form, out: &mut impl Write) -> anyhow::Result<Verdict> {
    let report = check(path)?;
    match form {
        Form::Lines => tell(&report, out),
        Form::Json => writeln!(out, "{}", object(&report)),
    }
    .and_then(|()| out.flush())
    .context("write to stdout")?;
    match (report.findings.is_empty(), report.reach) {
        (false, _) => Ok(Verdict::Wrong),
        (true, Reach::End) => Ok(Verdict::Whole),
        (true, Reach::TooBusy) => anyhow::bail!("the log changed too fast to be read to its end"),
    }
}

fn check(path: &Path) -> anyhow::Result<Report> {
    let inner = path.join("log");
    let folders: Vec<PathBuf> =
        [inner, path.to_owned()].into_iter().filter(|f| f.is_dir()).collect();
    for folder in folders {
        let disk = ReadOnlyFolder::open(&folder);
        let disk = disk.with_context(|| format!("open {}", folder.display()))?;
        match verify::check(&disk, role) {
            Err(verify::Error::NoLog) => {}
            checked => return checked.with_context(|| format!("check {}", folder.display())),
        }
    }
    anyhow::bail!("there is no log in {}", path.display())
}

fn tell(report: &Report, out: &mut impl Write) -> std::io::Result<()> {
    let Report { counts, findings, more, unfinished, reach } = report;
    for finding in findings {
        writeln!(out, "{:<15}{finding}", "wrong")?;
    }
    if *more > 0 {
        writeln!(out, "{:<15}{more} more things, all behind those", "wrong")?;
    }
    if let Some(Unfinished { file, bytes, group }) = unfinished {
        let (from, to) = (bytes.start, bytes.end);
        writeln!(
            out,
            "{:<15}{file} bytes {from}..{to}: the last group, {group}, is not whole: it is being \
             written, or a crash cut it short",
            "unfinished"
        )?;
    }
    let verdict = match (findings.len() as u64 + more, reach) {
        (0, Reach::End) => "whole".to_owned(),
        (0, Reach::TooBusy) => "not read to the end".to_owned(),
        (wrong, _) => format!("{wrong} wrong"),
    };
    let Counts { segments, indexes, groups, batches, records, events, sessions, bytes } = counts;
    writeln!(
        out,
        "{verdict}: {segments} segments, {indexes} of them with an index, {groups} groups, \
         {batches} batches, {records} records, {events} of them events, {sessions} sessions, \
         {bytes} bytes"
    )
}

fn object(report: &Report) -> Value {
    let Report { counts, findings, more, unfinished, reach } = report;
    let Counts { segments, indexes, groups, batches, records, events, sessions, bytes } = counts;
    let end_found = *reach == Reach::End;
    json!({
        "whole": findings.is_empty() && end_found,
        "counts": {
            "segments": segments,
            "indexes": indexes,
            "groups": groups,
            "batches": batches,
            "records": records,
            "events": events,
            "sessions": sessions,
            "bytes": bytes,
        },
        "findings": findings.iter().map(finding).collect::<Vec<_>>(),
        "more": more,
        "unfinished": unfinished.as_ref().map(|Unfinished { file, bytes, group }| json!({
            "file": file,
            "from_byte": bytes.start,
            "to_byte": bytes.end,
            "group": group,
        })),
        "end_found": end_found,
    })
}

fn finding(finding: &Finding) -> Value {
    let Finding { file, bytes, fault, session, records, groups } = finding;
    let numbers = records.as_ref();
    let lsns = numbers.map(|Numbers { first, end }| (first.next_lsn.get(), end.next_lsn.get()));
    let seqs = numbers.map(|Numbers { first, end }| (first.next_seq.get(), end.next_seq.get()));
    json!({
        "file": file,
        "from_byte": bytes.start,
        "to_byte": bytes.end,
        "fault": fault.name(),
        "what": fault.to_string(),
        "session": session.map(|key| key.session_id().to_string()),
        "records": inclusive(lsns),
        "events": inclusive(seqs),
        "groups": inclusive(groups.as_ref().map(|groups| (groups.start, groups.end))),
    })
}

/// The first and the last number; null if there is none.
fn inclusive(numbers: Option<(u64, u64)>) -> Value {
    match numbers {
        Some((first, end)) if first < end => json!([first, end - 1]),
        Some(_) | None => Value::Null,
    }
}
