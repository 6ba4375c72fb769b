//! Creating the database files, and detecting their replacement.
//!
//! SQLite uses POSIX record locks, which belong to the process: closing *any* descriptor of a file drops all locks of
//! the process on it. So only SQLite may open the database, its write-ahead log (`-wal`) or its index (`-shm`). This
//! code creates the database once, and otherwise only uses file names.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use thiserror::Error;

/// Creates an empty database, accessible to its owner only, if there is no file. Does not open an existing file.
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
            // Never closed: another connection of this process may already have locked the file, and would lose its
            // locks.
            std::mem::forget(file);
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// The identity of the open database, its log and its index.
#[derive(Debug)]
pub(super) struct Files {
    path: PathBuf,
    opened: [Option<FileId>; 3],
    replaced: AtomicBool,
    /// SQLite removes the log with the last connection. This one stays open to keep it.
    keeps_log: SqliteConnection,
}

/// The files in the folder are not the open ones. Further writes would be lost.
#[derive(Debug, Error)]
#[error(
    "another program removed or replaced {}, its -wal or its -shm file while this process had them open; writing has \
     stopped: stop this process, find the other program, and restart",
    path.display()
)]
pub struct Replaced {
    path: PathBuf,
}

impl Files {
    /// Opens the database and records the identity of its files.
    pub(super) async fn open(path: &Path, options: &SqliteConnectOptions) -> Result<Self, sqlx::Error> {
        let mut connection = options.connect().await?;
        // SQLite opens the log with the first read.
        sqlx::query("SELECT 1 FROM sqlite_schema").execute(&mut connection).await?;
        // Like SQLite: the log is next to the target of a symbolic link.
        let path = path.canonicalize()?;
        let opened = ids(&path)?;
        Ok(Self { path, opened, replaced: AtomicBool::new(false), keeps_log: connection })
    }

    /// Closes the connection. Ignores errors.
    pub(super) async fn close(self) {
        let _ = self.keeps_log.close().await;
    }

    /// Fails if the files in the folder are not the open ones. A failure is permanent.
    pub(super) fn check(&self) -> Result<(), Replaced> {
        let error = Replaced { path: self.path.clone() };
        let replaced = ids(&self.path).is_ok_and(|found| found != self.opened);
        if replaced && !self.replaced.swap(true, Ordering::Relaxed) {
            tracing::error!("{error}");
        }
        if self.replaced.load(Ordering::Relaxed) { Err(error) } else { Ok(()) }
    }
}

/// Device and inode.
type FileId = (u64, u64);

/// Identifies the database, its log and its index; `None` for a missing file. SQLite keeps the locks of the log in the
/// index.
fn ids(path: &Path) -> io::Result<[Option<FileId>; 3]> {
    let beside = |end: &str| {
        let mut name = OsString::from(path);
        name.push(end);
        id(Path::new(&name))
    };
    Ok([id(path)?, beside("-wal")?, beside("-shm")?])
}

/// Identifies a file by name: opening it would drop its locks.
#[cfg(unix)]
fn id(path: &Path) -> io::Result<Option<FileId>> {
    use std::os::unix::fs::MetadataExt as _;

    match std::fs::metadata(path) {
        Ok(found) => Ok(Some((found.dev(), found.ino()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// On other systems an open file cannot be removed.
#[cfg(not(unix))]
fn id(_path: &Path) -> io::Result<Option<FileId>> {
    Ok(None)
}
