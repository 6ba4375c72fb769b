//! Tags of files, made from their bytes alone.
//!
//! Blobs of equal songs are one file. A tag made of the file's place or time would tell every uploader of a song when it
//! was first stored, and change when a backup is restored.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use vocalizer_core::ports::BlobError;
use vocalizer_core::song::SongHasher;

use super::disk::{BLOCK_BYTES, blocking};

/// How many tags are kept in memory.
const MOST_KEPT: usize = 10_000;

/// How many files are hashed at the same time.
const LANES: usize = 8;

/// The tags of files that were opened. A file is read once for its tag, at its first use by this process.
#[derive(Debug, Default)]
pub(super) struct Tags {
    kept: Mutex<HashMap<PathBuf, (Stamp, String)>>,
    lanes: [tokio::sync::Mutex<()>; LANES],
}

/// Tells a file from one that replaces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    size_bytes: u64,
    identity: u64,
    modified: Option<SystemTime>,
}

impl Tags {
    /// The tag of an open file.
    pub(super) async fn of(&self, path: &Path, file: &Arc<File>, found: &Metadata) -> Result<String, BlobError> {
        let stamp = Stamp { size_bytes: found.len(), identity: identity(found), modified: found.modified().ok() };
        if let Some(tag) = self.known(path, stamp) {
            return Ok(tag);
        }
        // Of many who ask for a new file at once, one reads it.
        let _alone = match self.lanes.get(lane(path)) {
            Some(lane) => Some(lane.lock().await),
            None => None,
        };
        if let Some(tag) = self.known(path, stamp) {
            return Ok(tag);
        }
        let file = Arc::clone(file);
        let tag = blocking(move || tag(&file)).await?;
        let mut kept = self.kept();
        if kept.len() >= MOST_KEPT {
            kept.clear();
        }
        kept.insert(path.to_owned(), (stamp, tag.clone()));
        Ok(tag)
    }

    /// A file gets a new one's place.
    pub(super) fn forget(&self, path: &Path) {
        self.kept().remove(path);
    }

    fn known(&self, path: &Path, stamp: Stamp) -> Option<String> {
        self.kept().get(path).filter(|(known, _)| *known == stamp).map(|(_, tag)| tag.clone())
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<PathBuf, (Stamp, String)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The same lane for the same file.
fn lane(path: &Path) -> usize {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    usize::try_from(hasher.finish() % LANES as u64).unwrap_or_default()
}

/// Half of a SHA-256 is more than enough to tell versions of a file apart.
fn tag(mut file: &File) -> io::Result<String> {
    file.seek(SeekFrom::Start(0))?;
    let mut hasher = SongHasher::new();
    let mut block = vec![0; BLOCK_BYTES];
    loop {
        match file.read(&mut block)? {
            0 => break,
            read => hasher.update(block.get(..read).unwrap_or_default()),
        }
    }
    Ok(format!("{:.32}", hasher.finish().to_string()))
}

#[cfg(unix)]
fn identity(found: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(found)
}

#[cfg(not(unix))]
fn identity(_found: &Metadata) -> u64 {
    0
}
