//! `backup` and `restore`: what is kept in SQLite and in files, copied and read back.
//!
//! First the database, as it is at one moment, then the blobs that it speaks of. A blob never changes under its name, so the
//! later copy of the blobs has all that the earlier copy of the database names, but for songs that were deleted meanwhile;
//! those are taken out of the copy.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tokio::runtime::Runtime;
use vocalizer_core::causes::chain;
use vocalizer_core::part::Stem;
use vocalizer_core::ports::{Blob, BlobError, BlobKey, BlobStore, BoxError, SongRepository};
use vocalizer_core::song::{SongHash, SongHasher, StatusKind};
use vocalizer_store::files::FileBlobs;
use vocalizer_store::sqlite::SqliteStore;

use super::args::KeptArgs;
use super::config::Kept;
use super::data::{self, TOKEN_FILE, private_dir};
use super::places::{Blobs, Database};
use super::run::failed;

/// The database in a backup.
const DATABASE: &str = "vocalizer.db";

/// The folder of blobs in a backup.
const BLOBS: &str = "blobs";

/// The folder in a backup for what is not finished.
const PARTIAL: &str = ".partial";

/// Copies everything that is kept into a new folder, while a server runs or not.
#[must_use]
pub fn backup(kept: &KeptArgs, dir: &Path) -> ExitCode {
    run("backup", kept, async |kept| {
        let copied = save(&kept, dir).await?;
        println!("{copied} copied to {}", dir.display());
        Ok(copied)
    })
}

/// Copies what [`backup`] made to where a server keeps its data. There must be nothing yet.
#[must_use]
pub fn restore(kept: &KeptArgs, dir: &Path) -> ExitCode {
    run("restore", kept, async |kept| {
        let copied = bring_back(&kept, dir).await?;
        println!("{copied} copied to {}", kept.data.display());
        Ok(copied)
    })
}

fn run(name: &str, kept: &KeptArgs, work: impl AsyncFnOnce(Kept) -> Result<Copied, BoxError>) -> ExitCode {
    let kept = match Kept::check(kept) {
        Ok(kept) => kept,
        Err(error) => {
            failed(name, &error);
            return ExitCode::from(2);
        }
    };
    let done = Runtime::new().map_err(BoxError::from).and_then(|runtime| runtime.block_on(work(kept)));
    match done {
        Ok(Copied { faults, .. }) if faults.is_empty() => ExitCode::SUCCESS,
        Ok(Copied { faults, .. }) => {
            for fault in faults {
                eprintln!("{name}: {fault}");
            }
            eprintln!("{name}: everything else was copied");
            ExitCode::FAILURE
        }
        Err(error) => failed(name, error.as_ref()),
    }
}

/// What was copied, and what could not be.
#[derive(Debug, Default)]
struct Copied {
    hashes: u64,
    bytes: u64,
    /// Songs that were deleted while the copy was made.
    deleted: u64,
    faults: Vec<String>,
}

impl fmt::Display for Copied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hashes, bytes, deleted, .. } = self;
        write!(f, "the database, and {bytes} bytes of {hashes} song files with their stems")?;
        if *deleted > 0 { write!(f, " (without {deleted} songs that were deleted meanwhile)") } else { Ok(()) }
    }
}

async fn save(kept: &Kept, dir: &Path) -> Result<Copied, BoxError> {
    let (database, blobs) = local(kept)?;
    for path in [database, blobs] {
        if !path.exists() {
            return Err(
                format!("there is no {}; name the server's folder with --data (DATA_DIR)", path.display()).into()
            );
        }
    }
    if !is_empty(dir)? {
        return Err(format!("{} is not empty; name a folder that does not exist", dir.display()).into());
    }
    // In the folder itself: it may be the root of another disk.
    let is_new = !dir.exists();
    private_dir(dir).map_err(|e| format!("{} cannot be made: {e}", dir.display()))?;
    let partial = dir.join(PARTIAL);
    // Of two backups at once to one folder, one ends here.
    fs::create_dir(&partial).map_err(|e| format!("{} cannot be made: {e}", partial.display()))?;
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

/// Gives everything in `partial` its place in `dir`. The database is the last: a folder without one is no backup.
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

/// Closes a copy, so that all of it is in its one file.
async fn close(copy: SqliteStore, path: &Path) -> Result<(), BoxError> {
    copy.close().await;
    if beside(path, "-wal").exists() {
        return Err(format!("{} cannot be finished; is there room on its disk?", path.display()).into());
    }
    Ok(())
}

async fn bring_back(kept: &Kept, dir: &Path) -> Result<Copied, BoxError> {
    let (database, blobs) = local(kept)?;
    let (saved_database, saved_blobs) = (dir.join(DATABASE), dir.join(BLOBS));
    if !saved_database.is_file() || !saved_blobs.is_dir() || beside(&saved_database, "-wal").exists() {
        let what = format!("{} is not what `backup` made: a folder with {DATABASE} and {BLOBS}", dir.display());
        return Err(what.into());
    }
    for folder in [kept.data.as_path(), blobs] {
        if !is_empty(folder)? {
            let what = format!("{} is not empty; move it away, or name another folder with --data", folder.display());
            return Err(what.into());
        }
    }
    if database.exists() || beside(database, "-wal").exists() {
        return Err(format!("there is a database at {} already; move it away", database.display()).into());
    }
    let _locks = data::lock(&kept.data, &kept.database, &kept.blobs)?;
    copy_token(dir, &kept.data)?;
    // Its name comes last: until then there is no database for a server to start with.
    let partial = beside(database, ".partial");
    // Neither database is open here. The copy is opened afterwards.
    copy_file(&saved_database, &partial)?;
    let copy = SqliteStore::open_without_migrating(&partial).await?;
    let (from, to) = (FileBlobs::open(&saved_blobs).await?, FileBlobs::open(blobs).await?);
    let copied = copy_blobs(&copy, None, &from, &to).await?;
    close(copy, &partial).await?;
    fs::rename(&partial, database)?;
    database.parent().map_or(Ok(()), sync)?;
    Ok(copied)
}

/// The database and the folder of blobs, where both are of this machine.
fn local(kept: &Kept) -> Result<(&Path, &Path), BoxError> {
    match (&kept.database, &kept.blobs) {
        (Database::Sqlite(database), Blobs::Files(blobs)) => Ok((database.as_path(), blobs.as_path())),
        _ => {
            Err("this is for SQLite and files; for PostgreSQL and S3 see docs/running.md, \"Back up and restore\""
                .into())
        }
    }
}

/// Copies the source of every song, and the stems of those that are split. `live` tells of a blob that is missing whether
/// its songs were deleted since the copy of the database was made.
async fn copy_blobs(
    copy: &SqliteStore,
    live: Option<&SqliteStore>,
    from: &FileBlobs,
    to: &FileBlobs,
) -> Result<Copied, BoxError> {
    let mut copied = Copied::default();
    for status in StatusKind::ALL {
        for hash in copy.hashes_in(status).await? {
            let stems = if status == StatusKind::Split { &Stem::FOUR[..] } else { &[] };
            let keys = stems.iter().map(|stem| BlobKey::Stem(hash, *stem)).chain([BlobKey::Source(hash)]);
            let mut faults = Vec::new();
            for key in keys {
                match copy_blob(&key, from, to).await? {
                    Ok(bytes) => copied.bytes += bytes,
                    Err(fault) => faults.push(format!("{key} {fault}")),
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
    }
    Ok(copied)
}

/// Takes the songs of a hash out of the copy that are deleted, also where the same bytes were uploaded again.
async fn forget_deleted(copy: &SqliteStore, live: &SqliteStore, hash: &SongHash) -> Result<u64, BoxError> {
    let mut deleted = 0;
    for song in copy.with_hash(hash).await? {
        if SongRepository::find(live, song.id()).await?.is_none() {
            copy.remove(song.id()).await?;
            deleted += 1;
        }
    }
    Ok(deleted)
}

/// Copies a blob, reads the copy back, and says how many bytes that were, or what is wrong with the original.
async fn copy_blob(key: &BlobKey, from: &FileBlobs, to: &FileBlobs) -> Result<Result<u64, String>, BoxError> {
    let mut blob = match from.open(key, None).await {
        Ok(Some(blob)) => blob,
        Ok(None) => return Ok(Err("is missing".to_owned())),
        Err(error) => return Ok(Err(format!("cannot be read: {}", chain(&error)))),
    };
    let (mut writer, mut hasher) = (to.begin().await?, SongHasher::new());
    loop {
        match blob.next_chunk().await {
            Ok(Some(chunk)) => {
                hasher.update(&chunk);
                writer.write(chunk).await?;
            }
            Ok(None) => break,
            Err(error) => return Ok(Err(format!("cannot be read: {}", chain(&error)))),
        }
    }
    let (bytes, hash) = (writer.commit(key).await?, hasher.finish());
    let Some(back) = to.open(key, None).await? else { return Err(format!("the copy of {key} is gone").into()) };
    if hash_of(back).await? != hash {
        return Err(format!("the copy of {key} is not what was written: the disk it is on may be failing").into());
    }
    let is_damaged = matches!(key, BlobKey::Source(named) if *named != hash);
    Ok(if is_damaged { Err("is damaged: its bytes are not those that were uploaded".to_owned()) } else { Ok(bytes) })
}

async fn hash_of(mut blob: Blob) -> Result<SongHash, BlobError> {
    let mut hasher = SongHasher::new();
    while let Some(chunk) = blob.next_chunk().await? {
        hasher.update(&chunk);
    }
    Ok(hasher.finish())
}

/// The token of workers, where one was made.
fn copy_token(from: &Path, to: &Path) -> Result<(), BoxError> {
    let token = from.join(TOKEN_FILE);
    if token.exists() { copy_file(&token, &to.join(TOKEN_FILE)) } else { Ok(()) }
}

/// Copies a file to a new one, for its owner alone. On return the copy is on the disk.
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
    copied.map_err(|e| format!("{} cannot be copied to {}: {e}", from.display(), to.display()).into())
}

/// Whether there is nothing in a folder, or no folder.
fn is_empty(dir: &Path) -> io::Result<bool> {
    match fs::read_dir(dir) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(io::Error::new(error.kind(), format!("{} cannot be read: {error}", dir.display()))),
    }
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    name.into()
}

/// Makes names in a folder durable; elsewhere than on Unix a folder cannot be asked.
fn sync(dir: &Path) -> io::Result<()> {
    if cfg!(unix) { fs::File::open(dir)?.sync_all() } else { Ok(()) }
}
