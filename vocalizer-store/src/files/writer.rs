//! A blob on its way in.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use vocalizer_core::ports::{BlobError, BlobKey, BlobWriter};

use super::disk::{blocking, if_there, make_dir, sync_dir};
use super::draft::{Draft, Whole};
use super::store::path;
use super::tags::Tags;

/// How often a folder is made that a deletion takes away before the file is in it.
const TRIES: u32 = 16;

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

    async fn local_file(&mut self) -> Result<PathBuf, BlobError> {
        self.draft.local_file().await
    }

    async fn commit(self: Box<Self>, key: &BlobKey) -> Result<u64, BlobError> {
        let Self { root, tags, draft } = *self;
        let Whole { file, temporary, size_bytes } = draft.finish().await?;
        let key = *key;
        // In one piece: it goes on to its end when the caller has gone.
        blocking(move || {
            file.sync_all()?;
            drop(file);
            name(&root, temporary.path(), &key)?;
            tags.forget(&path(&root, &key));
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
