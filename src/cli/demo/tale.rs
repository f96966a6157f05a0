//! What the demo tells while it happens: plain lines on stdout, each with the time of its part.
//!
//! A reader who has gone is an error of the demo, so that nothing goes on for nobody.

use std::fmt;
use std::io::{self, Write as _};

use anyhow::Context as _;
use tokio::time::Instant;

/// One part of the account, with a clock that began with it.
#[derive(Debug)]
pub(super) struct Tale {
    began: Instant,
}

impl Tale {
    /// Begins a part under `title`.
    ///
    /// # Errors
    /// If stdout takes nothing.
    pub(super) fn begin(title: impl fmt::Display) -> anyhow::Result<Self> {
        say(format_args!("\n{title}"))?;
        Ok(Self { began: Instant::now() })
    }

    /// Tells what has just happened.
    ///
    /// # Errors
    /// If stdout takes nothing.
    pub(super) fn tell(&self, what: impl fmt::Display) -> anyhow::Result<()> {
        say(format_args!("  {:5.1} s  {what}", self.began.elapsed().as_secs_f64()))
    }
}

/// Writes one line.
///
/// # Errors
/// If stdout takes nothing.
pub(super) fn say(line: impl fmt::Display) -> anyhow::Result<()> {
    writeln!(io::stdout().lock(), "{line}").context("write to stdout")
}
