//! `backup` and `restore` for SQLite and files.
//!
//! A backup first takes a snapshot of the database, then copies the blobs that the snapshot refers to. A blob never changes under
//! its name, so the later copy has every blob of the snapshot except those of songs deleted meanwhile; these songs are removed from
//! the snapshot.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tokio::runtime::Runtime;
use vocalizer_core::causes::chain;
use vocalizer_core::part::Format;
use vocalizer_core::ports::{
    Blob, BlobError, BlobKey, BlobStore, BoxError, ResultRepository as _, SongRepository, TrashRepository as _,
};
use vocalizer_core::song::{SongHash, SongHasher};
use vocalizer_store::files::FileBlobs;
use vocalizer_store::sqlite::SqliteStore;
use vocalizer_store::system::create_private_folder;

use super::addresses::{Blobs, Database};
use super::args::StorageArgs;
use super::config::{Kept, TOKEN_FILE};
use super::data;
use crate::exit::{failed, misused};
use crate::output::{errln, outln};

/// The database file in a backup.
const DATABASE: &str = "vocalizer.db";

/// The folder of blobs in a backup.
const BLOBS: &str = "blobs";

/// The folder in a backup for unfinished files.
const PARTIAL: &str = ".partial";

/// Backs up the server's data into a new folder. The server may be running.
pub(super) fn backup(storage: &StorageArgs, dir: &Path) -> ExitCode {
    run(storage, async |kept| {
        let copied = save(&kept, dir).await?;
        outln!("{copied} copied to {}", dir.display());
        Ok(copied)
    })
}

/// Restores a backup into the server's storage, which must be empty.
pub(super) fn restore(storage: &StorageArgs, dir: &Path) -> ExitCode {
    run(storage, async |kept| {
        let copied = load(&kept, dir).await?;
        outln!("{copied} copied to {}", kept.data.display());
        Ok(copied)
    })
}

fn run(storage: &StorageArgs, work: impl AsyncFnOnce(Kept) -> Result<Copied, BoxError>) -> ExitCode {
    let kept = match Kept::check(storage) {
        Ok(kept) => kept,
        Err(error) => return misused(&error),
    };
    let done = Runtime::new().map_err(BoxError::from).and_then(|runtime| runtime.block_on(work(kept)));
    match done {
        Ok(Copied { faults, .. }) if faults.is_empty() => ExitCode::SUCCESS,
        Ok(Copied { faults, .. }) => {
            for fault in faults {
                errln!("vocalizer: {fault}");
            }
            errln!("vocalizer: everything else was copied");
            ExitCode::FAILURE
        }
        Err(error) => failed(error.as_ref()),
    }
}

/// Counts of what was copied, and errors.
#[derive(Debug, Default)]
struct Copied {
    hashes: u64,
    bytes: u64,
    /// Songs deleted during the backup.
    deleted: u64,
    faults: Vec<String>,
}

impl fmt::Display for Copied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hashes, bytes, deleted, .. } = self;
        write!(f, "the database and {hashes} song files with their stems ({bytes} bytes)")?;
        if *deleted > 0 { write!(f, ", without {deleted} songs deleted meanwhile,") } else { Ok(()) }
    }
}

async fn save(kept: &Kept, dir: &Path) -> Result<Copied, BoxError> {
    let (database, blobs) = local(kept)?;
    for path in [database, blobs] {
        if !path.exists() {
            return Err(format!(
                "not found: {}; set --data-dir (DATA_DIR) to the server's data folder",
                path.display()
            )
            .into());
        }
    }
    if !is_empty(dir)? {
        return Err(format!("{} is not empty; name a folder that does not exist", dir.display()).into());
    }
    // Use a subfolder of `dir`, which may be the root of another disk.
    let is_new = !dir.exists();
    create_private_folder(dir)?;
    let partial = dir.join(PARTIAL);
    // Fails if another backup to the same folder is running.
    fs::create_dir(&partial).map_err(|e| format!("cannot create {}: {e}", partial.display()))?;
    let saved = save_to(&partial, database, blobs, &kept.data).await;
    let saved = saved.and_then(|copied| {
        publish(&partial, dir)?;
        Ok(copied)
    });
    if saved.is_err() {
        let _ = fs::remove_dir_all(&partial);
        if is_new {
            let _ = fs::remove_dir(dir);
        }
    }
    saved
}

/// Moves everything from `partial` to `dir`. The database comes last, because a folder without one is not a backup.
fn publish(partial: &Path, dir: &Path) -> io::Result<()> {
    for name in [BLOBS, TOKEN_FILE, DATABASE] {
        if partial.join(name).exists() {
            fs::rename(partial.join(name), dir.join(name))?;
        }
    }
    fs::remove_dir(partial)?;
    sync(dir)?;
    dir.canonicalize()?.parent().map_or(Ok(()), sync)
}

async fn save_to(dir: &Path, database: &Path, blobs: &Path, data: &Path) -> Result<Copied, BoxError> {
    let live = SqliteStore::open_without_migrating(database).await?;
    let saved = dir.join(DATABASE);
    live.backup(&saved).await?;
    let copy = SqliteStore::open_without_migrating(&saved).await?;
    let (from, to) = (FileBlobs::open(blobs).await?, FileBlobs::open(&dir.join(BLOBS)).await?);
    let copied = copy_blobs(&copy, Some(&live), &from, &to).await?;
    close(copy, &saved).await?;
    live.close().await;
    copy_token(data, dir)?;
    Ok(copied)
}

/// Closes a database copy, so that all its data is in one file.
async fn close(copy: SqliteStore, path: &Path) -> Result<(), BoxError> {
    copy.close().await;
    if with_suffix(path, "-wal").exists() {
        return Err(format!("cannot finish {}; check the free space on its disk", path.display()).into());
    }
    Ok(())
}

async fn load(kept: &Kept, dir: &Path) -> Result<Copied, BoxError> {
    let (database, blobs) = local(kept)?;
    let (saved_database, saved_blobs) = (dir.join(DATABASE), dir.join(BLOBS));
    if !saved_database.is_file() || !saved_blobs.is_dir() || with_suffix(&saved_database, "-wal").exists() {
        let what = format!("{} is not a backup: expected a folder with {DATABASE} and {BLOBS}", dir.display());
        return Err(what.into());
    }
    for folder in [kept.data.as_path(), blobs] {
        if !is_empty(folder)? {
            let what =
                format!("{} is not empty; move it away, or name another folder with --data-dir", folder.display());
            return Err(what.into());
        }
    }
    if database.exists() || with_suffix(database, "-wal").exists() {
        return Err(format!("a database already exists at {}; move it away", database.display()).into());
    }
    let _locks = data::lock(&kept.data, &kept.database, &kept.blobs)?;
    copy_token(dir, &kept.data)?;
    // Rename the database last, so that no server can start with a partial restore.
    let partial = with_suffix(database, ".partial");
    // Neither database is open here; the copy is opened afterwards.
    copy_file(&saved_database, &partial)?;
    let copy = SqliteStore::open_without_migrating(&partial).await?;
    let (from, to) = (FileBlobs::open(&saved_blobs).await?, FileBlobs::open(blobs).await?);
    let copied = copy_blobs(&copy, None, &from, &to).await?;
    close(copy, &partial).await?;
    fs::rename(&partial, database)?;
    database.parent().map_or(Ok(()), sync)?;
    Ok(copied)
}

/// Returns the database file and the blob folder, or an error if either is remote.
fn local(kept: &Kept) -> Result<(&Path, &Path), BoxError> {
    match (&kept.database, &kept.blobs) {
        (Database::Sqlite(database), Blobs::Files(blobs)) => Ok((database.as_path(), blobs.as_path())),
        _ => Err(
            "only SQLite and files are supported; for PostgreSQL and S3 see docs/service.md, \"Back up and restore\""
                .into(),
        ),
    }
}

/// Copies the source of every song and all stored stems. `live` shows whether a missing blob's songs were deleted since
/// the database snapshot.
async fn copy_blobs(
    copy: &SqliteStore,
    live: Option<&SqliteStore>,
    from: &FileBlobs,
    to: &FileBlobs,
) -> Result<Copied, BoxError> {
    let mut copied = Copied::default();
    for hash in copy.known_keys().await? {
        // Further keys belong to results. Songs in the trash need their files, too.
        if copy.with_hash(&hash).await?.is_empty() {
            continue;
        }
        let mut keys = vec![BlobKey::Source(hash)];
        for result in copy.results(&hash).await? {
            let (place, formats) = (result.key.unwrap_or(hash), result.formats);
            if formats.has(Format::Mp3) {
                keys.extend(result.names().iter().map(|&stem| BlobKey::Stem(place, stem)));
            }
            if formats.is_lossless() {
                keys.extend(result.names().iter().map(|&stem| BlobKey::Lossless(place, stem)));
            }
        }
        let mut faults = Vec::new();
        for key in keys {
            match copy_blob(&key, from, to).await? {
                Original::Good { bytes } => copied.bytes += bytes,
                Original::Bad { fault } => faults.push(format!("{key} {fault}")),
            }
        }
        copied.hashes += 1;
        if !faults.is_empty()
            && let Some(live) = live
        {
            copied.deleted += forget_deleted(copy, live, &hash).await?;
            if copy.with_hash(&hash).await?.is_empty() {
                faults.clear();
                copied.hashes -= 1;
                to.delete_all(&hash).await?;
            }
        }
        copied.faults.append(&mut faults);
    }
    Ok(copied)
}

/// Removes deleted songs with this hash from the copy, even if the same bytes were uploaded again.
async fn forget_deleted(copy: &SqliteStore, live: &SqliteStore, hash: &SongHash) -> Result<u64, BoxError> {
    let mut deleted = 0;
    for song in copy.with_hash(hash).await? {
        let is_there = SongRepository::find(live, song.id()).await?.is_some();
        if !is_there && live.find_trashed(song.id()).await?.is_none() {
            copy.remove(song.id()).await?;
            deleted += 1;
        }
    }
    Ok(deleted)
}

/// The state of a blob in the server's folder.
enum Original {
    Good { bytes: u64 },
    Bad { fault: String },
}

/// Copies a blob and verifies the copy.
async fn copy_blob(key: &BlobKey, from: &FileBlobs, to: &FileBlobs) -> Result<Original, BoxError> {
    let unreadable = |error| Original::Bad { fault: format!("is unreadable: {}", chain(&error)) };
    let mut blob = match from.open(key, None).await {
        Ok(Some(blob)) => blob,
        Ok(None) => return Ok(Original::Bad { fault: "is missing".to_owned() }),
        Err(error) => return Ok(unreadable(error)),
    };
    let (mut writer, mut hasher) = (to.begin().await?, SongHasher::new());
    loop {
        match blob.next_chunk().await {
            Ok(Some(chunk)) => {
                hasher.update(&chunk);
                writer.write(chunk).await?;
            }
            Ok(None) => break,
            Err(error) => return Ok(unreadable(error)),
        }
    }
    let (bytes, hash) = (writer.commit(key).await?, hasher.finish());
    let Some(back) = to.open(key, None).await? else { return Err(format!("the copy of {key} disappeared").into()) };
    if hash_of(back).await? != hash {
        return Err(format!("the copy of {key} differs from what was written; check its disk").into());
    }
    let is_damaged = matches!(key, BlobKey::Source(named) if *named != hash);
    if is_damaged {
        return Ok(Original::Bad { fault: "is damaged: its checksum does not match".to_owned() });
    }
    Ok(Original::Good { bytes })
}

async fn hash_of(mut blob: Blob) -> Result<SongHash, BlobError> {
    let mut hasher = SongHasher::new();
    while let Some(chunk) = blob.next_chunk().await? {
        hasher.update(&chunk);
    }
    Ok(hasher.finish())
}

/// Copies the generated worker token, if there is one.
fn copy_token(from: &Path, to: &Path) -> Result<(), BoxError> {
    let token = from.join(TOKEN_FILE);
    if token.exists() { copy_file(&token, &to.join(TOKEN_FILE)) } else { Ok(()) }
}

/// Copies a file to a new one, readable only by its owner, and syncs it to disk.
fn copy_file(from: &Path, to: &Path) -> Result<(), BoxError> {
    let mut options = fs::OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let copied = fs::File::open(from).and_then(|mut from| {
        let mut to = options.open(to)?;
        io::copy(&mut from, &mut to)?;
        to.sync_all()
    });
    copied.map_err(|e| format!("cannot copy {} to {}: {e}", from.display(), to.display()).into())
}

/// Whether a folder is empty or does not exist.
fn is_empty(dir: &Path) -> io::Result<bool> {
    match fs::read_dir(dir) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(io::Error::new(error.kind(), format!("cannot read {}: {error}", dir.display()))),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Syncs a folder's entries to disk; only Unix supports this.
fn sync(dir: &Path) -> io::Result<()> {
    if cfg!(unix) { fs::File::open(dir)?.sync_all() } else { Ok(()) }
}
