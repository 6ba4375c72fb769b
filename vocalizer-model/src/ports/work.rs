//! Temporary folders for jobs in progress.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tempfile::TempDir;
use tokio::task::spawn_blocking;
use vocalizer_core::ports::{AudioError, Blob, BlobError};

use super::{error, pool};

/// Name prefix of the job folders; a killed process may leave some behind.
const PREFIX: &str = "vocalizer-work-";

/// A file in each job folder that is locked while its process works there.
const LOCK: &str = "lock";

/// Removes the job folders of killed processes from the work folder and returns how many there were. Leaves folders
/// that a process still uses, and all other files. A missing work folder is not an error.
///
/// # Errors
///
/// If the folder cannot be read, or something in it cannot be removed.
pub fn sweep_work_dir(dir: &Path) -> io::Result<u64> {
    let entries = match fs::read_dir(dir) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut swept = 0;
    for entry in entries {
        let entry = entry?;
        let ours = entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes());
        if ours && entry.file_type()?.is_dir() && sweep(&entry.path())? {
            swept += 1;
        }
    }
    Ok(swept)
}

/// Removes a job folder, unless its process still runs.
fn sweep(dir: &Path) -> io::Result<bool> {
    let removed = match lock(dir) {
        Ok(Some(_lock)) => fs::remove_dir_all(dir),
        Ok(None) => return Ok(false),
        Err(e) => Err(e),
    };
    match removed {
        // The owner removed it first.
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
        removed => removed.map(|()| true),
    }
}

/// Locks a job folder. Returns `None` if it is already locked.
fn lock(dir: &Path) -> io::Result<Option<File>> {
    let file = File::options().create(true).truncate(false).write(true).open(dir.join(LOCK))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(e)) => Err(e),
    }
}

/// The folder of a job. It is removed when the last reference is dropped.
pub(super) struct WorkDir {
    // Dropped in this order: some systems cannot remove open files.
    _lock: File,
    dir: TempDir,
}

impl WorkDir {
    pub(super) async fn create(work_dir: &Path) -> Result<Arc<Self>, AudioError> {
        let work_dir = work_dir.to_owned();
        pool::run(move || Self::create_now(&work_dir).map(Arc::new).map_err(error::io)).await
    }

    fn create_now(work_dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(work_dir)?;
        loop {
            let dir = tempfile::Builder::new().prefix(PREFIX).tempdir_in(work_dir)?;
            match lock(dir.path()) {
                // A sweep may have removed the folder before it was locked; then try again.
                Ok(Some(lock)) if dir.path().join(LOCK).exists() => return Ok(Self { _lock: lock, dir }),
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::NotFound => {}
                Err(e) => return Err(e),
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a blob to a file of this name.
    pub(super) async fn spool(self: &Arc<Self>, mut blob: Blob, name: &str) -> Result<PathBuf, AudioError> {
        let path = self.path().join(name);
        let created = path.clone();
        let mut file = pool::run(move || File::create(created).map_err(error::io)).await?;
        while let Some(chunk) = blob.next_chunk().await.map_err(error::blob)? {
            // If the future is dropped during a write, the folder must exist until the write ends.
            let dir = Arc::clone(self);
            file = pool::run(move || {
                let _dir = dir;
                file.write_all(&chunk).map_err(error::io)?;
                Ok(file)
            })
            .await?;
        }
        Ok(path)
    }
}

/// Returns a file in a job folder as a blob, which keeps the folder alive.
pub(super) fn blob(path: &Path, dir: &Arc<WorkDir>) -> io::Result<Blob> {
    let file = File::open(path)?;
    let size_bytes = file.metadata()?.len();
    let opened = Arc::new((file, Arc::clone(dir)));
    Ok(Blob::in_pieces(size_bytes, "", move |piece| {
        let opened = Arc::clone(&opened);
        let reading = spawn_blocking(move || read(&opened.0, piece));
        async {
            let read = reading.await.map_err(io::Error::other).flatten();
            read.map_err(|e| BlobError::Unavailable(e.into()))
        }
    }))
}

fn read(mut file: &File, piece: Range<u64>) -> io::Result<Bytes> {
    let len = piece.end - piece.start;
    file.seek(SeekFrom::Start(piece.start))?;
    let mut bytes = Vec::with_capacity(usize::try_from(len).map_err(io::Error::other)?);
    file.take(len).read_to_end(&mut bytes)?;
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sweep_removes_only_unused_job_folders() {
        let work_dir = tempfile::tempdir().expect("a folder");
        let path = |name: &str| work_dir.path().join(name);
        let alive = WorkDir::create_now(work_dir.path()).expect("a folder of work");
        fs::create_dir_all(path("vocalizer-work-dead/stems")).expect("a leftover");
        fs::create_dir(path("vocalizer-work-early")).expect("a leftover");
        fs::write(path("vocalizer-work-dead/lock"), "").expect("a leftover");
        fs::create_dir(path("photos")).expect("a foreign folder");
        fs::write(path("vocalizer-work-notes"), "").expect("a foreign file");

        assert_eq!(sweep_work_dir(work_dir.path()).expect("a sweep"), 2);
        let mut left: Vec<_> =
            fs::read_dir(work_dir.path()).expect("the folder").map(|e| e.expect("an entry").path()).collect();
        left.sort();
        let mut expected = vec![path("photos"), path("vocalizer-work-notes"), alive.path().to_owned()];
        expected.sort();
        assert_eq!(left, expected);
        assert_eq!(sweep_work_dir(&path("missing")).expect("nothing to sweep"), 0);
    }
}
