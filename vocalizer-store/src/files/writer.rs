//! A blob on its way in.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use vocalizer_core::ports::{BlobError, BlobKey, BlobWriter};

use super::disk::{BLOCK_BYTES, blocking, if_there, make_dir, sync_dir};
use super::store::path;
use super::temporary::Temporary;

/// How often a folder is made that a deletion takes away before the file is in it.
const TRIES: u32 = 16;

/// Collects small pieces, so that the disk is asked once per block.
pub(super) struct FileWriter {
    root: PathBuf,
    file: Arc<File>,
    collected: BytesMut,
    size_bytes: u64,
    // Last: the file is closed before it is removed.
    temporary: Temporary,
}

impl FileWriter {
    pub(super) fn new(root: PathBuf, temporary: Temporary, file: File) -> Self {
        Self { root, file: Arc::new(file), collected: BytesMut::new(), size_bytes: 0, temporary }
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

#[async_trait]
impl BlobWriter for FileWriter {
    async fn write(&mut self, mut bytes: Bytes) -> Result<(), BlobError> {
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

    async fn local_file(&mut self) -> Result<PathBuf, BlobError> {
        self.flush().await?;
        Ok(self.temporary.path().to_owned())
    }

    async fn commit(mut self: Box<Self>, key: &BlobKey) -> Result<u64, BlobError> {
        self.flush().await?;
        let Self { root, file, temporary, size_bytes, .. } = *self;
        let key = *key;
        // In one piece: it goes on to its end when the caller has gone.
        blocking(move || {
            file.sync_all()?;
            drop(file);
            name(&root, temporary.path(), &key)?;
            temporary.release();
            Ok(size_bytes)
        })
        .await
    }
}

/// Gives a file the name of a blob, durably.
fn name(root: &Path, file: &Path, key: &BlobKey) -> io::Result<()> {
    let path = path(root, key);
    let dirs: Vec<_> = path.ancestors().skip(1).take_while(|&dir| dir != root).collect();
    let once = || dirs.iter().rev().try_for_each(|dir| make_dir(dir)).and_then(|()| fs::rename(file, &path));
    let mut named = if_there(once())?;
    for _ in 1..TRIES {
        named = if named.is_some() { break } else { if_there(once())? };
    }
    named.ok_or(io::ErrorKind::NotFound)?;
    // Up to the root, and also those that were there: whoever made them may not have got so far.
    for dir in dirs.into_iter().chain([root]) {
        if_there(sync_dir(dir))?;
    }
    Ok(())
}
