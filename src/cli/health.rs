//! `afterbay health`: whether the afterbay of a data folder answers: what a container's health check
//! runs, where there is no other program.
//!
//! It needs no token. A container engine knows two answers, so whatever is not healthy is 1.

use std::io::{self, Write as _};
use std::process::ExitCode;

use super::daemon::{Daemon, Which};
use super::failure::Failure;
use crate::config::Environment;

/// Say whether a running afterbay answers: for a container's health check
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct Arguments {
    #[command(flatten)]
    which: Which,
}

const HELP: &str = "\
Examples:
  afterbay health
  HEALTHCHECK CMD [\"/usr/local/bin/afterbay\", \"health\"]

It asks /livez at the daemon's admin address, which it reads in the data folder, or else at the one that the
configuration chooses; it shows no token. An afterbay that takes no new turns, because its disk is full or it is
stopping, is healthy: being started again would not help it. `afterbay status` says whether it is ready.

Exit code 0: it answers. 1: it does not. 2: the command or the configuration is wrong.";

/// Asks; the exit code says it all.
pub(super) async fn run(
    arguments: &Arguments,
    environment: &Environment,
) -> Result<ExitCode, Failure> {
    let chosen = arguments.which.chosen_admin(environment)?;
    match Daemon::of(&arguments.which, environment)?.is_alive(chosen).await {
        Ok(()) => {
            writeln!(io::stdout(), "healthy")?;
            Ok(ExitCode::SUCCESS)
        }
        Err(Failure::Unreachable(what)) => Err(Failure::Refused(what)),
        Err(failure) => Err(failure),
    }
}
