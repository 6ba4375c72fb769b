//! Exit codes and error lines.

use std::error::Error;
use std::process::ExitCode;

use vocalizer_core::causes::chain;

use crate::output::errln;

/// Exit codes of all commands but `remote`, which has its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Done = 0,
    /// The command failed, or some of its inputs.
    Failed = 1,
    Usage = 2,
    Weights = 3,
    AllFailed = 4,
    #[cfg(feature = "separate")]
    Device = 5,
    #[cfg(feature = "separate")]
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Prints an error and its causes on standard error.
pub(crate) fn print_error(error: &dyn Error) {
    errln!("vocalizer: {}", chain(error));
}

/// Prints an error and returns the exit code of a failure.
pub(crate) fn failed(error: &dyn Error) -> ExitCode {
    print_error(error);
    Exit::Failed.into()
}

/// Prints an error in the command line or a setting and returns its exit code.
pub(crate) fn misused(error: &dyn Error) -> ExitCode {
    print_error(error);
    Exit::Usage.into()
}
