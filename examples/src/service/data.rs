//! The data folder: made, locked, and with a worker's token in it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use thiserror::Error;
use vocalizer_core::quota::AddressKey;
use vocalizer_core::secret::Secret;

use super::{Blobs, Config, Database};

/// Where the token lies that is made where none was given.
pub(super) const TOKEN_FILE: &str = "worker-token";

/// Where the key lies that is made where none was given.
const ADDRESS_KEY_FILE: &str = "address-key";

/// A data folder that is this process's alone, as long as this value lives.
#[derive(Debug)]
pub struct DataDir {
    _locks: Vec<File>,
    /// Where work in progress goes.
    pub work: PathBuf,
    /// Where uploads wait that are to go elsewhere.
    pub blobs: PathBuf,
    /// What workers show.
    pub worker_tokens: Vec<Secret<String>>,
    /// What addresses are hashed with.
    pub address_key: AddressKey,
}

/// What is wrong with a data folder.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DataError {
    /// The system refused.
    #[error("{} cannot be used", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Another process works in it.
    #[error(
        "another Vocalizer uses {}; stop it, or give this one data of its own (--data, and --database and --blobs where set)",
        path.display()
    )]
    InUse {
        /// The file that it has locked.
        path: PathBuf,
    },
    /// There is no randomness for a token.
    #[error("no token can be made: {0}")]
    Random(String),
}

impl DataDir {
    /// Makes the folder where it is missing, and takes it.
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
            None => vec![kept_token(&config.data.join(TOKEN_FILE))?],
        };
        let address_key = match &config.policy.address_key {
            Some(key) => AddressKey::new(key),
            None => AddressKey::new(&kept_token(&config.data.join(ADDRESS_KEY_FILE))?),
        };
        Ok(Self { _locks: locks, work, blobs, worker_tokens, address_key })
    }
}

/// Makes the folders where they are missing, and locks what one process alone may use: the data folder, the folder of
/// blobs, and the database. For the latter there is a file beside it, since nothing but SQLite may open the database.
pub(super) fn lock(data: &Path, database: &Database, blobs: &Blobs) -> Result<Vec<File>, DataError> {
    let mut paths = vec![folder(data)?.join("lock")];
    if let Some(dir) = blobs.folder() {
        paths.push(folder(dir)?.join("lock"));
    }
    if let Database::Sqlite(path) = database {
        // A link to a database is that database, as it is to SQLite.
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

/// The folder under the one name that it has for everybody.
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

/// For its owner alone: songs are nobody else's business.
pub(super) fn private_dir(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.recursive(true).create(dir)
}

/// The token or key in a file, made at the first start.
fn kept_token(path: &Path) -> Result<Secret<String>, DataError> {
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
