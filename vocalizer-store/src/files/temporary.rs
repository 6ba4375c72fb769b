//! Names in the folder for what is under way.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;

use super::disk::if_there;

/// Tells what this process is at from what a dead one left: only the former is registered here.
#[derive(Debug)]
pub(crate) struct Temporaries {
    dir: PathBuf,
    next: AtomicU64,
    live: Mutex<HashSet<PathBuf>>,
}

/// A path in the folder, registered as long as something lies there. Dropping it removes that, in the background where
/// it can.
#[derive(Debug)]
pub(crate) struct Temporary {
    /// `None` once nothing is left to do.
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

    /// Makes something at a path at which nothing lies yet.
    pub(crate) fn create<T>(self: &Arc<Self>, make: impl Fn(&Path) -> io::Result<T>) -> io::Result<(Temporary, T)> {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let path = self.dir.join(format!("{}-{number}", process::id()));
            // Registered before it is there, so that no sweep comes in between.
            self.live().insert(path.clone());
            let made = make(&path);
            let temporary = Temporary { path: Some(path.clone()), registry: Arc::clone(self) };
            match made {
                Ok(made) => return Ok((temporary, made)),
                Err(error) => {
                    temporary.release();
                    // What a dead process of the same number left is for the sweep. The error then depends on what is made:
                    // a folder cannot be renamed to a file.
                    if fs::symlink_metadata(&path).is_err() {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Removes what nobody is at, and says how much that was.
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

    /// Removes what was registered.
    fn remove(&self, path: &Path) -> io::Result<()> {
        let removed = remove(path);
        self.live().remove(path);
        removed.map(|_| ())
    }

    /// Also after a panic elsewhere: a set is never half changed.
    fn live(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Temporary {
    pub(crate) fn path(&self) -> &Path {
        self.path.as_deref().unwrap_or(Path::new(""))
    }

    /// Removes what lies there.
    pub(crate) fn remove(mut self) -> io::Result<()> {
        self.path.take().map_or(Ok(()), |path| self.registry.remove(&path))
    }

    /// Leaves alone what lies there: it has got a name, or is somebody else's.
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
        // What cannot be removed now, also since the runtime is about to end, is swept up by the next process.
        match Handle::try_current() {
            // To remove a large file takes a while, and a dropped upload is dropped on a thread that has other things
            // to do.
            Ok(runtime) => drop(runtime.spawn_blocking(move || registry.remove(&path))),
            Err(_) => drop(registry.remove(&path)),
        }
    }
}

/// Removes a file, or a folder with all that is in it; whether there was one.
fn remove(path: &Path) -> io::Result<bool> {
    let Some(found) = if_there(fs::symlink_metadata(path))? else { return Ok(false) };
    let removed = if found.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    Ok(if_there(removed)?.is_some())
}
