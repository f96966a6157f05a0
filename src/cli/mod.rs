//! The command line: which command, which exit code.
//!
//! 0: it did what it was told, `--help` and a stop by signal included. 1: it could not, at run
//! time. 2: the command or the configuration is wrong; everything that is wrong is on stderr.
//! `verify` gives 1 to what it finds to be wrong, and 2 to what it cannot look at. 3: the running afterbay
//! that a command asks does not answer.
//! A second signal exits with 128 plus its number, as a shell would say it.

mod authorization;
mod clients_door;
mod completions;
mod daemon;
mod demo;
mod event_line;
mod failure;
mod follow;
mod health;
mod progress;
mod screen;
mod serve;
mod sessions;
mod simbox;
mod status;
mod tail;
mod turn;
mod verify;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _};

use crate::config::Environment;
use failure::Failure;

/// Exit code for a wrong command or configuration.
const USAGE: u8 = 2;

/// Afterbay stands between SSE clients and an agent sandbox (a box): the box may drop, sleep or
/// restart, the client sees one unbroken, replayable stream.
#[derive(Debug, clap::Parser)]
#[command(name = "afterbay", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Serve(Box<serve::Arguments>),
    Demo(demo::Arguments),
    Simbox(Box<simbox::Arguments>),
    Verify(verify::Arguments),
    Status(status::Arguments),
    Health(health::Arguments),
    Sessions(sessions::Arguments),
    Tail(tail::Arguments),
    Turn(turn::Arguments),
    Completions(completions::Arguments),
}

/// Runs the command that `arguments` name.
#[must_use]
pub fn main(arguments: impl IntoIterator<Item = OsString>, environment: &Environment) -> ExitCode {
    match Arguments::try_parse_from(arguments) {
        Ok(Arguments { command }) => run(command, environment),
        Err(told) => {
            let asked = matches!(told.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            // Nobody is left to tell if the terminal is gone.
            let _ = told.print();
            if asked { ExitCode::SUCCESS } else { ExitCode::from(USAGE) }
        }
    }
}

fn run(command: Command, environment: &Environment) -> ExitCode {
    match command {
        Command::Serve(arguments) => serve::run(&arguments, environment),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Simbox(arguments) => simbox::run(*arguments),
        Command::Verify(arguments) => verify::run(&arguments),
        Command::Status(arguments) => ask("status", status::run(&arguments, environment)),
        Command::Health(arguments) => ask("health", health::run(&arguments, environment)),
        Command::Sessions(arguments) => ask("sessions", sessions::run(&arguments, environment)),
        Command::Tail(arguments) => ask("tail", tail::run(&arguments, environment)),
        Command::Turn(arguments) => ask("turn", turn::run(&arguments, environment)),
        Command::Completions(arguments) => {
            let told = completions::run(&arguments, Arguments::command());
            told.unwrap_or_else(|failure| failure.tell("completions"))
        }
    }
}

/// Runs a command that asks a running afterbay; one thread is enough for it.
fn ask(command: &str, asking: impl Future<Output = Result<ExitCode, Failure>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let asked = match runtime {
        Ok(runtime) => runtime.block_on(asking),
        Err(error) => Err(Failure::Refused(format!("start the runtime: {error}"))),
    };
    asked.unwrap_or_else(|failure| failure.tell(command))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_are_well_formed() {
        Arguments::command().debug_assert();
    }
}
