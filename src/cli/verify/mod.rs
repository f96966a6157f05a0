//! `afterbay verify`: checks from outside that nothing was lost or changed.
//!
//! A transcript, which is what a client has read of turns: each `done` tells the digest of the
//! frames before it, and here it is taken again. The answer is a line for each turn on stdout, and
//! the exit code: 0 if all that can be checked is whole, 1 if something is not, 2 if there is
//! nothing to check or it cannot be read.
//!
//! It needs neither box nor log, holds one frame at a time, and changes nothing.

mod capture;
mod check;
mod report;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use futures_util::StreamExt as _;

use super::USAGE;
use check::Checker;
use report::Counts;

/// Check that a transcript, as a client saved it, is whole: nothing lost, doubled or changed
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
#[group(required = true, multiple = false)]
pub(super) struct Arguments {
    /// What a client has read, as `curl -N` saves it; `-` is stdin
    #[arg(long, value_name = "FILE")]
    transcript: Option<PathBuf>,
}

const HELP: &str = "\
Example:
  curl -N http://127.0.0.1:8788/agents/run/stream -H 'content-type: application/json' \\
    -d '{\"sessionId\":\"s1\",\"turnId\":\"t1\",\"message\":\"Say hello\"}' | tee turn.sse
  afterbay verify --transcript turn.sse

The last event of a turn, `done`, tells in `events` how many events come before it and in `digest`
a BLAKE3 hash over their bytes. It is computed again from the file and compared. `done` itself is
not part of it, and a turn whose `done` carries no digest is not checkable: the box's own may not.

A file may hold several turns of one session, and several connections one after the other: events
that came again are compared with the first time and passed over. Lines that ?max_line=N has broken
are joined. Keep sessions in files of their own, since each counts its ids from 1.

It prints a line for each turn:
  ok             nothing is missing and the digest is the same
  wrong          what is wrong: missing ids, ids out of order, an id with two contents, other bytes
  not checkable  why

Exit code 0: all checkable turns are ok, and there is at least one. 1: something is wrong.
2: there is nothing to check, the file cannot be read, or the command is wrong.";

/// Checks what it is told to; the exit code says how that went.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let Arguments { transcript } = arguments;
    let checked = match transcript {
        Some(file) => transcript_of(file),
        None => Err(anyhow::anyhow!("nothing to check; see `afterbay verify --help`")),
    };
    match checked {
        Ok(Counts { wrong: 0, whole: 1.., .. }) => ExitCode::SUCCESS,
        Ok(Counts { wrong: 1.., .. }) => ExitCode::FAILURE,
        Ok(Counts { .. }) => {
            eprintln!("afterbay verify: there is no `done` with a digest, so nothing was checked");
            ExitCode::from(USAGE)
        }
        Err(error) => {
            eprintln!("afterbay verify: {error:#}");
            ExitCode::from(USAGE)
        }
    }
}

fn transcript_of(file: &Path) -> anyhow::Result<Counts> {
    let input: Box<dyn Read> = if file == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(file).with_context(|| format!("open {}", file.display()))?)
    };
    // The parser is made for sockets. Here it never waits: each of its reads is one of the file.
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.context("start the runtime")?;
    let mut out = io::stdout().lock();
    let counts = runtime.block_on(check(input, &mut out));
    counts.with_context(|| format!("check {}", file.display()))
}

/// Reads `input` to its end and writes a line for each turn.
async fn check(input: impl Read, out: &mut impl Write) -> anyhow::Result<Counts> {
    let mut blocks = std::pin::pin!(capture::blocks(input));
    let mut checker = Checker::new();
    while let Some(block) = blocks.next().await {
        let block = block.map_err(anyhow::Error::from);
        let block = block.with_context(|| format!("after id {}", checker.highest()))?;
        for line in checker.take(block) {
            writeln!(out, "{line}").context("write to stdout")?;
        }
    }
    let (lines, counts) = checker.finish();
    for line in lines {
        writeln!(out, "{line}").context("write to stdout")?;
    }
    writeln!(out, "{counts}").context("write to stdout")?;
    Ok(counts)
}
