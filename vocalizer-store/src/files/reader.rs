//! A blob on its way out.

use std::fs::{File, Metadata};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::time::UNIX_EPOCH;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::task::{JoinHandle, spawn_blocking};
use vocalizer_core::ports::{BlobError, BlobReader};

use super::disk::sorted;

/// Most bytes in a chunk.
const CHUNK_BYTES: u64 = 128 * 1024;

/// Reads from an open file, which stays what it was when its name is given to another or to none.
pub(super) struct FileReader {
    size_bytes: u64,
    tag: String,
    left_bytes: u64,
    state: State,
}

enum State {
    /// Nothing under way.
    Idle(File),
    /// A chunk is being read. A dropped call leaves it to the next one, and so no bytes get lost.
    Reading(JoinHandle<io::Result<(File, Bytes)>>),
    /// It failed, and there is nothing to go on with.
    Failed,
}

impl FileReader {
    pub(super) fn new(file: File, found: &Metadata, range: Option<Range<u64>>) -> Result<Self, BlobError> {
        let size_bytes = found.len();
        let (start, left_bytes) = match range {
            None => (0, size_bytes),
            Some(Range { start, end }) if start < end && end <= size_bytes => (start, end - start),
            Some(_) => return Err(BlobError::Range { size_bytes }),
        };
        let mut file = file;
        // Moves no bytes and asks no disk.
        file.seek(SeekFrom::Start(start)).map_err(sorted)?;
        Ok(Self { size_bytes: left_bytes, tag: tag(found), left_bytes, state: State::Idle(file) })
    }
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

#[async_trait]
impl BlobReader for FileReader {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn tag(&self) -> String {
        self.tag.clone()
    }

    async fn next_chunk(&mut self) -> Result<Option<Bytes>, BlobError> {
        if self.left_bytes == 0 {
            return Ok(None);
        }
        let most_bytes = self.left_bytes.min(CHUNK_BYTES);
        self.state = match std::mem::replace(&mut self.state, State::Failed) {
            State::Idle(file) => State::Reading(spawn_blocking(move || chunk(file, most_bytes))),
            under_way => under_way,
        };
        let State::Reading(reading) = &mut self.state else {
            return Err(BlobError::Unavailable("reading failed before".into()));
        };
        let read = reading.await;
        self.state = State::Failed;
        let (file, bytes) = read.map_err(|error| BlobError::Unavailable(error.into()))?.map_err(sorted)?;
        self.left_bytes -= bytes.len() as u64;
        self.state = State::Idle(file);
        Ok(Some(bytes))
    }
}

fn chunk(mut file: File, most_bytes: u64) -> io::Result<(File, Bytes)> {
    let mut chunk = Vec::with_capacity(usize::try_from(most_bytes).unwrap_or(0));
    file.by_ref().take(most_bytes).read_to_end(&mut chunk)?;
    if chunk.is_empty() {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter"));
    }
    Ok((file, chunk.into()))
}
