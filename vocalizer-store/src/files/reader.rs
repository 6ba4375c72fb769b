//! An open file as a blob.

use std::fs::{File, Metadata};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use vocalizer_core::ports::{Blob, BlobError};

use super::disk::blocking;

/// Reads from an open file, which stays what it was when its name is given to another or to none.
pub(super) fn blob(file: File, found: &Metadata, range: Option<Range<u64>>) -> Result<Blob, BlobError> {
    let size_bytes = found.len();
    let Range { start, end } = match range {
        None => 0..size_bytes,
        Some(range) if range.start < range.end && range.end <= size_bytes => range,
        Some(_) => return Err(BlobError::Range { size_bytes }),
    };
    let file = Arc::new(file);
    Ok(Blob::in_pieces(end - start, tag(found), move |piece| {
        let file = Arc::clone(&file);
        blocking(move || read(&file, start + piece.start, piece.end - piece.start))
    }))
}

fn read(mut file: &File, start: u64, len: u64) -> io::Result<Bytes> {
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::with_capacity(usize::try_from(len).map_err(io::Error::other)?);
    file.take(len).read_to_end(&mut bytes)?;
    Ok(bytes.into())
}

/// Every commit makes a new file, so which file it is and when it was written tell its bytes apart from others.
fn tag(found: &Metadata) -> String {
    let written = found.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let written_ns = written.map_or(0, |time| time.as_nanos());
    format!("{:x}-{:x}-{written_ns:x}", found.len(), identity(found))
}

#[cfg(unix)]
fn identity(found: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(found)
}

#[cfg(not(unix))]
fn identity(_found: &Metadata) -> u64 {
    0
}
