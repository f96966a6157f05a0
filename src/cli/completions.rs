//! `afterbay completions`: what a shell needs to complete this program's commands and flags.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Command;

use super::failure::Failure;

/// Print a script that teaches a shell to complete this program's commands and flags
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct Arguments {
    /// The shell
    shell: clap_complete::Shell,
}

const HELP: &str = "\
Examples:
  source <(afterbay completions bash)
  afterbay completions bash > /etc/bash_completion.d/afterbay
  afterbay completions zsh > ~/.zfunc/_afterbay
  afterbay completions fish > ~/.config/fish/completions/afterbay.fish";

/// Prints it.
pub(super) fn run(arguments: &Arguments, mut command: Command) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "afterbay", &mut script);
    let mut out = io::stdout().lock();
    out.write_all(&script)?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
