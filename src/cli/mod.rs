//! The command line: which command, which exit code.
//!
//! 0: it did what it was told, `--help` and a stop by signal included. 1: it could not, at run
//! time. 2: the command or the configuration is wrong; everything that is wrong is on stderr.
//! `verify` gives 1 to what it finds to be wrong, and 2 to what it cannot look at.
//! A second signal exits with 128 plus its number, as a shell would say it.

mod demo;
mod serve;
mod simbox;
mod verify;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

use crate::config::Environment;

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
}

/// Runs the command that `arguments` name.
#[must_use]
pub fn main(arguments: impl IntoIterator<Item = OsString>, environment: &Environment) -> ExitCode {
    match Arguments::try_parse_from(arguments) {
        Ok(Arguments { command: Command::Serve(arguments) }) => serve::run(&arguments, environment),
        Ok(Arguments { command: Command::Demo(arguments) }) => demo::run(&arguments),
        Ok(Arguments { command: Command::Simbox(arguments) }) => simbox::run(*arguments),
        Ok(Arguments { command: Command::Verify(arguments) }) => verify::run(&arguments),
        Err(told) => {
            let asked = matches!(told.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            // Nobody is left to tell if the terminal is gone.
            let _ = told.print();
            if asked { ExitCode::SUCCESS } else { ExitCode::from(USAGE) }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_commands_are_well_formed() {
        Arguments::command().debug_assert();
    }
}
