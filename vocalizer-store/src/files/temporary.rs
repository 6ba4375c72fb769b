//! Temporary files and folders.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;

use super::disk::if_exists;

/// Registers the files of this process, to distinguish them from those of a dead one.
#[derive(Debug)]
pub(crate) struct Temporaries {
    dir: PathBuf,
    next: AtomicU64,
    live: Mutex<HashSet<PathBuf>>,
}

/// A path in the folder, registered while a file exists there. Dropping it removes the file, in the background if
/// possible.
#[derive(Debug)]
pub(crate) struct Temporary {
    /// `None` once removed or released.
    path: Option<PathBuf>,
    registry: Arc<Temporaries>,
}

impl Temporaries {
    pub(crate) fn new(dir: PathBuf) -> Arc<Self> {
        Arc::new(Self { dir, next: AtomicU64::new(0), live: Mutex::default() })
    }

    /// The folder.
    #[cfg(feature = "s3")]
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Creates a file or folder at an unused path.
    pub(crate) fn create<T>(self: &Arc<Self>, make: impl Fn(&Path) -> io::Result<T>) -> io::Result<(Temporary, T)> {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let path = self.dir.join(format!("{}-{number}", process::id()));
            // Registered before it exists, so that no sweep removes it.
            self.live().insert(path.clone());
            let made = make(&path);
            let temporary = Temporary { path: Some(path.clone()), registry: Arc::clone(self) };
            match made {
                Ok(made) => return Ok((temporary, made)),
                Err(error) => {
                    temporary.release();
                    // A dead process with the same ID left something there; the sweep removes it. The kind of error
                    // depends on `make`: a folder cannot be renamed to a file.
                    if fs::symlink_metadata(&path).is_err() {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Removes unregistered entries and returns their number.
    pub(crate) fn sweep(&self) -> io::Result<u64> {
        let mut swept = 0;
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            if !self.live().contains(&path) && remove(&path)? {
                swept += 1;
            }
        }
        Ok(swept)
    }

    /// Removes and unregisters a path.
    fn remove(&self, path: &Path) -> io::Result<()> {
        let removed = remove(path);
        self.live().remove(path);
        removed.map(|_| ())
    }

    /// Ignores poisoning: no critical section leaves a partial change.
    fn live(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Temporary {
    pub(crate) fn path(&self) -> &Path {
        self.path.as_deref().unwrap_or(Path::new(""))
    }

    /// Removes the file.
    pub(crate) fn remove(mut self) -> io::Result<()> {
        self.path.take().map_or(Ok(()), |path| self.registry.remove(&path))
    }

    /// Unregisters the path without removing it: the file was renamed, or belongs to another process.
    pub(crate) fn release(mut self) {
        if let Some(path) = self.path.take() {
            self.registry.live().remove(&path);
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let Some(path) = self.path.take() else { return };
        let registry = Arc::clone(&self.registry);
        // If removal fails, also at runtime shutdown, the next process sweeps it up.
        match Handle::try_current() {
            // Removing a large file takes time, and this may run on an async worker thread.
            Ok(runtime) => drop(runtime.spawn_blocking(move || registry.remove(&path))),
            Err(_) => drop(registry.remove(&path)),
        }
    }
}

/// Removes a file, or a folder with its content. Returns whether it existed.
fn remove(path: &Path) -> io::Result<bool> {
    let Some(found) = if_exists(fs::symlink_metadata(path))? else { return Ok(false) };
    let removed = if found.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    Ok(if_exists(removed)?.is_some())
}
