//! A blob without a name yet.

use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use vocalizer_core::ports::{BlobError, LocalRead};

use super::disk::{BLOCK_BYTES, blocking, new_file};
use super::temporary::{Temporaries, Temporary};

/// A blob being written to a temporary file. Buffers small chunks into blocks.
pub(crate) struct Draft {
    file: Arc<File>,
    collected: BytesMut,
    size_bytes: u64,
    // Declared last: the file is closed before it is removed.
    temporary: Temporary,
}

/// A complete blob in a temporary file.
pub(crate) struct Whole {
    pub(crate) file: Arc<File>,
    pub(crate) temporary: Temporary,
    pub(crate) size_bytes: u64,
}

impl Draft {
    pub(crate) async fn begin(temporaries: &Arc<Temporaries>) -> Result<Self, BlobError> {
        let temporaries = Arc::clone(temporaries);
        let (temporary, file) = blocking(move || temporaries.create(new_file)).await?;
        Ok(Self { file: Arc::new(file), collected: BytesMut::new(), size_bytes: 0, temporary })
    }

    pub(crate) async fn write(&mut self, mut bytes: Bytes) -> Result<(), BlobError> {
        self.size_bytes = self.size_bytes.saturating_add(bytes.len() as u64);
        while !bytes.is_empty() {
            if self.collected.is_empty() && bytes.len() >= BLOCK_BYTES {
                self.put(bytes.split_to(BLOCK_BYTES)).await?;
                continue;
            }
            let room = BLOCK_BYTES - self.collected.len();
            self.collected.extend_from_slice(&bytes.split_to(room.min(bytes.len())));
            if self.collected.len() == BLOCK_BYTES {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// Flushes and opens the file again.
    pub(crate) async fn reader(&mut self) -> Result<Box<dyn LocalRead>, BlobError> {
        self.flush().await?;
        let path = self.temporary.path().to_owned();
        Ok(Box::new(blocking(move || File::open(path)).await?))
    }

    pub(crate) async fn finish(mut self) -> Result<Whole, BlobError> {
        self.flush().await?;
        let Self { file, temporary, size_bytes, .. } = self;
        Ok(Whole { file, temporary, size_bytes })
    }

    async fn put(&mut self, bytes: Bytes) -> Result<(), BlobError> {
        if bytes.is_empty() {
            return Ok(());
        }
        let file = Arc::clone(&self.file);
        blocking(move || (&*file).write_all(&bytes)).await
    }

    async fn flush(&mut self) -> Result<(), BlobError> {
        let collected = self.collected.split().freeze();
        self.put(collected).await
    }
}
