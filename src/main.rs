//! Arguments and environment in, exit code out. Everything else is the library's.

use std::process::ExitCode;

use afterbay::config::Environment;

/// Many small events a second, most of them short-lived: less memory and time than with the
/// system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    afterbay::cli::main(std::env::args_os(), &Environment::of_process())
}
