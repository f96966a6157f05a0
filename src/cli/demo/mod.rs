//! `afterbay demo`: in a minute, with no set-up, what afterbay is for.
//!
//! One box, one turn, told twice: straight at the box, where an idle stream is cut, its buffer
//! reaped and the turn lost to its client; then through afterbay, which is killed in the middle of
//! it and started again. What both clients saw is held against what the box did; the exit code is
//! 0 only if it went exactly as told.
//!
//! Everything is on loopback. The processes and the folder that it made are gone when it ends,
//! also by a signal.

mod client;
mod daemon;
mod scenes;
mod seen;
mod stage;
mod tale;
mod verdict;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::duration;
use crate::limits;
use crate::shutdown::Signals;
use scenes::Times;
use stage::Stage;
use tale::say;
use verdict::Told;

/// Show in a minute what afterbay is for, with a simulated box; needs nothing
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// How long the agent says nothing in the middle of its turn
    #[arg(long, hide = true, value_name = "TIME", value_parser = duration::parse)]
    quiet: Option<Duration>,
    /// After how long a silence the box cuts a stream
    #[arg(long, hide = true, value_name = "TIME", value_parser = duration::parse)]
    cut: Option<Duration>,
}

/// Runs it; the exit code says whether it went as told.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match on_a_runtime(arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("afterbay demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn on_a_runtime(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("start the runtime")?;
    let Arguments { quiet, cut } = arguments;
    let times =
        Times { quiet: quiet.unwrap_or(limits::DEMO_QUIET), cut: cut.unwrap_or(limits::DEMO_CUT) };
    runtime.block_on(demo(times))
}

async fn demo(times: Times) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen().context("listen for signals")?;
    let mut hang_up = signal(SignalKind::hangup()).context("listen for signals")?;
    // Dropping the show ends its processes and removes its folder; a signal stays pending.
    tokio::select! {
        shown = tokio::time::timeout(limits::DEMO_WAIT, show(times)) => {
            let differences = shown.context("the demo takes too long")??;
            Ok(if differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        signal = signals.next() => Ok(ExitCode::from(signal.exit_code())),
        // A closed terminal, said as a shell would.
        _ = hang_up.recv() => Ok(ExitCode::from(129)),
    }
}

/// Both turns and the account; returns what differs from what was told.
async fn show(times: Times) -> anyhow::Result<Vec<&'static str>> {
    let stage = Stage::set(times).await?;
    say(format_args!(
        "One agent turn, twice, on a simulated box. In its middle the agent is quiet for {}.\n\
         The box cuts a stream that is without bytes for {} and forgets it {} later.",
        duration::show(times.quiet),
        duration::show(times.cut),
        duration::show(times.reap().saturating_sub(times.cut)),
    ))?;
    let direct = scenes::straight(&stage, times).await?;
    let (through, kill) = scenes::through_afterbay(&stage, times).await?;
    let differences = verdict::differences(&direct, &through, kill);
    account(&direct, &through)?;
    conclude(&differences)?;
    Ok(differences)
}

/// Both turns in one table.
fn account(direct: &Told, through: &Told) -> anyhow::Result<()> {
    say(format_args!(
        "\n{:18}{:>6}{:>7}{:>7}{:>9}   {:10}{:14}the box",
        "", "events", "ids", "holes", "doubles", "the work", "the answer"
    ))?;
    for (name, told) in [("straight", direct), ("through afterbay", through)] {
        let Told { ended: _, seen, by_box } = told;
        let answer = match &seen.answer {
            Some(answer) if *answer == by_box.answer => "as the box's",
            Some(_) => "another",
            None => "none",
        };
        let ran = if by_box.runs == 1 { "once" } else { "not once" };
        let finished = if by_box.finished { "finished" } else { "not finished" };
        say(format_args!(
            "{name:18}{:>6}{:>7}{:>7}{:>9}   {:10}{answer:14}ran {ran}, {finished}",
            seen.events,
            format!("1..{}", seen.last),
            seen.missing,
            seen.doubled,
            format!("{} of {}", told.parts_seen(), by_box.parts.len()),
        ))?;
    }
    Ok(())
}

fn conclude(differences: &[&str]) -> anyhow::Result<()> {
    if differences.is_empty() {
        return say(
            "\nEverything went as told: lost straight at the box, whole through afterbay, though it\n\
             was killed in the middle. The box ran each turn once.",
        );
    }
    say("\nIt did not go as it should:")?;
    differences.iter().try_for_each(|difference| say(format_args!("- {difference}")))
}
