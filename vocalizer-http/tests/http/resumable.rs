//! Resumable uploads over a connection.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncWriteExt as _, duplex};
use vocalizer_core::account::Viewer;
use vocalizer_core::part::{Format, Part};
use vocalizer_core::service::Listing;
use vocalizer_core::song::SongId;

use super::support::{Answer, Service};

const VERSION: &str = "Tus-Resumable: 1.0.0\r\n";

const KIND: &str = "Content-Type: application/offset+octet-stream\r\n";

/// `title` with the value `x`.
const TITLE: &str = "Upload-Metadata: title eA==\r\n";

const MIB: usize = 1024 * 1024;

fn service() -> Service {
    Service::accepting_uploads(64 * MIB as u64)
}

/// Creates an upload and returns its path.
async fn create(service: &Service, len: usize, headers: &str) -> String {
    let headers = format!("{VERSION}Upload-Length: {len}\r\n{headers}");
    let answer = service.send("POST", "/songs/uploads", &headers, "").await;
    assert_eq!(answer.status, 201, "{answer:?}");
    format!("/songs/{}", answer.header("location"))
}

async fn patch(service: &Service, path: &str, offset: usize, body: &str, headers: &str) -> Answer {
    let headers = format!("{VERSION}{KIND}Upload-Offset: {offset}\r\n{headers}");
    service.send("PATCH", path, &headers, body).await
}

async fn offset(service: &Service, path: &str, headers: &str) -> Option<usize> {
    let answer = service.send("HEAD", path, &format!("{VERSION}{headers}"), "").await;
    assert!(answer.body.is_empty(), "{answer:?}");
    (answer.status == 200).then(|| answer.header("upload-offset").parse().unwrap())
}

/// Begins a `PATCH`, and drops the connection in the middle of its body.
async fn cut(service: &Service, path: &str, offset: usize, declared: usize, body: &str) {
    let (mut client, server) = duplex(64 * 1024);
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let sent = async {
        let head = format!(
            "PATCH {path} HTTP/1.1\r\nHost: x\r\n{VERSION}{KIND}Upload-Offset: {offset}\r\nContent-Length: {declared}\r\n\r\n"
        );
        client.write_all(head.as_bytes()).await.unwrap();
        client.write_all(body.as_bytes()).await.unwrap();
        drop(client);
    };
    let _ = tokio::join!(service.server.serve(server, peer), sent);
}

/// Waits until an upload has so many bytes: what arrived is stored after the connection has ended.
async fn until(service: &Service, path: &str, expected: usize) {
    for _ in 0..1000 {
        if offset(service, path, "").await == Some(expected) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the upload has {:?} bytes, not {expected}", offset(service, path, "").await);
}

fn text(len: usize) -> String {
    (0..len).map(|at| char::from(b'a' + (at % 23) as u8)).collect()
}

async fn assert_stored(service: &Service, song: &str, expected: &str) {
    let id: SongId = song.parse().unwrap();
    let part = service.songs.part(Viewer::Anonymous.into(), id, Part::Song, Format::Mp3).await.unwrap();
    let mut blob = service.songs.open(&part, None).await.unwrap();
    let mut read = Vec::new();
    while let Some(chunk) = blob.next_chunk().await.unwrap() {
        read.extend_from_slice(&chunk);
    }
    assert!(read == expected.as_bytes(), "the stored song differs");
}

async fn count(service: &Service) -> usize {
    service.songs.list(Viewer::Anonymous, Listing::default()).await.unwrap().songs.len()
}

#[tokio::test]
async fn parts_of_any_size_make_one_song() {
    let service = service();
    let whole = text(17 * MIB);
    let path = create(&service, whole.len(), TITLE).await;
    let mut at = 0;
    for end in [1, 1, 3 * MIB, 8 * MIB, 8 * MIB + 5, 16 * MIB - 1, 16 * MIB + 1] {
        let answer = patch(&service, &path, at, &whole[at..end], "").await;
        assert_eq!((answer.status, answer.header("tus-resumable")), (204, "1.0.0"), "{answer:?}");
        assert_eq!(answer.header("upload-offset"), end.to_string());
        assert!(answer.header("upload-expires").ends_with(" GMT"), "{answer:?}");
        at = end;
        assert_eq!(offset(&service, &path, "").await, Some(at));
    }
    assert_eq!(count(&service).await, 0, "not yet complete");
    let last = patch(&service, &path, at, &whole[at..], "").await;
    let song = last.header("song-id");
    assert_eq!((last.status, last.body.len()), (204, 0), "{last:?}");
    assert_stored(&service, song, &whole).await;
    assert_eq!(service.songs.unfinished_uploads().await.unwrap().uploads, 0);

    // The answer was lost.
    let repeated = patch(&service, &path, whole.len(), "", "Accept: application/json\r\n").await.data();
    assert_eq!((&repeated["song"]["id"], &repeated["upload"]["song_id"]), (&song.into(), &song.into()));
    assert_eq!(count(&service).await, 1);
    service.songs.delete(Viewer::Anonymous, song.parse().unwrap()).await.unwrap();
    patch(&service, &path, whole.len(), "", "").await.assert_error(410, "gone", None);
}

#[tokio::test]
async fn bytes_of_a_cut_connection_count() {
    let service = service();
    let whole = text(9 * MIB);
    let path = create(&service, whole.len(), TITLE).await;
    let mut at = 0;
    for end in [1_000, 8 * MIB, 8 * MIB + 7] {
        cut(&service, &path, at, whole.len() - at, &whole[at..end]).await;
        until(&service, &path, end).await;
        at = end;
    }
    let last = patch(&service, &path, at, &whole[at..], "").await;
    assert_stored(&service, last.header("song-id"), &whole).await;
}

#[tokio::test]
async fn newer_request_interrupts_an_older_one() {
    let service = Arc::new(service());
    let whole = text(9 * MIB);
    let path = create(&service, whole.len(), TITLE).await;
    let (mut client, server) = duplex(64 * 1024);
    let older = Arc::clone(&service);
    tokio::spawn(async move { older.server.serve(server, SocketAddr::from((Ipv4Addr::LOCALHOST, 1))).await });
    let head = format!(
        "PATCH {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{VERSION}{KIND}Upload-Offset: 0\r\nContent-Length: {}\r\n\r\n",
        whole.len()
    );
    client.write_all(head.as_bytes()).await.unwrap();
    client.write_all(&whole.as_bytes()[..8 * MIB + 9]).await.unwrap();
    until(&service, &path, 8 * MIB).await;
    let newer = patch(&service, &path, 8 * MIB, &whole[8 * MIB..], "").await;
    newer.assert_error(409, "conflict", None);
    let stored: usize = newer.header("upload-offset").parse().unwrap();
    assert!((8 * MIB + 1..=8 * MIB + 9).contains(&stored), "what had arrived counts: {stored}");
    client.shutdown().await.unwrap();
    Answer::read(&mut client).await.assert_error(409, "conflict", None);
    let last = patch(&service, &path, stored, &whole[stored..], "").await;
    assert_stored(&service, last.header("song-id"), &whole).await;
}

#[tokio::test]
async fn upload_can_begin_with_bytes_and_follows_the_rules_of_the_form() {
    let service = service();
    let (session, _) = service.user().await;
    let cookie = format!("Cookie: session={session}\r\n");
    let id = SongId::random().to_string();
    // `filename` is `a/Lied.mp3`, `duplicates` is `refuse`.
    let metadata = |id: &str| {
        use base64::Engine as _;
        let id = base64::engine::general_purpose::STANDARD.encode(id);
        format!("Upload-Metadata: filename YS9MaWVkLm1wMw==,duplicates cmVmdXNl,id {id},other\r\n")
    };
    let headers = format!("{VERSION}{KIND}{cookie}Upload-Length: 6\r\n");
    let first = service.send("POST", "/songs/uploads", &format!("{headers}{}", metadata(&id)), "a song").await;
    assert_eq!((first.status, first.header("song-id")), (201, &*id), "{first:?}");
    assert_eq!(first.json()["data"]["song"]["title"], "Lied");
    let other = metadata(&SongId::random().to_string());
    let second = service.send("POST", "/songs/uploads", &format!("{headers}{other}"), "a song").await;
    second.assert_error(409, "duplicate", None);
    assert_eq!(service.songs.unfinished_uploads().await.unwrap().uploads, 0, "a repeat cannot succeed");

    let keyed = format!("{VERSION}{KIND}Idempotency-Key: row 7\r\nUpload-Length: 6\r\n{TITLE}");
    let one = service.send("POST", "/songs/uploads", &keyed, "song 1").await;
    let again = service.send("POST", "/songs/uploads", &keyed, "song 1").await;
    assert_eq!(one.header("song-id"), again.header("song-id"));
    let reused = service.send("POST", "/songs/uploads", &keyed, "song 2").await;
    reused.assert_error(422, "invalid", Some("Idempotency-Key"));
}

#[tokio::test]
async fn uploads_of_users_are_private() {
    let service = service();
    let (session, _) = service.user().await;
    let (other, _) = service.user_named("bob").await;
    let [ada, bob] = [session, other].map(|session| format!("Cookie: session={session}\r\n"));
    let path = create(&service, 10, &format!("{TITLE}{ada}")).await;
    for headers in ["", &bob] {
        assert_eq!(offset(&service, &path, headers).await, None);
        patch(&service, &path, 0, "x", headers).await.assert_error(404, "not_found", None);
        let terminated = service.send("DELETE", &path, &format!("{VERSION}{headers}"), "").await;
        terminated.assert_error(404, "not_found", None);
    }
    assert_eq!(offset(&service, &path, &ada).await, Some(0));
    assert_eq!(service.send("DELETE", &path, &format!("{VERSION}{ada}"), "").await.status, 204);
    assert_eq!(offset(&service, &path, &ada).await, None);
}

#[tokio::test]
async fn bad_requests_are_refused() {
    let service = service();
    let options = service.send("OPTIONS", "/songs/uploads", "", "").await;
    assert_eq!((options.status, options.header("tus-version")), (204, "1.0.0"), "{options:?}");
    assert_eq!(options.header("tus-extension"), "creation,creation-with-upload,expiration,termination");
    let post = async |headers: &str| service.send("POST", "/songs/uploads", &format!("{VERSION}{headers}"), "").await;
    for length in ["", "-1", "+5", "1e3", "0x10", "5 5", "18446744073709551616"] {
        post(&format!("{TITLE}Upload-Length: {length}\r\n")).await.assert_error(400, "malformed", None);
    }
    post(TITLE).await.assert_error(400, "malformed", None);
    post(&format!("{TITLE}Upload-Defer-Length: 1\r\n")).await.assert_error(400, "malformed", None);
    post(&format!("{TITLE}Upload-Length: 5\r\nUpload-Concat: partial\r\n")).await.assert_error(400, "malformed", None);
    post(&format!("{TITLE}Upload-Length: 0\r\n")).await.assert_error(422, "invalid", Some("file"));
    post(&format!("{TITLE}Upload-Length: {}\r\n", u64::MAX)).await.assert_error(413, "too_large", None);
    for metadata in ["title !", "title eA==,title eA==", "title /w=="] {
        let answer = post(&format!("Upload-Length: 5\r\nUpload-Metadata: {metadata}\r\n")).await;
        answer.assert_error(400, "malformed", None);
    }
    for (metadata, field) in [("", "title"), ("title eA==,id eA==", "id"), ("title eA==,duplicates eA==", "duplicates")]
    {
        let answer = post(&format!("Upload-Length: 5\r\nUpload-Metadata: {metadata}\r\n")).await;
        answer.assert_error(422, "invalid", Some(field));
    }
    let refused = service.send("POST", "/songs/uploads", &format!("{TITLE}Upload-Length: 5\r\n"), "").await;
    assert_eq!((refused.status, refused.header("tus-version")), (412, "1.0.0"), "{refused:?}");
    assert_eq!(service.songs.unfinished_uploads().await.unwrap().uploads, 0, "none was created");

    let path = create(&service, 10, TITLE).await;
    let typed = service.send("PATCH", &path, &format!("{VERSION}Upload-Offset: 0\r\n"), "x").await;
    typed.assert_error(415, "unsupported", None);
    service.send("PATCH", &path, &format!("{VERSION}{KIND}"), "x").await.assert_error(400, "malformed", None);
    assert_eq!(patch(&service, &path, 0, "12345", "").await.status, 204);
    for wrong in [0, 4, 6, 10, 11] {
        let refused = patch(&service, &path, wrong, "x", "").await;
        refused.assert_error(409, "conflict", None);
        assert_eq!(refused.header("upload-offset"), "5", "a client learns where to continue");
    }
    patch(&service, &path, 5, "123456", "").await.assert_error(413, "too_large", None);
    assert_eq!(offset(&service, &path, "").await, Some(5));
    let unknown = format!("/songs/uploads/{}", SongId::random());
    for path in [&*unknown, "/songs/uploads/x"] {
        assert_eq!(offset(&service, path, "").await, None, "{path}");
        patch(&service, path, 0, "x", "").await.assert_error(404, "not_found", None);
    }
}
