//! `afterbay verify`: checks from outside that nothing was lost or changed: of the log of a data folder,
//! or of a transcript, which is what a client has read.
//!
//! The exit code: 0 if all that can be checked is whole, 1 if something is not, 2 if there is nothing
//! to check or it cannot be read. It needs no box, changes nothing, and may run beside a daemon.

mod capture;
mod check;
mod folder;
mod report;
mod transcript;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::USAGE;
use report::Counts;

/// Check that a log, or a transcript that a client saved, is whole: nothing lost, doubled or changed
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
#[command(group(clap::ArgGroup::new("subject").required(true).multiple(false)))]
pub(super) struct Arguments {
    /// The data folder, as in `serve --data-dir`, or the log's own folder in it
    #[arg(value_name = "DATA_DIR", group = "subject")]
    data_dir: Option<PathBuf>,
    /// What a client has read, as `curl -N` saves it; `-` is stdin
    #[arg(long, value_name = "FILE", group = "subject")]
    transcript: Option<PathBuf>,
    /// Print one JSON object instead of lines, for a data folder
    #[arg(long, requires = "data_dir")]
    json: bool,
}

const HELP: &str = "\
Examples:
  afterbay verify ~/.local/state/afterbay
  curl -N http://127.0.0.1:8788/agents/run/stream -H 'content-type: application/json' \\
    -d '{\"sessionId\":\"s1\",\"turnId\":\"t1\",\"message\":\"Say hello\"}' | tee turn.sse
  afterbay verify --transcript turn.sse

A data folder: it reads the whole log and changes nothing, on a copy or on the folder of a running
afterbay alike. It checks each record's bytes, that no group of records and no record of a session
is missing, that each session's records are those that were written and in their order, and that
each index says what its segment says. What retention has dropped is no fault.

It prints a line for each thing that is wrong, in the order of the log, so the first line names the
first bad record: file, bytes, session, the numbers of its records and events. At the end it tells
what was read. With --json it is one object: whole, counts, findings, more, unfinished, end_found.

The last group is told apart if it is not whole: it is being written, or a crash cut it short. The
next start cuts off what is not whole of it; nobody was ever shown that.

It finds what happens by accident. Somebody who can write the folder can make it look whole; hold
what a client has read against that. Nor can it know of records that were taken off the end.

A transcript: the last event of a turn, `done`, tells in `events` how many events come before it and
in `digest` a BLAKE3 hash over their bytes. It is computed again from the file and compared. `done`
itself is not part of it, and a turn whose `done` carries no digest is not checkable: the box's own
may not.

A file may hold several turns of one session, and several connections one after the other: events
that came again are compared with the first time and passed over. Lines that ?max_line=N has broken
are joined. Keep sessions in files of their own, since each counts its ids from 1.

It prints a line for each turn:
  ok             nothing is missing and the digest is the same
  wrong          what is wrong: missing ids, ids out of order, an id with two contents, other bytes
  not checkable  why

Exit code 0: all that can be checked is whole, and there is something. 1: something is wrong.
2: there is nothing to check, it cannot be read, or the command is wrong.";

/// Checks what it is told to; the exit code says how that went.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let Arguments { data_dir, transcript, json } = arguments;
    let checked = match (data_dir, transcript) {
        (Some(folder), None) => folder_of(folder, *json),
        (None, Some(file)) => transcript_of(file),
        // The command line refuses both and neither.
        (Some(_), Some(_)) | (None, None) => Err(anyhow::anyhow!("name one thing to check")),
    };
    checked.unwrap_or_else(|error| {
        eprintln!("afterbay verify: {error:#}");
        ExitCode::from(USAGE)
    })
}

fn folder_of(folder: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let form = if json { folder::Form::Json } else { folder::Form::Lines };
    Ok(match folder::run(folder, form, &mut io::stdout().lock())? {
        folder::Verdict::Whole => ExitCode::SUCCESS,
        folder::Verdict::Wrong => ExitCode::FAILURE,
    })
}

fn transcript_of(file: &Path) -> anyhow::Result<ExitCode> {
    match transcript::check_file(file)? {
        Counts { wrong: 0, whole: 1.., .. } => Ok(ExitCode::SUCCESS),
        Counts { wrong: 1.., .. } => Ok(ExitCode::FAILURE),
        Counts { .. } => anyhow::bail!("there is no `done` with a digest, so nothing was checked"),
    }
}
