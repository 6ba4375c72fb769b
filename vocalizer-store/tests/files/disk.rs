use std::collections::BTreeSet;
use std::fs::{self, File, FileTimes};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tempfile::TempDir;
use time::OffsetDateTime;
use vocalizer_core::part::{Format, Part, Stem};
use vocalizer_core::ports::{BlobError, BlobKey, BlobStore};
use vocalizer_core::song::SongHash;
use vocalizer_store::files::FileBlobs;

fn hash() -> SongHash {
    SongHash::of(b"a")
}

async fn put(blobs: &FileBlobs, key: &BlobKey, bytes: &'static [u8]) {
    let mut writer = blobs.begin().await.unwrap();
    writer.write(Bytes::from_static(bytes)).await.unwrap();
    writer.commit(key).await.unwrap();
}

/// Returns all files and folders below a folder, as relative paths.
fn tree(root: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut dirs = vec![root.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            found.insert(path.strip_prefix(root).unwrap().to_owned());
            if path.is_dir() {
                dirs.push(path);
            }
        }
    }
    found
}

/// Waits until the folder of temporary files has this many entries; some are removed in the background.
async fn wait_for_temporary_files(root: &Path, expected: usize) {
    let count = || fs::read_dir(root.join("tmp")).unwrap().count();
    for _ in 0..1_000 {
        if count() == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} temporary files, expected {expected}", count());
}

#[tokio::test]
async fn blobs_are_at_the_documented_paths() {
    let root = TempDir::new().unwrap();
    let blobs = FileBlobs::open(root.path()).await.unwrap();
    for key in [
        BlobKey::Source(hash()),
        BlobKey::Stem(hash(), Stem::DRUMS),
        BlobKey::Lossless(hash(), Stem::DRUMS),
        BlobKey::Rendition(hash(), Part::Accompaniment, Format::Flac),
    ] {
        put(&blobs, &key, b"bytes").await;
        let name = hash().to_string();
        let file = root.path().join(&name[..2]).join(key.to_string());
        assert_eq!(fs::read(file).unwrap(), b"bytes");
    }
    wait_for_temporary_files(root.path(), 0).await;
    blobs.delete_all(&hash()).await.unwrap();
    let shelf = PathBuf::from(&hash().to_string()[..2]);
    assert_eq!(tree(root.path()), BTreeSet::from(["tmp".into(), shelf]), "files are left after the deletion");
}

#[tokio::test]
async fn opening_a_made_blob_records_its_use_across_processes() {
    let root = TempDir::new().unwrap();
    let blobs = FileBlobs::open(root.path()).await.unwrap();
    let keys = [Part::Drums, Part::Bass].map(|part| BlobKey::Rendition(hash(), part, Format::Wav));
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    for key in &keys {
        put(&blobs, key, b"bytes").await;
        let file = root.path().join(&hash().to_string()[..2]).join(key.to_string());
        File::options().write(true).open(file).unwrap().set_times(FileTimes::new().set_accessed(long_ago)).unwrap();
    }
    let first = blobs.open(&keys[0], None).await.unwrap().unwrap();
    let again = blobs.open(&keys[0], None).await.unwrap().unwrap();
    assert_eq!(first.tag(), again.tag(), "a use must not change the tag");
    let made = FileBlobs::open(root.path()).await.unwrap().made().await.unwrap();
    let used = keys.map(|key| made.iter().find(|made| made.key == key).unwrap().used);
    assert_eq!(used[1], OffsetDateTime::from(long_ago));
    assert!(used[0] > used[1]);
}

/// Processes in containers often have the same ID, so their temporary files have the same names.
#[tokio::test]
async fn leftovers_of_a_process_with_the_same_id_do_not_interfere() {
    let root = TempDir::new().unwrap();
    let blobs = FileBlobs::open(root.path()).await.unwrap();
    let left = |number: u32| root.path().join("tmp").join(format!("{}-{number}", std::process::id()));
    (0..4).for_each(|number| fs::write(left(number), b"left").unwrap());
    put(&blobs, &BlobKey::Source(hash()), b"bytes").await;
    fs::write(left(5), b"left").unwrap();
    blobs.delete_all(&hash()).await.unwrap();
    assert!(blobs.open(&BlobKey::Source(hash()), None).await.unwrap().is_none());
    wait_for_temporary_files(root.path(), 5).await;
    assert_eq!(blobs.sweep().await.unwrap(), 5);
}

#[cfg(unix)]
#[tokio::test]
async fn files_and_folders_are_accessible_to_the_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;

    let root = TempDir::new().unwrap();
    let root = root.path().join("blobs");
    let blobs = FileBlobs::open(&root).await.unwrap();
    put(&blobs, &BlobKey::Rendition(hash(), Part::Drums, Format::Wav), b"bytes").await;
    let _open = blobs.begin().await.unwrap();
    for path in tree(&root).into_iter().chain([PathBuf::new()]) {
        let found = fs::metadata(root.join(&path)).unwrap();
        let expected = if found.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(found.permissions().mode() & 0o777, expected, "{path:?}");
    }
}

#[tokio::test]
async fn dropped_writer_removes_its_file() {
    let root = TempDir::new().unwrap();
    let blobs = FileBlobs::open(root.path()).await.unwrap();
    let mut writer = blobs.begin().await.unwrap();
    writer.write(Bytes::from(vec![1; 1_000_000])).await.unwrap();
    wait_for_temporary_files(root.path(), 1).await;
    drop(writer);
    wait_for_temporary_files(root.path(), 0).await;
}

#[test]
fn writer_may_outlive_its_runtime() {
    let root = TempDir::new().unwrap();
    let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
    let ending = runtime();
    let handle = ending.handle().clone();
    let writer = ending.block_on(async {
        let blobs = FileBlobs::open(root.path()).await.unwrap();
        blobs.begin().await.unwrap()
    });
    drop(ending);
    {
        let _inside = handle.enter();
        drop(writer);
    }
    let swept = runtime().block_on(async { FileBlobs::open(root.path()).await.unwrap().sweep().await.unwrap() });
    assert_eq!(swept, 1, "the next process must sweep the file");
}

#[tokio::test]
async fn sweep_removes_only_leftovers_of_dead_processes() {
    let root = TempDir::new().unwrap();
    let blobs = FileBlobs::open(root.path()).await.unwrap();
    put(&blobs, &BlobKey::Source(hash()), b"bytes").await;
    // A writer's file, and a folder that was being deleted.
    fs::write(root.path().join("tmp/123-0"), "half").unwrap();
    fs::create_dir_all(root.path().join("tmp/123-1/made")).unwrap();
    fs::write(root.path().join("tmp/123-1/made/drums.flac"), "half").unwrap();
    let live = blobs.begin().await.unwrap();
    assert_eq!(blobs.sweep().await.unwrap(), 2);
    wait_for_temporary_files(root.path(), 1).await;
    live.commit(&BlobKey::Stem(hash(), Stem::BASS)).await.unwrap();
    assert_eq!(blobs.hashes().await.unwrap(), [hash()]);
}

#[tokio::test]
async fn temporary_names_of_a_dead_process_are_skipped() {
    let root = TempDir::new().unwrap();
    let dead = FileBlobs::open(root.path()).await.unwrap();
    for _ in 0..3 {
        std::mem::forget(dead.begin().await.unwrap());
    }
    // The same process ID, so the same names.
    let blobs = FileBlobs::open(root.path()).await.unwrap();
    let writer = blobs.begin().await.unwrap();
    wait_for_temporary_files(root.path(), 4).await;
    assert_eq!(blobs.sweep().await.unwrap(), 3);
    drop(writer);
    wait_for_temporary_files(root.path(), 0).await;
}

#[tokio::test]
async fn other_files_are_not_listed() {
    let root = TempDir::new().unwrap();
    let blobs = FileBlobs::open(root.path()).await.unwrap();
    let name = hash().to_string();
    fs::create_dir_all(root.path().join(&name[..2]).join(&name).join("made")).unwrap();
    fs::create_dir_all(root.path().join("lost+found/x")).unwrap();
    fs::write(root.path().join("notes.txt"), "mine").unwrap();
    assert_eq!(blobs.hashes().await.unwrap(), []);
}

#[tokio::test]
async fn truncated_file_is_a_read_error() {
    let root = TempDir::new().unwrap();
    let blobs = FileBlobs::open(root.path()).await.unwrap();
    let key = BlobKey::Source(hash());
    put(&blobs, &key, b"0123456789").await;
    let mut reader = blobs.open(&key, None).await.unwrap().unwrap();
    let name = hash().to_string();
    let file = root.path().join(&name[..2]).join(key.to_string());
    fs::OpenOptions::new().write(true).open(file).unwrap().set_len(4).unwrap();
    assert_eq!(reader.next_chunk().await.unwrap().unwrap(), "0123".as_bytes());
    for _ in 0..2 {
        assert!(matches!(reader.next_chunk().await, Err(BlobError::Unavailable(_))));
    }
}

#[tokio::test]
async fn first_installation_owns_the_files() {
    let dir = TempDir::new().unwrap();
    let blobs = FileBlobs::open(dir.path()).await.unwrap();
    assert_eq!(blobs.claim("one").await.unwrap(), "one");
    let again = FileBlobs::open(dir.path()).await.unwrap();
    assert_eq!(again.claim("other").await.unwrap(), "one");
    put(&blobs, &BlobKey::Source(hash()), b"a").await;
    assert_eq!(blobs.hashes().await.unwrap(), [hash()]);
    again.adopt("other").await.unwrap();
    assert_eq!(blobs.claim("one").await.unwrap(), "other");
    wait_for_temporary_files(dir.path(), 0).await;
}
