//! Songs from standard input and pipes, and a stem to standard output.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read, Write as _};
use std::path::{Path, PathBuf};

use super::interrupt::Spooling;
use super::source::Song;

/// Copies standard input (`-`) or a pipe to a temporary file, because a song is read twice.
///
/// # Errors
///
/// If standard input is a terminal, or the copy fails.
pub(super) fn spool(input: &Path, stdin_name: &str) -> io::Result<Song> {
    if input.as_os_str() == "-" {
        let stdin = io::stdin();
        if stdin.is_terminal() {
            return Err(io::Error::other(
                "standard input is a terminal; use a pipe or a file, as in `vocalizer separate - < song.mp3`",
            ));
        }
        return copy(stdin.lock(), input, PathBuf::from(stdin_name));
    }
    let name = PathBuf::from(input.file_name().unwrap_or(input.as_os_str()));
    copy(File::open(input)?, input, name)
}

fn copy(mut from: impl Read, input: &Path, name: PathBuf) -> io::Result<Song> {
    let mut file = tempfile::Builder::new().prefix("vocalizer-").tempfile()?;
    let _spooling = Spooling::of(file.path());
    io::copy(&mut from, &mut file)?;
    file.flush()?;
    let path = file.into_temp_path();
    Ok(Song { input: input.to_owned(), file: path.to_path_buf(), name, copy: Some(path) })
}

/// Copies a file to standard output. A reader that has read enough is no error.
///
/// # Errors
///
/// If the file cannot be read or standard output cannot be written.
pub(super) fn print_file(file: &Path) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let copied = io::copy(&mut File::open(file)?, &mut out).and_then(|_| out.flush());
    match copied {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(e),
        _ => Ok(()),
    }
}

/// Returns whether standard output is a terminal.
pub(super) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}
