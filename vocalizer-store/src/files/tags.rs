//! Tags (ETags) of files, derived only from their content.
//!
//! Equal songs share one file. A tag from its path or time would reveal to every uploader when the song was first
//! stored, and would change when a backup is restored.

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

/// Maximum number of cached tags.
const MAX_CACHED: usize = 10_000;

/// Maximum number of files hashed in parallel.
const LOCKS: usize = 8;

/// A cache of tags. Each process reads a file once for its tag, on its first use.
#[derive(Debug, Default)]
pub(super) struct Tags {
    cache: Mutex<HashMap<PathBuf, (Stamp, String)>>,
    locks: [tokio::sync::Mutex<()>; LOCKS],
}

/// Distinguishes a file from its replacement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    size_bytes: u64,
    identity: u64,
    modified: Option<SystemTime>,
}

impl Tags {
    /// Returns the tag of an open file.
    pub(super) async fn of(&self, path: &Path, file: &Arc<File>, found: &Metadata) -> Result<String, BlobError> {
        let stamp = Stamp { size_bytes: found.len(), identity: identity(found), modified: found.modified().ok() };
        if let Some(tag) = self.known(path, stamp) {
            return Ok(tag);
        }
        // Of concurrent requests for a new file, only one reads it.
        let _guard = match self.locks.get(lock_index(path)) {
            Some(lock) => Some(lock.lock().await),
            None => None,
        };
        if let Some(tag) = self.known(path, stamp) {
            return Ok(tag);
        }
        let file = Arc::clone(file);
        let tag = blocking(move || tag(&file)).await?;
        let mut cache = self.cache();
        if cache.len() >= MAX_CACHED {
            cache.clear();
        }
        cache.insert(path.to_owned(), (stamp, tag.clone()));
        Ok(tag)
    }

    /// Forgets the tag of a replaced file.
    pub(super) fn forget(&self, path: &Path) {
        self.cache().remove(path);
    }

    fn known(&self, path: &Path, stamp: Stamp) -> Option<String> {
        self.cache().get(path).filter(|(known, _)| *known == stamp).map(|(_, tag)| tag.clone())
    }

    fn cache(&self) -> MutexGuard<'_, HashMap<PathBuf, (Stamp, String)>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the same lock for the same path.
fn lock_index(path: &Path) -> usize {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    usize::try_from(hasher.finish() % LOCKS as u64).unwrap_or_default()
}

/// Uses half of a SHA-256, which is enough to distinguish versions of a file.
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
