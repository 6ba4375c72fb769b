//! The data folder: creation, locking and generated secrets.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;
use vocalizer_core::quota::AddressKey;
use vocalizer_core::secret::Secret;
use vocalizer_store::system::{FolderError, FolderLock, create_private_folder, load_or_generate_secret};

use super::addresses::{Blobs, Database};
use super::config::{Config, TOKEN_FILE};

/// The file of the generated address key.
const ADDRESS_KEY_FILE: &str = "address-key";

/// A data folder, locked by this process until the value is dropped.
#[derive(Debug)]
pub struct DataDir {
    _locks: Vec<FolderLock>,
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
    /// Any other error with a folder or a file.
    #[error(transparent)]
    Folder(FolderError),
}

/// Adds what an operator can do about it.
impl From<FolderError> for DataError {
    fn from(error: FolderError) -> Self {
        match error {
            FolderError::InUse { path } => Self::InUse { path },
            error => Self::Folder(error),
        }
    }
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
        create_private_folder(&work)?;
        let worker_tokens = match &config.worker_tokens {
            Some(tokens) => tokens.clone(),
            None => vec![load_or_generate_secret(&config.data.join(TOKEN_FILE))?],
        };
        let address_key = match &config.policy.address_key {
            Some(key) => AddressKey::new(key),
            None => AddressKey::new(&load_or_generate_secret(&config.data.join(ADDRESS_KEY_FILE))?),
        };
        Ok(Self { _locks: locks, work, blobs, worker_tokens, address_key })
    }
}

/// Creates missing folders and locks what only one process may use: the data folder, the blob folder and the database. The
/// database is locked through a separate file, because only SQLite may open it.
pub(super) fn lock(data: &Path, database: &Database, blobs: &Blobs) -> Result<Vec<FolderLock>, DataError> {
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
    paths.iter().map(|path| Ok(FolderLock::lock_file(path)?)).collect()
}

/// Creates the folder and returns its canonical path.
fn folder(dir: &Path) -> Result<PathBuf, DataError> {
    create_private_folder(dir)?;
    dir.canonicalize().map_err(|source| DataError::Io { path: dir.to_owned(), source })
}
