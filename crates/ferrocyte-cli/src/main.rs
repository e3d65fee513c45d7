//! The program `ferrocyte`: hands its arguments to [`ferrocyte_cli::run`].

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(ferrocyte_cli::run(std::env::args_os()))
}
