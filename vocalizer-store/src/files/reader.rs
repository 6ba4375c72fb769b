//! Reading an open file as a blob.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use vocalizer_core::ports::{Blob, BlobError};

use super::disk::blocking;

/// Reads from an open file, whose content stays the same if its name is replaced or removed.
pub(super) fn blob(
    file: Arc<File>,
    size_bytes: u64,
    tag: String,
    range: Option<Range<u64>>,
) -> Result<Blob, BlobError> {
    let Range { start, end } = match range {
        None => 0..size_bytes,
        Some(range) if range.start < range.end && range.end <= size_bytes => range,
        Some(_) => return Err(BlobError::Range { size_bytes }),
    };
    Ok(Blob::in_pieces(end - start, tag, move |piece| {
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
