//! Locks between processes: a file that exists, and is locked, while a process works.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a change of a manifest by another process may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The time between two attempts.
const STEP: Duration = Duration::from_millis(5);

/// File systems whose file numbers change by themselves must not make this loop run forever.
const ATTEMPTS: u32 = 100;

/// A file that this process has locked. When it is dropped, the file is removed. If the process is killed, the system releases the lock,
/// and the file that is left means nothing.
#[derive(Debug)]
pub(super) struct LockFile {
    path: PathBuf,
    _file: File,
}

impl LockFile {
    /// Locks the file, which is created. Returns `None` if it is locked already, by another process or by this one.
    ///
    /// # Errors
    ///
    /// If the file cannot be created.
    pub(super) fn try_lock(path: &Path) -> io::Result<Option<Self>> {
        for attempt in 1.. {
            let Some(file) = open_locked(path)? else { break };
            // The holder before may have removed the file after it was opened here.
            if is_at(&file, path) || attempt == ATTEMPTS {
                return Ok(Some(Self { path: path.to_owned(), _file: file }));
            }
        }
        Ok(None)
    }

    /// Locks the file as soon as it is not locked any more.
    ///
    /// # Errors
    ///
    /// If the file cannot be created, or stays locked.
    pub(super) fn lock(path: &Path) -> io::Result<Self> {
        let started = Instant::now();
        loop {
            if let Some(locked) = Self::try_lock(path)? {
                return Ok(locked);
            }
            if started.elapsed() > PATIENCE {
                let why = format!("another process keeps {} locked", path.display());
                return Err(io::Error::new(io::ErrorKind::TimedOut, why));
            }
            std::thread::sleep(STEP);
        }
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // Before the lock is released, so that the file of the next holder is not removed.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(not(windows))]
fn open_locked(path: &Path) -> io::Result<Option<File>> {
    let file = File::options().create(true).truncate(false).write(true).open(path)?;
    match file.try_lock() {
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        // Some network drives have no locks; a song is split there without.
        Ok(()) | Err(std::fs::TryLockError::Error(_)) => Ok(Some(file)),
    }
}

/// On Windows, a file that is not shared is locked, and the system removes it when it is closed.
#[cfg(windows)]
fn open_locked(path: &Path) -> io::Result<Option<File>> {
    use std::os::windows::fs::OpenOptionsExt as _;
    const DELETE_ON_CLOSE: u32 = 0x0400_0000;
    const SHARING_VIOLATION: i32 = 32;
    let mut options = File::options();
    options.create(true).truncate(false).write(true).share_mode(0).custom_flags(DELETE_ON_CLOSE);
    match options.open(path) {
        Err(e) if e.raw_os_error() == Some(SHARING_VIOLATION) => Ok(None),
        opened => opened.map(Some),
    }
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let numbers = |meta: std::fs::Metadata| (meta.dev(), meta.ino());
    let here = file.metadata().map(numbers);
    here.is_ok_and(|here| std::fs::metadata(path).is_ok_and(|there| numbers(there) == here))
}

#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::LockFile;

    #[test]
    fn one_holder_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = LockFile::try_lock(&path).unwrap().unwrap();
        assert!(LockFile::try_lock(&path).unwrap().is_none());
        drop(held);
        assert!(!path.exists());
        // A file that a killed process has left means nothing.
        std::fs::write(&path, "").unwrap();
        assert!(LockFile::try_lock(&path).unwrap().is_some());
        assert!(LockFile::try_lock(&folder.path().join("missing/lock")).is_err());
    }

    /// Holders remove the file that others have opened already.
    #[test]
    fn removed_file_is_locked_by_one_holder() {
        let folder = tempfile::tempdir().unwrap();
        let (path, holders, turns) = (folder.path().join("lock"), AtomicU32::new(0), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let held = LockFile::lock(&path).unwrap();
                        assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0);
                        turns.fetch_add(1, Ordering::SeqCst);
                        holders.fetch_sub(1, Ordering::SeqCst);
                        drop(held);
                    }
                });
            }
        });
        assert_eq!(turns.load(Ordering::SeqCst), 200);
    }
}
