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

/// Every file and folder under a folder, from there.
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

/// What is in the folder for what is under way, once whatever goes on in the background is over.
async fn under_way(root: &Path, expected: usize) {
    let count = || fs::read_dir(root.join("tmp")).unwrap().count();
    for _ in 0..1_000 {
        if count() == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} are under way, not {expected}", count());
}

#[tokio::test]
async fn blobs_lie_where_they_are_said_to_lie() {
    let root = TempDir::new().unwrap();
    let blobs = FileBlobs::open(root.path()).await.unwrap();
    for key in [
        BlobKey::Source(hash()),
        BlobKey::Stem(hash(), Stem::Drums),
        BlobKey::Rendition(hash(), Part::Accompaniment, Format::Flac),
    ] {
        put(&blobs, &key, b"bytes").await;
        let name = hash().to_string();
        let file = root.path().join(&name[..2]).join(key.to_string());
        assert_eq!(fs::read(file).unwrap(), b"bytes");
    }
    under_way(root.path(), 0).await;
    blobs.delete_all(&hash()).await.unwrap();
    let shelf = PathBuf::from(&hash().to_string()[..2]);
    assert_eq!(tree(root.path()), BTreeSet::from(["tmp".into(), shelf]), "nothing is left of it");
}

#[tokio::test]
async fn to_open_what_was_made_is_a_use_that_later_processes_know_of() {
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
    assert_eq!(first.tag(), again.tag(), "to use a blob does not change it");
    let made = FileBlobs::open(root.path()).await.unwrap().made().await.unwrap();
    let used = keys.map(|key| made.iter().find(|made| made.key == key).unwrap().used);
    assert_eq!(used[1], OffsetDateTime::from(long_ago));
    assert!(used[0] > used[1]);
}

/// Processes in containers often have the same number, and so their temporary files the same names.
#[tokio::test]
async fn what_a_dead_process_of_the_same_number_left_is_in_nobody_s_way() {
    let root = TempDir::new().unwrap();
    let blobs = FileBlobs::open(root.path()).await.unwrap();
    let left = |number: u32| root.path().join("tmp").join(format!("{}-{number}", std::process::id()));
    (0..4).for_each(|number| fs::write(left(number), b"left").unwrap());
    put(&blobs, &BlobKey::Source(hash()), b"bytes").await;
    fs::write(left(5), b"left").unwrap();
    blobs.delete_all(&hash()).await.unwrap();
    assert!(blobs.open(&BlobKey::Source(hash()), None).await.unwrap().is_none());
    under_way(root.path(), 5).await;
    assert_eq!(blobs.sweep().await.unwrap(), 5);
}

#[cfg(unix)]
#[tokio::test]
async fn files_and_folders_are_their_owner_s_alone() {
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
async fn a_dropped_writer_s_file_goes() {
    let root = TempDir::new().unwrap();
    let blobs = FileBlobs::open(root.path()).await.unwrap();
    let mut writer = blobs.begin().await.unwrap();
    writer.write(Bytes::from(vec![1; 1_000_000])).await.unwrap();
    under_way(root.path(), 1).await;
    drop(writer);
    under_way(root.path(), 0).await;
}

#[test]
fn a_writer_that_outlives_its_runtime_harms_nobody() {
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
    assert_eq!(swept, 1, "the next process sees to it");
}

#[tokio::test]
async fn a_sweep_removes_what_dead_processes_left_and_nothing_else() {
    let root = TempDir::new().unwrap();
    let blobs = FileBlobs::open(root.path()).await.unwrap();
    put(&blobs, &BlobKey::Source(hash()), b"bytes").await;
    // A writer's file, and a folder that was being deleted.
    fs::write(root.path().join("tmp/123-0"), "half").unwrap();
    fs::create_dir_all(root.path().join("tmp/123-1/made")).unwrap();
    fs::write(root.path().join("tmp/123-1/made/drums.flac"), "half").unwrap();
    let live = blobs.begin().await.unwrap();
    assert_eq!(blobs.sweep().await.unwrap(), 2);
    under_way(root.path(), 1).await;
    live.commit(&BlobKey::Stem(hash(), Stem::Bass)).await.unwrap();
    assert_eq!(blobs.hashes().await.unwrap(), [hash()]);
}

#[tokio::test]
async fn a_number_that_a_dead_process_used_is_not_used_again() {
    let root = TempDir::new().unwrap();
    let dead = FileBlobs::open(root.path()).await.unwrap();
    for _ in 0..3 {
        std::mem::forget(dead.begin().await.unwrap());
    }
    // The same process number, so the same names.
    let blobs = FileBlobs::open(root.path()).await.unwrap();
    let writer = blobs.begin().await.unwrap();
    under_way(root.path(), 4).await;
    assert_eq!(blobs.sweep().await.unwrap(), 3);
    drop(writer);
    under_way(root.path(), 0).await;
}

#[tokio::test]
async fn what_is_not_a_blob_is_not_listed() {
    let root = TempDir::new().unwrap();
    let blobs = FileBlobs::open(root.path()).await.unwrap();
    let name = hash().to_string();
    fs::create_dir_all(root.path().join(&name[..2]).join(&name).join("made")).unwrap();
    fs::create_dir_all(root.path().join("lost+found/x")).unwrap();
    fs::write(root.path().join("notes.txt"), "mine").unwrap();
    assert_eq!(blobs.hashes().await.unwrap(), []);
}

#[tokio::test]
async fn a_blob_that_is_cut_short_is_an_error_and_not_a_short_blob() {
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
async fn files_belong_to_the_installation_that_was_there_first() {
    let dir = TempDir::new().unwrap();
    let blobs = FileBlobs::open(dir.path()).await.unwrap();
    assert_eq!(blobs.claim("one").await.unwrap(), "one");
    let again = FileBlobs::open(dir.path()).await.unwrap();
    assert_eq!(again.claim("other").await.unwrap(), "one");
    put(&blobs, &BlobKey::Source(hash()), b"a").await;
    assert_eq!(blobs.hashes().await.unwrap(), [hash()]);
    again.adopt("other").await.unwrap();
    assert_eq!(blobs.claim("one").await.unwrap(), "other");
    under_way(dir.path(), 0).await;
}
