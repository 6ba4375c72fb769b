use std::fs;
use std::path::Path;
use std::time::Duration;

use futures_util::FutureExt as _;
use vocalizer_core::part::Stem;
use vocalizer_core::ports::{BlobError, BlobKey, BlobStore};
use vocalizer_core::song::SongHash;

use super::server::{Fate, Server, bytes, get, put};

const MIB: usize = 1024 * 1024;
const SHORT: Duration = Duration::from_millis(400);

/// How much lies in a folder whose name begins so.
fn count(dir: &Path, start: &str) -> usize {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with(start)).count()
}

/// What is left of uploads in parts, in this server's way of keeping them.
fn parts(server: &Server) -> usize {
    count(server.root(), ".upload")
}

/// What is left in the work folder, once whatever goes on in the background is over.
async fn nothing_is_left(server: &Server) {
    let uploads = server.work().join("uploads");
    for _ in 0..1_000 {
        if count(&uploads, "") == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} are left", count(&uploads, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_blob_arrives_whole_and_few_parts_of_it_are_under_way() {
    let server = Server::start();
    let blobs = server.blobs(Duration::from_secs(10)).await;
    let whole = bytes(40 * MIB + 1, 3);
    let hash = SongHash::of(&whole);
    let key = BlobKey::Source(hash);
    server.heard();
    put(&blobs, &key, &whole).await;
    let heard = server.heard();
    assert_eq!(heard.iter().filter(|request| request.contains("partNumber=")).count(), 6, "{heard:?}");
    assert!(server.most_held_bytes() <= 17 * MIB as u64, "{} bytes at a time", server.most_held_bytes());
    let found = get(&blobs, &key).await.unwrap();
    assert_eq!(SongHash::of(&found), hash);
    let middle = blobs.open(&key, Some(20_000_000..20_000_010)).await.unwrap();
    assert_eq!(middle.unwrap().next_chunk().await.unwrap().unwrap(), whole.slice(20_000_000..20_000_010));
    assert_eq!(parts(&server), 0);
    nothing_is_left(&server).await;

    server.heard();
    put(&blobs, &key, &whole).await;
    let heard = server.heard();
    assert!(heard.iter().all(|request| request.starts_with("HEAD ")), "it is there already: {heard:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_goes_up_in_one_request_as_far_as_that_goes() {
    let server = Server::start();
    let blobs = server.blobs(Duration::from_secs(10)).await;
    let key = BlobKey::Stem(SongHash::of(b"a"), Stem::Vocals);
    for (len, requests) in [(0, 1), (8 * MIB, 1), (8 * MIB + 1, 4)] {
        server.heard();
        put(&blobs, &key, &bytes(len, 1)).await;
        let heard = server.heard();
        assert_eq!(heard.len(), requests, "{heard:?}");
        assert!(get(&blobs, &key).await.unwrap() == bytes(len, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_fails_aborts_the_upload() {
    let server = Server::start();
    let blobs = server.blobs(SHORT).await;
    let key = BlobKey::Stem(SongHash::of(b"a"), Stem::Vocals);
    put(&blobs, &key, &bytes(1_000, 1)).await;
    for (fails, status) in [("partNumber=3", 400), ("partNumber=1", 503), ("POST ?uploadId=", 500)] {
        server.heard();
        server.set_fates(move |method, uri| {
            let query = uri.query().unwrap_or_default();
            let hit = query.contains(fails) || format!("{method} ?{query}").starts_with(fails);
            if hit { Fate::Refused(status, "Fault") } else { Fate::Answered }
        });
        let mut writer = blobs.begin().await.unwrap();
        writer.write(bytes(30 * MIB, 2)).await.unwrap();
        let error = writer.commit(&key).await.unwrap_err();
        assert!(matches!(error, BlobError::Unavailable(_)), "{error:?}");
        let heard = server.heard();
        assert!(
            heard.iter().any(|request| request.starts_with("DELETE ") && request.contains("uploadId=")),
            "{heard:?}"
        );
        assert_eq!(parts(&server), 0, "{fails}");
        assert_eq!(get(&blobs, &key).await, Some(bytes(1_000, 1)), "what was there is there");
        nothing_is_left(&server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_commit_in_parts_goes_on_to_its_end() {
    let server = Server::start();
    let blobs = server.blobs(Duration::from_secs(10)).await;
    let whole = bytes(20 * MIB, 5);
    let key = BlobKey::Source(SongHash::of(&whole));
    let mut writer = blobs.begin().await.unwrap();
    writer.write(whole.clone()).await.unwrap();
    writer.local_file().await.unwrap();
    assert!(writer.commit(&key).now_or_never().is_none(), "it takes a while");
    nothing_is_left(&server).await;
    assert!(get(&blobs, &key).await.unwrap() == whole);
    assert_eq!(parts(&server), 0);
}

#[tokio::test]
async fn a_source_that_is_there_is_not_sent_again() {
    let server = Server::start();
    let blobs = server.blobs(SHORT).await;
    let right = bytes(1_000, 1);
    let key = BlobKey::Source(SongHash::of(&right));
    let sent = |server: &Server| server.heard().iter().filter(|request| request.starts_with("PUT ")).count();
    for (commit, expected) in [
        (&right, 1),
        (&right, 0),
        // A wrong one under its key is no reason to leave it there.
        (&bytes(1_000, 2), 1),
        (&right, 1),
    ] {
        server.heard();
        put(&blobs, &key, commit).await;
        assert_eq!(sent(&server), expected);
        assert_eq!(get(&blobs, &key).await.as_ref(), Some(commit));
    }
    nothing_is_left(&server).await;
}

#[tokio::test]
async fn what_is_not_a_blob_is_neither_listed_nor_swept() {
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
async fn what_is_being_written_is_its_owner_s_alone() {
    use std::os::unix::fs::PermissionsExt as _;

    let server = Server::start();
    let blobs = server.blobs(SHORT).await;
    let mut writer = blobs.begin().await.unwrap();
    let file = writer.local_file().await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
}

/// As after a fault of the bucket's disk, or of whoever writes to it beside us.
#[tokio::test]
async fn a_source_that_is_doubted_is_sent_again_though_it_looks_right() {
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
    assert!(get(&blobs, &key).await.unwrap() != right, "its size and its digest are believed");

    let mut writer = blobs.begin().await.unwrap();
    writer.write(right.clone()).await.unwrap();
    assert_eq!(writer.replace(&key).await.unwrap(), 1_000);
    assert_eq!(get(&blobs, &key).await.unwrap(), right);
    nothing_is_left(&server).await;
}

#[tokio::test]
async fn a_bucket_that_is_gone_is_not_there_though_no_blob_is_asked_for() {
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
