//! Standard output and standard error, without panics: the reader of a pipe may be gone, and a disk full.

use std::fmt;
use std::io::{self, Write as _};
use std::sync::OnceLock;

/// Prints a line on standard output.
macro_rules! outln {
    ($($text:tt)*) => { $crate::output::print(&format!("{}\n", format_args!($($text)*))) };
}

/// Prints a line on standard error.
macro_rules! errln {
    ($($text:tt)*) => { $crate::output::write_stderr(format_args!($($text)*)) };
}

pub(crate) use {errln, outln};

/// Why standard output could not be written.
static FAILURE: OnceLock<io::Error> = OnceLock::new();

/// Writes to standard output. A closed pipe is no failure: its reader has read enough.
pub(crate) fn print(text: &str) {
    let mut out = io::stdout().lock();
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush())
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        let _ = FAILURE.set(error);
    }
}

/// Writes a line to standard error. There is no place to report a failure.
pub(crate) fn write_stderr(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Returns why output was lost, if it was.
pub(crate) fn failure() -> Option<&'static io::Error> {
    FAILURE.get()
}
