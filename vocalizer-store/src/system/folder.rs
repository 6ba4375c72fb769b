//! Folders and files that belong to one process.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use thiserror::Error;
use vocalizer_core::secret::Secret;

/// An error with a folder or a file of the program.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FolderError {
    /// An I/O error.
    #[error("cannot use {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// Another process has locked it.
    #[error("another process uses {}", path.display())]
    InUse {
        /// The locked file.
        path: PathBuf,
    },
    /// The system's random number generator failed.
    #[error("cannot generate a secret: {0}")]
    Random(String),
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> FolderError + '_ {
    move |source| FolderError::Io { path: path.to_owned(), source }
}

/// A lock that this process holds until the value is dropped, or the process ends in any way.
///
/// The stores in a folder, SQLite and files, are made for one process. Lock the folder before opening them.
///
/// ```
/// use vocalizer_store::system::{FolderError, FolderLock};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let data = tempfile::tempdir()?;
/// let lock = FolderLock::lock(data.path())?;
/// assert!(matches!(FolderLock::lock(data.path()), Err(FolderError::InUse { .. })));
/// # drop(lock);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Creates the folder if it is missing, and locks the file `lock` in it.
    ///
    /// # Errors
    ///
    /// [`FolderError::InUse`] if another process, or this one, holds the lock; [`FolderError::Io`].
    pub fn lock(folder: &Path) -> Result<Self, FolderError> {
        create_private_folder(folder)?;
        Self::lock_file(&folder.join("lock"))
    }

    /// Creates the file if it is missing, and locks it.
    ///
    /// # Errors
    ///
    /// As [`Self::lock`].
    pub fn lock_file(path: &Path) -> Result<Self, FolderError> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(failed(path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(FolderError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => Err(failed(path)(error)),
        }
    }
}

/// Creates a folder that only its owner can access, with its parents. An existing folder is left as it is.
///
/// # Errors
///
/// [`FolderError::Io`].
pub fn create_private_folder(folder: &Path) -> Result<(), FolderError> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.recursive(true).create(folder).map_err(failed(folder))
}

/// Reads a token or a key from a file. If the file is missing or empty, generates one of 256 bits and stores it there, so
/// that only the owner can read it.
///
/// # Errors
///
/// [`FolderError::Io`] or [`FolderError::Random`].
pub fn load_or_generate_secret(path: &Path) -> Result<Secret<String>, FolderError> {
    match fs::read_to_string(path) {
        Ok(secret) if !secret.trim().is_empty() => return Ok(Secret::new(secret.trim().to_owned())),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(path)(error)),
    }
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| FolderError::Random(error.to_string()))?;
    let secret: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut options = OpenOptions::new();
    options.create(true).truncate(true).write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(path).map_err(failed(path))?;
    writeln!(file, "{secret}").and_then(|()| file.sync_all()).map_err(failed(path))?;
    Ok(Secret::new(secret))
}
