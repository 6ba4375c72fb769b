//! The files of a database: how they are created, and whether they are still the ones that are open.
//!
//! SQLite locks with POSIX record locks. They belong to the process: closing *any* descriptor of a file drops all locks
//! that the process has on it. So nothing but SQLite opens the database, its write-ahead log (`-wal`) or its index
//! (`-shm`). The code here creates the database once, and otherwise looks at names only.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::ConnectOptions as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use thiserror::Error;

/// Creates an empty database, for its owner alone, where there is no file yet. A file that exists is not opened.
pub(super) fn create(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    match options.open(path) {
        Ok(file) => {
            // Never closed: another connection of this process may have locked the file already, and would lose its locks.
            std::mem::forget(file);
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// The database, its log and the log's index as this process has them open.
#[derive(Debug)]
pub(super) struct Files {
    path: PathBuf,
    opened: [Option<FileId>; 3],
    replaced: AtomicBool,
    /// SQLite removes the log with the last connection. This one stays open, so that the log stays the same file.
    _keeps_log: SqliteConnection,
}

/// The files in the folder are not the ones that are open. What is written now would be lost.
#[derive(Debug, Error)]
#[error(
    "another program removed or replaced {}, its -wal or its -shm file while this process had them open, so nothing more \
     is written to it; stop this process, find that program, and start again",
    path.display()
)]
pub(super) struct Replaced {
    path: PathBuf,
}

impl Files {
    /// Opens the database and remembers which files that are.
    pub(super) async fn open(path: &Path, options: &SqliteConnectOptions) -> Result<Self, sqlx::Error> {
        let mut connection = options.connect().await?;
        // SQLite opens the log with the first read.
        sqlx::query("SELECT 1 FROM sqlite_schema").execute(&mut connection).await?;
        // As SQLite does: the log is beside the file that a link leads to.
        let path = path.canonicalize()?;
        let opened = ids(&path)?;
        Ok(Self { path, opened, replaced: AtomicBool::new(false), _keeps_log: connection })
    }

    /// Whether the files in the folder are still the ones that are open. Once they are not, they never are again.
    pub(super) fn check(&self) -> Result<(), Replaced> {
        if ids(&self.path).is_ok_and(|found| found != self.opened) || self.replaced.load(Ordering::Relaxed) {
            self.replaced.store(true, Ordering::Relaxed);
            return Err(Replaced { path: self.path.clone() });
        }
        Ok(())
    }
}

/// Device and inode.
type FileId = (u64, u64);

/// Which files the database, its log and the log's index are; `None` for one that is not there. The locks of the log are
/// in its index.
fn ids(path: &Path) -> io::Result<[Option<FileId>; 3]> {
    let beside = |end: &str| {
        let mut name = OsString::from(path);
        name.push(end);
        id(Path::new(&name))
    };
    Ok([id(path)?, beside("-wal")?, beside("-shm")?])
}

/// By name: opening a file would cost its locks.
#[cfg(unix)]
fn id(path: &Path) -> io::Result<Option<FileId>> {
    use std::os::unix::fs::MetadataExt as _;

    match std::fs::metadata(path) {
        Ok(found) => Ok(Some((found.dev(), found.ino()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Elsewhere a file that is open cannot be removed.
#[cfg(not(unix))]
fn id(_path: &Path) -> io::Result<Option<FileId>> {
    Ok(None)
}
