//! Parse, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    grok_speaker::cli::main()
}
