use std::fs;
use std::path::Path;
use std::time::Duration;

use futures_util::FutureExt as _;
use vocalizer_core::part::Stem;
use vocalizer_core::ports::{BlobError, BlobKey, BlobStore as _};
use vocalizer_core::song::SongHash;

use super::server::{Fault, Server, bytes, get, put};

const MIB: usize = 1024 * 1024;
const SHORT: Duration = Duration::from_millis(400);

/// Counts the entries of a folder whose names begin with `start`.
fn count(dir: &Path, start: &str) -> usize {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with(start)).count()
}

/// Counts unfinished multipart uploads, in this server's data folder.
fn parts(server: &Server) -> usize {
    count(server.root(), ".upload")
}

/// Waits until the work folder is empty; files are removed in the background.
async fn wait_until_work_folder_is_empty(server: &Server) {
    let uploads = server.work().join("uploads");
    for _ in 0..1_000 {
        if count(&uploads, "") == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} files are left", count(&uploads, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn large_blob_is_uploaded_completely_with_few_parts_in_memory() {
    let server = Server::start();
    let blobs = server.blobs(Duration::from_secs(10)).await;
    let whole = bytes(40 * MIB + 1, 3);
    let hash = SongHash::of(&whole);
    let key = BlobKey::Source(hash);
    server.requests();
    put(&blobs, &key, &whole).await;
    let requests = server.requests();
    assert_eq!(requests.iter().filter(|request| request.contains("partNumber=")).count(), 6, "{requests:?}");
    assert!(server.most_held_bytes() <= 17 * MIB as u64, "{} bytes at a time", server.most_held_bytes());
    let found = get(&blobs, &key).await.unwrap();
    assert_eq!(SongHash::of(&found), hash);
    let middle = blobs.open(&key, Some(20_000_000..20_000_010)).await.unwrap();
    assert_eq!(middle.unwrap().next_chunk().await.unwrap().unwrap(), whole.slice(20_000_000..20_000_010));
    assert_eq!(parts(&server), 0);
    wait_until_work_folder_is_empty(&server).await;

    server.requests();
    put(&blobs, &key, &whole).await;
    let requests = server.requests();
    assert!(requests.iter().all(|request| request.starts_with("HEAD ")), "the blob was uploaded again: {requests:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn small_blob_is_uploaded_in_one_request() {
    let server = Server::start();
    let blobs = server.blobs(Duration::from_secs(10)).await;
    let key = BlobKey::Stem(SongHash::of(b"a"), Stem::VOCALS);
    for (len, expected) in [(0, 1), (8 * MIB, 1), (8 * MIB + 1, 4)] {
        server.requests();
        put(&blobs, &key, &bytes(len, 1)).await;
        let requests = server.requests();
        assert_eq!(requests.len(), expected, "{requests:?}");
        assert!(get(&blobs, &key).await.unwrap() == bytes(len, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_part_aborts_the_upload() {
    let server = Server::start();
    let blobs = server.blobs(SHORT).await;
    let key = BlobKey::Stem(SongHash::of(b"a"), Stem::VOCALS);
    put(&blobs, &key, &bytes(1_000, 1)).await;
    for (fails, status) in [("partNumber=3", 400), ("partNumber=1", 503), ("POST ?uploadId=", 500)] {
        server.requests();
        server.set_faults(move |method, uri| {
            let query = uri.query().unwrap_or_default();
            let hit = query.contains(fails) || format!("{method} ?{query}").starts_with(fails);
            if hit { Fault::Error(status, "Fault") } else { Fault::None }
        });
        let mut writer = blobs.begin().await.unwrap();
        writer.write(bytes(30 * MIB, 2)).await.unwrap();
        let error = writer.commit(&key).await.unwrap_err();
        assert!(matches!(error, BlobError::Unavailable(_)), "{error:?}");
        let requests = server.requests();
        assert!(
            requests.iter().any(|request| request.starts_with("DELETE ") && request.contains("uploadId=")),
            "{requests:?}"
        );
        assert_eq!(parts(&server), 0, "{fails}");
        assert_eq!(get(&blobs, &key).await, Some(bytes(1_000, 1)), "the previous blob must stay");
        wait_until_work_folder_is_empty(&server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_multipart_commit_completes() {
    let server = Server::start();
    let blobs = server.blobs(Duration::from_secs(10)).await;
    let whole = bytes(20 * MIB, 5);
    let key = BlobKey::Source(SongHash::of(&whole));
    let mut writer = blobs.begin().await.unwrap();
    writer.write(whole.clone()).await.unwrap();
    writer.reader().await.unwrap();
    assert!(writer.commit(&key).now_or_never().is_none(), "the commit must not complete yet");
    wait_until_work_folder_is_empty(&server).await;
    assert!(get(&blobs, &key).await.unwrap() == whole);
    assert_eq!(parts(&server), 0);
}

#[tokio::test]
async fn existing_source_is_not_uploaded_again() {
    let server = Server::start();
    let blobs = server.blobs(SHORT).await;
    let right = bytes(1_000, 1);
    let key = BlobKey::Source(SongHash::of(&right));
    let sent = |server: &Server| server.requests().iter().filter(|request| request.starts_with("PUT ")).count();
    for (commit, expected) in [
        (&right, 1),
        (&right, 0),
        // A wrong blob under the key must be replaced.
        (&bytes(1_000, 2), 1),
        (&right, 1),
    ] {
        server.requests();
        put(&blobs, &key, commit).await;
        assert_eq!(sent(&server), expected);
        assert_eq!(get(&blobs, &key).await.as_ref(), Some(commit));
    }
    wait_until_work_folder_is_empty(&server).await;
}

#[tokio::test]
async fn other_objects_are_neither_listed_nor_swept() {
    let server = Server::start();
    let blobs = server.blobs(SHORT).await;
    let prefix = server.root().join("songs/of/tests");
    fs::create_dir_all(prefix.join("notes")).unwrap();
    fs::write(prefix.join("notes/mine.txt"), "mine").unwrap();
    fs::write(prefix.join("mine.txt"), "mine").unwrap();
    fs::write(server.work().join("mine.txt"), "mine").unwrap();
    assert_eq!(blobs.hashes().await.unwrap(), []);
    assert_eq!(blobs.sweep().await.unwrap(), 0);
    blobs.delete_all(&SongHash::of(b"a")).await.unwrap();
    assert!(prefix.join("notes/mine.txt").exists() && prefix.join("mine.txt").exists());
    assert!(server.work().join("mine.txt").exists());
}

#[cfg(unix)]
#[tokio::test]
async fn temporary_files_are_accessible_to_the_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;

    let server = Server::start();
    let blobs = server.blobs(SHORT).await;
    let _writer = blobs.begin().await.unwrap();
    let uploads = server.work().join("uploads");
    let file = fs::read_dir(&uploads).unwrap().next().unwrap().unwrap().path();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(&uploads)), (0o600, 0o700));
}

/// Simulates a disk fault of the bucket, or a foreign writer.
#[tokio::test]
async fn replace_uploads_a_source_whose_digest_matches() {
    let server = Server::start();
    let blobs = server.blobs(SHORT).await;
    let right = bytes(1_000, 1);
    let key = BlobKey::Source(SongHash::of(&right));
    put(&blobs, &key, &right).await;
    let object = server.root().join(format!("songs/songs/of/tests/{key}"));
    let object = if object.exists() { object } else { server.root().join(format!("songs/of/tests/{key}")) };
    assert_eq!(fs::read(&object).unwrap(), right);
    fs::write(&object, bytes(1_000, 9)).unwrap();
    put(&blobs, &key, &right).await;
    assert!(get(&blobs, &key).await.unwrap() != right, "the object's size and digest must be trusted");

    let mut writer = blobs.begin().await.unwrap();
    writer.write(right.clone()).await.unwrap();
    assert_eq!(writer.replace(&key).await.unwrap(), 1_000);
    assert_eq!(get(&blobs, &key).await.unwrap(), right);
    wait_until_work_folder_is_empty(&server).await;
}

#[tokio::test]
async fn check_fails_for_a_missing_bucket() {
    let server = Server::start();
    let blobs = server.blobs(SHORT).await;
    blobs.check().await.unwrap();
    let (bucket, aside) = (server.root().join("songs"), server.root().join("aside"));
    fs::rename(&bucket, &aside).unwrap();
    let gone = blobs.check().await;
    assert!(matches!(gone, Err(BlobError::Unavailable(_))), "{gone:?}");
    fs::rename(&aside, &bucket).unwrap();
    blobs.check().await.unwrap();
}
