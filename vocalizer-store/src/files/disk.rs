//! Blocking disk operations.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

use tokio::task::spawn_blocking;
use vocalizer_core::ports::{BlobError, Space};

/// Maximum bytes per read or write.
pub(crate) const BLOCK_BYTES: usize = 256 * 1024;

/// Runs a blocking operation on a blocking thread. It completes even if the caller is dropped.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, BlobError> {
    match spawn_blocking(work).await {
        Ok(done) => done.map_err(blob_error),
        Err(error) => Err(BlobError::Unavailable(error.into())),
    }
}

/// Converts a system error to the port's error.
pub(crate) fn blob_error(error: io::Error) -> BlobError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => BlobError::Full,
        _ => BlobError::Unavailable(error.into()),
    }
}

/// Converts `NotFound` to `None`.
pub(crate) fn if_exists<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Creates a new file, accessible to its owner only.
pub(crate) fn new_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create_new(true).read(true).write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)
}

/// Creates a folder, accessible to its owner only, unless it exists.
pub(crate) fn make_dir(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    match builder.create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// Returns the space of the disk with this file or folder, without opening it.
#[cfg(unix)]
pub(crate) fn space(path: &Path) -> io::Result<Option<Space>> {
    let found = rustix::fs::statvfs(path)?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Ok(Some(Space { free_bytes: bytes(found.f_bavail), total_bytes: bytes(found.f_blocks) }))
}

/// Not supported on this system.
#[cfg(not(unix))]
pub(crate) fn space(_path: &Path) -> io::Result<Option<Space>> {
    Ok(None)
}

/// Makes changes of a folder's entries durable. A no-op on systems other than Unix.
pub(crate) fn sync_dir(path: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}
