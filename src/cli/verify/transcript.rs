//! What a client has read of turns: each `done` tells the digest of the frames before it, and here it
//! is taken again. The answer is a line for each turn. It needs neither box nor log, and holds one
//! frame at a time.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use anyhow::Context as _;
use futures_util::StreamExt as _;

use super::capture;
use super::check::Checker;
use super::report::Counts;

/// Checks a file, `-` is stdin, and writes a line for each turn.
pub(super) fn check_file(file: &Path) -> anyhow::Result<Counts> {
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
