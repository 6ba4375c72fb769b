//! Passwords that an operator sets. They are never arguments, which other users of the machine can see.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use vocalizer_core::ports::BoxError;
use vocalizer_core::secret::Secret;

/// A longer file is not one with a password.
const MAX_BYTES: u64 = 4096;

/// Reads the first line of a file, or of standard input if it is `-`.
pub(super) fn read(path: &Path) -> Result<Secret<String>, BoxError> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        io::stdin().take(MAX_BYTES).read_to_string(&mut text)
    } else {
        File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text))
    };
    read.map_err(|error| format!("cannot read the password from {}: {error}", path.display()))?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(Secret::new(line.to_owned())),
        _ => Err(format!("{} has no password in its first line", path.display()).into()),
    }
}
