//! Arguments and environment in, exit code out. Everything else is the library's.

use std::process::ExitCode;

use afterbay::config::Environment;

fn main() -> ExitCode {
    afterbay::cli::main(std::env::args_os(), &Environment::of_process())
}
