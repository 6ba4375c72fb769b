//! The data folder: creation, locking and generated secrets.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use thiserror::Error;
use vocalizer_core::quota::AddressKey;
use vocalizer_core::secret::Secret;

use super::addresses::{Blobs, Database};
use super::config::{Config, TOKEN_FILE};

/// The file of the generated address key.
const ADDRESS_KEY_FILE: &str = "address-key";

/// A data folder, locked by this process until the value is dropped.
#[derive(Debug)]
pub struct DataDir {
    _locks: Vec<File>,
    /// The folder for temporary files.
    pub work: PathBuf,
    /// The folder for uploads on their way to remote storage.
    pub blobs: PathBuf,
    /// The worker tokens.
    pub worker_tokens: Vec<Secret<String>>,
    /// The key for hashing addresses.
    pub address_key: AddressKey,
}

/// An error with the data folder.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DataError {
    /// An I/O error.
    #[error("cannot use {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// Another process uses the folder.
    #[error(
        "another Vocalizer process uses {}; stop it, or use different storage (--data-dir, and --database-url and --blobs-url if set)",
        path.display()
    )]
    InUse {
        /// The locked file.
        path: PathBuf,
    },
    /// The system's random number generator failed.
    #[error("cannot generate a token: {0}")]
    Random(String),
}

impl DataDir {
    /// Creates the folder if needed and locks it.
    ///
    /// # Errors
    ///
    /// [`DataError`].
    pub fn open(config: &Config) -> Result<Self, DataError> {
        let (work, blobs) = (config.data.join("work"), config.data.join("outgoing"));
        let locks = lock(&config.data, &config.database, &config.blobs)?;
        private_dir(&work).map_err(failed(&work))?;
        let worker_tokens = match &config.worker_tokens {
            Some(tokens) => tokens.clone(),
            None => vec![load_or_generate(&config.data.join(TOKEN_FILE))?],
        };
        let address_key = match &config.policy.address_key {
            Some(key) => AddressKey::new(key),
            None => AddressKey::new(&load_or_generate(&config.data.join(ADDRESS_KEY_FILE))?),
        };
        Ok(Self { _locks: locks, work, blobs, worker_tokens, address_key })
    }
}

/// Creates missing folders and locks what only one process may use: the data folder, the blob folder and the database. The
/// database is locked through a separate file, because only SQLite may open it.
pub(super) fn lock(data: &Path, database: &Database, blobs: &Blobs) -> Result<Vec<File>, DataError> {
    let mut paths = vec![folder(data)?.join("lock")];
    if let Some(dir) = blobs.folder() {
        paths.push(folder(dir)?.join("lock"));
    }
    if let Database::Sqlite(path) = database {
        // Resolve links, as SQLite does.
        let path = path.canonicalize().unwrap_or_else(|_| path.clone());
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".lock");
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        paths.push(folder(dir)?.join(name));
    }
    paths.sort();
    paths.dedup();
    paths.into_iter().map(lock_file).collect()
}

/// Creates the folder and returns its canonical path.
fn folder(dir: &Path) -> Result<PathBuf, DataError> {
    private_dir(dir).and_then(|()| dir.canonicalize()).map_err(failed(dir))
}

fn lock_file(path: PathBuf) -> Result<File, DataError> {
    let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(failed(&path))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(DataError::InUse { path }),
        Err(TryLockError::Error(source)) => Err(DataError::Io { path, source }),
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> DataError + '_ {
    move |source| DataError::Io { path: path.to_owned(), source }
}

/// Creates a folder that only its owner can access.
pub(super) fn private_dir(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.recursive(true).create(dir)
}

/// Reads a token or key from a file; generates it at the first start.
fn load_or_generate(path: &Path) -> Result<Secret<String>, DataError> {
    match fs::read_to_string(path) {
        Ok(token) if !token.trim().is_empty() => return Ok(Secret::new(token.trim().to_owned())),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(path)(error)),
    }
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|e| DataError::Random(e.to_string()))?;
    let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut options = OpenOptions::new();
    options.create(true).truncate(true).write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(path).map_err(failed(path))?;
    writeln!(file, "{token}").and_then(|()| file.sync_all()).map_err(failed(path))?;
    Ok(Secret::new(token))
}
