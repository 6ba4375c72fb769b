//! The temporary file of a blob that is being written.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::stream::{Stream, try_unfold};
use tokio::task::spawn_blocking;
use vocalizer_core::ports::BlobError;

use crate::failed;

/// Bytes per read of an upload.
const BLOCK_BYTES: u64 = 1024 * 1024;

/// A file without a name. The operating system removes it when it is closed, even if the process is killed.
pub(crate) struct Spool {
    file: Arc<Mutex<File>>,
    size_bytes: u64,
}

impl Spool {
    pub(crate) async fn create(dir: PathBuf) -> Result<Self, BlobError> {
        let file = blocking(move || tempfile::tempfile_in(dir)).await?;
        Ok(Self { file: Arc::new(Mutex::new(file)), size_bytes: 0 })
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    pub(crate) async fn append(&mut self, bytes: Bytes) -> Result<(), BlobError> {
        let (file, end, len) = (Arc::clone(&self.file), self.size_bytes, bytes.len() as u64);
        blocking(move || {
            let mut file = lock(&file);
            // A reader may have moved the position.
            file.seek(SeekFrom::Start(end))?;
            file.write_all(&bytes)
        })
        .await?;
        self.size_bytes += len;
        Ok(())
    }

    /// Returns a reader of the bytes written so far.
    pub(crate) fn reader(&self) -> Reader {
        Reader { file: Arc::clone(&self.file), size_bytes: self.size_bytes, at: 0 }
    }

    /// Reads the bytes written so far, block by block.
    pub(crate) fn blocks(&self) -> impl Stream<Item = Result<Bytes, BlobError>> + Send {
        try_unfold(self.reader(), |mut reader| {
            blocking(move || {
                let mut block = Vec::new();
                reader.by_ref().take(BLOCK_BYTES).read_to_end(&mut block)?;
                Ok((!block.is_empty()).then(|| (block.into(), reader)))
            })
        })
    }
}

/// A reader with its own position in the shared file.
pub(crate) struct Reader {
    file: Arc<Mutex<File>>,
    size_bytes: u64,
    at: u64,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left_bytes = self.size_bytes.saturating_sub(self.at);
        let mut file = lock(&self.file);
        file.seek(SeekFrom::Start(self.at))?;
        let read = (&mut *file).take(left_bytes).read(buffer)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(offset) => self.at.checked_add_signed(offset),
            SeekFrom::End(offset) => self.size_bytes.checked_add_signed(offset),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

fn lock(file: &Mutex<File>) -> MutexGuard<'_, File> {
    file.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a blocking operation on a blocking thread.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, BlobError> {
    spawn_blocking(work).await.map_err(failed)?.map_err(failed)
}
