//! The program `vocalizer`.

use std::process::ExitCode;

fn main() -> ExitCode {
    vocalizer::run(std::env::args_os())
}
