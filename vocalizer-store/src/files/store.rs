//! The [`FileBlobs`] type.

use std::fs::{self, FileTimes};
use std::io::{self, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use time::OffsetDateTime;
use vocalizer_core::ports::{Blob, BlobError, BlobKey, BlobStore, BlobWriter, MadeBlob, Space};
use vocalizer_core::song::SongHash;

use super::disk::{blocking, if_exists, make_dir, new_file, space, sync_dir};
use super::draft::Draft;
use super::layout::{INSTALLATION, path, shard};
use super::reader::blob;
use super::tags::Tags;
use super::temporary::Temporaries;
use super::writer::FileWriter;

/// A [`BlobStore`] in a local folder.
///
/// Completed writes and deletions survive a power failure, as far as the disk is reliable. Memory use does not grow
/// with the size of blobs. Only one process may use a folder at a time: files being written by another process look
/// like leftovers of a dead one. Clones share one store.
#[derive(Debug, Clone)]
pub struct FileBlobs {
    root: PathBuf,
    temporaries: Arc<Temporaries>,
    tags: Arc<Tags>,
}

impl FileBlobs {
    /// Opens the store in a folder. A missing folder is created, accessible to its owner only.
    ///
    /// # Errors
    ///
    /// [`BlobError::Full`] or [`BlobError::Unavailable`].
    pub async fn open(root: &Path) -> Result<Self, BlobError> {
        let root = root.to_owned();
        let temporaries = Temporaries::new(root.join("tmp"));
        let store = Self { root: root.clone(), temporaries, tags: Arc::default() };
        blocking(move || {
            make_dir(&root)?;
            make_dir(&root.join("tmp"))?;
            sync_dir(&root)?;
            root.parent().filter(|dir| !dir.as_os_str().is_empty()).map_or(Ok(()), sync_dir)
        })
        .await?;
        Ok(store)
    }

    /// Claims the blobs for an installation unless they are already claimed, and returns their owner.
    ///
    /// # Errors
    ///
    /// [`BlobError::Full`] or [`BlobError::Unavailable`].
    pub async fn claim(&self, installation: &str) -> Result<String, BlobError> {
        match self.owner().await? {
            Some(owner) => Ok(owner),
            None => self.adopt(installation).await.map(|()| installation.to_owned()),
        }
    }

    /// Returns the installation that owns the blobs.
    ///
    /// # Errors
    ///
    /// [`BlobError::Unavailable`].
    pub async fn owner(&self) -> Result<Option<String>, BlobError> {
        let path = self.root.join(INSTALLATION);
        let owner = blocking(move || if_exists(fs::read_to_string(path))).await?;
        Ok(owner.map(|owner| owner.trim().to_owned()))
    }

    /// Assigns the blobs to an installation, even if another one owns them.
    ///
    /// # Errors
    ///
    /// [`BlobError::Full`] or [`BlobError::Unavailable`].
    pub async fn adopt(&self, installation: &str) -> Result<(), BlobError> {
        let (root, temporaries) = (self.root.clone(), Arc::clone(&self.temporaries));
        let text = format!("{installation}\n");
        blocking(move || {
            let (temporary, mut file) = temporaries.create(new_file)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(temporary.path(), root.join(INSTALLATION))?;
            temporary.release();
            sync_dir(&root)
        })
        .await
    }
}

#[async_trait]
impl BlobStore for FileBlobs {
    async fn begin(&self) -> Result<Box<dyn BlobWriter>, BlobError> {
        Ok(Box::new(FileWriter::new(self.root.clone(), Arc::clone(&self.tags), Draft::begin(&self.temporaries).await?)))
    }

    async fn open(&self, key: &BlobKey, range: Option<Range<u64>>) -> Result<Option<Blob>, BlobError> {
        let path = path(&self.root, key);
        let (opens, root, is_made) = (path.clone(), self.root.clone(), key.is_made());
        let opened = blocking(move || {
            let Some(file) = if_exists(fs::File::open(&opens))? else { return check_root(&root).map(|()| None) };
            if is_made {
                // For `made`: most systems do not record every access. If this fails, the last recorded access counts.
                let _ = file.set_times(FileTimes::new().set_accessed(SystemTime::now()));
            }
            let found = file.metadata()?;
            Ok(Some((Arc::new(file), found)))
        });
        let Some((file, found)) = opened.await? else { return Ok(None) };
        let tag = self.tags.of(&path, &file, &found).await?;
        blob(file, found.len(), tag, range).map(Some)
    }

    async fn size_bytes(&self, key: &BlobKey) -> Result<Option<u64>, BlobError> {
        let (path, root) = (path(&self.root, key), self.root.clone());
        blocking(move || match if_exists(fs::metadata(&path))? {
            Some(found) => Ok(Some(found.len())),
            None => check_root(&root).map(|()| None),
        })
        .await
    }

    async fn delete_all(&self, hash: &SongHash) -> Result<(), BlobError> {
        let shard = shard(&self.root, hash);
        let dir = shard.join(hash.to_string());
        let temporaries = Arc::clone(&self.temporaries);
        blocking(move || {
            if if_exists(fs::symlink_metadata(&shard))?.is_none() {
                return Ok(());
            }
            let (trash, _) = temporaries.create(|trash| if_exists(fs::rename(&dir, trash)))?;
            // Also if nothing was there: another process may have deleted it and died before the sync.
            sync_dir(&shard)?;
            trash.remove()
        })
        .await
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), BlobError> {
        let path = path(&self.root, key);
        blocking(move || if_exists(fs::remove_file(&path)).map(|_| ())).await
    }

    /// The last use is the access time, which [`Self::open`] sets.
    async fn made(&self) -> Result<Vec<MadeBlob>, BlobError> {
        let root = self.root.clone();
        blocking(move || {
            let mut made = Vec::new();
            for shard in fs::read_dir(&root)? {
                for dir in entries(&shard?.path())? {
                    let Some(hash) = dir.file_name().and_then(|name| name.to_str()?.parse().ok()) else { continue };
                    for path in entries(&dir.join("made"))? {
                        let name = path.file_name().and_then(|name| name.to_str());
                        let Some(key) = name.and_then(|name| BlobKey::of_made(hash, name)) else { continue };
                        let Some(found) = if_exists(fs::symlink_metadata(&path))? else { continue };
                        let used = OffsetDateTime::from(found.accessed().or_else(|_| found.modified())?);
                        made.push(MadeBlob { key, size_bytes: found.len(), used });
                    }
                }
            }
            Ok(made)
        })
        .await
    }

    async fn hashes(&self) -> Result<Vec<SongHash>, BlobError> {
        let root = self.root.clone();
        blocking(move || {
            let mut hashes = Vec::new();
            for shard in fs::read_dir(&root)? {
                let shard = shard?.path();
                for dir in entries(&shard)? {
                    let Some(hash) = dir.file_name().and_then(|name| name.to_str()?.parse().ok()) else { continue };
                    // An empty folder is left by an interrupted commit; it has no blobs.
                    if has_files(&dir)? {
                        hashes.push(hash);
                    }
                }
            }
            Ok(hashes)
        })
        .await
    }

    async fn last_written(&self, hash: &SongHash) -> Result<Option<OffsetDateTime>, BlobError> {
        let dir = shard(&self.root, hash).join(hash.to_string());
        Ok(blocking(move || last_written(&dir)).await?.map(OffsetDateTime::from))
    }

    async fn space(&self) -> Result<Option<Space>, BlobError> {
        let root = self.root.clone();
        blocking(move || space(&root)).await
    }

    async fn sweep(&self) -> Result<u64, BlobError> {
        let temporaries = Arc::clone(&self.temporaries);
        blocking(move || temporaries.sweep()).await
    }
}

/// Fails if the store's folder is missing. If it was removed or is not mounted, a missing blob is not gone, and a song
/// must not fail because of it.
fn check_root(root: &Path) -> io::Result<()> {
    let found = fs::metadata(root.join("tmp"));
    found.map(|_| ()).map_err(|error| io::Error::new(error.kind(), format!("{} does not exist", root.display())))
}

/// Returns when the newest file below a folder was written.
fn last_written(dir: &Path) -> io::Result<Option<SystemTime>> {
    let mut newest = None;
    for path in entries(dir)? {
        let Some(found) = if_exists(fs::symlink_metadata(&path))? else { continue };
        let written = if found.is_dir() { last_written(&path)? } else { Some(found.modified()?) };
        newest = newest.max(written);
    }
    Ok(newest)
}

/// Returns the entries of a folder; empty if it is missing or not a folder.
fn entries(dir: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(dir) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Whether there is a file below a folder.
fn has_files(dir: &Path) -> io::Result<bool> {
    for path in entries(dir)? {
        let is_dir = if_exists(fs::symlink_metadata(&path))?.map(|found| found.is_dir());
        if is_dir == Some(false) || is_dir == Some(true) && has_files(&path)? {
            return Ok(true);
        }
    }
    Ok(false)
}
