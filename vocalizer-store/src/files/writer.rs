//! Writing a blob.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use vocalizer_core::ports::{BlobError, BlobKey, BlobWriter, LocalRead};

use super::disk::{blocking, if_exists, make_dir, sync_dir};
use super::draft::{Draft, Whole};
use super::layout::path;
use super::tags::Tags;

/// How often to create a folder that a concurrent deletion removes before the rename.
const MAX_ATTEMPTS: u32 = 16;

pub(super) struct FileWriter {
    root: PathBuf,
    tags: Arc<Tags>,
    draft: Draft,
}

impl FileWriter {
    pub(super) fn new(root: PathBuf, tags: Arc<Tags>, draft: Draft) -> Self {
        Self { root, tags, draft }
    }
}

#[async_trait]
impl BlobWriter for FileWriter {
    async fn write(&mut self, bytes: Bytes) -> Result<(), BlobError> {
        self.draft.write(bytes).await
    }

    async fn reader(&mut self) -> Result<Box<dyn LocalRead>, BlobError> {
        self.draft.reader().await
    }

    async fn commit(self: Box<Self>, key: &BlobKey) -> Result<u64, BlobError> {
        let Self { root, tags, draft } = *self;
        let Whole { file, temporary, size_bytes } = draft.finish().await?;
        let key = *key;
        // One blocking operation: it completes even if the caller is dropped.
        blocking(move || {
            file.sync_all()?;
            drop(file);
            rename(&root, temporary.path(), &key)?;
            tags.forget(&path(&root, &key));
            temporary.release();
            Ok(size_bytes)
        })
        .await
    }
}

/// Renames a file to a blob's path, durably.
fn rename(root: &Path, file: &Path, key: &BlobKey) -> io::Result<()> {
    let path = path(root, key);
    let dirs: Vec<_> = path.ancestors().skip(1).take_while(|&dir| dir != root).collect();
    let attempt = || dirs.iter().rev().try_for_each(|dir| make_dir(dir)).and_then(|()| fs::rename(file, &path));
    let mut renamed = if_exists(attempt())?;
    for _ in 1..MAX_ATTEMPTS {
        renamed = if renamed.is_some() { break } else { if_exists(attempt())? };
    }
    renamed.ok_or(io::ErrorKind::NotFound)?;
    // Sync up to the root, including existing folders: the process that created them may have died before its sync.
    for dir in dirs.into_iter().chain([root]) {
        if_exists(sync_dir(dir))?;
    }
    Ok(())
}
