//! What the disk is asked for, off the runtime's threads.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

use tokio::task::spawn_blocking;
use vocalizer_core::ports::{BlobError, Space};

/// Most bytes that are read or written at a time.
pub(crate) const BLOCK_BYTES: usize = 256 * 1024;

/// Does something that blocks; it is done to its end when nobody waits any more.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, BlobError> {
    match spawn_blocking(work).await {
        Ok(done) => done.map_err(sorted),
        Err(error) => Err(BlobError::Unavailable(error.into())),
    }
}

/// Sorts what the system says into what the port knows.
pub(crate) fn sorted(error: io::Error) -> BlobError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => BlobError::Full,
        _ => BlobError::Unavailable(error.into()),
    }
}

/// What there is, or `None` where there is nothing.
pub(crate) fn if_there<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes a new file for its owner alone.
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

/// Makes a folder for its owner alone; one that is there is as good.
pub(crate) fn make_dir(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
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

/// The space of the disk that a file or a folder is on. It is asked by its name and not opened.
#[cfg(unix)]
pub(crate) fn space(path: &Path) -> io::Result<Option<Space>> {
    let found = rustix::fs::statvfs(path)?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Ok(Some(Space { free_bytes: bytes(found.f_bavail), total_bytes: bytes(found.f_blocks) }))
}

/// Elsewhere nobody is asked.
#[cfg(not(unix))]
pub(crate) fn space(_path: &Path) -> io::Result<Option<Space>> {
    Ok(None)
}

/// Makes what was created, renamed or removed in a folder durable. Elsewhere than on Unix a folder cannot be asked.
pub(crate) fn sync_dir(path: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}
