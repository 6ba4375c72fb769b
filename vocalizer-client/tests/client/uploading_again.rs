//! Uploads that are repeated, and limits that are checked before.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_core::Stream;
use futures_util::stream;
use serde_json::json;
use vocalizer_client::{Client, Error, ErrorCode, SongId, Upload};

use super::backend::{self, Fault, Shared};

const BYTES: &[u8] = &[7; 150_000];

/// Starts a backend that supports repeated uploads.
async fn start() -> (Shared, Client) {
    let (backend, client) = backend::start().await;
    backend.lock().unwrap().limits = Some(json!({"max_upload_bytes": 1_000_000, "upload_ids": true}));
    (backend, client)
}

fn song() -> Upload {
    Upload::from_bytes("x", "x.mp3", BYTES)
}

fn blocks(count: usize) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    stream::iter((0..count).map(|_| Ok(Bytes::from_static(&[7; 1000]))))
}

#[tokio::test]
async fn upload_is_retried_after_503_and_cut_connection_and_makes_one_song() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.mp3");
    std::fs::write(&path, BYTES).unwrap();
    for upload in [song(), Upload::from_path("x", &path)] {
        let (backend, client) = start().await;
        backend.lock().unwrap().upload_faults = [Fault::Busy, Fault::Cut].into();
        let id = upload.id();
        assert_eq!(client.upload(upload).await.unwrap().id, id);
        let backend = backend.lock().unwrap();
        assert_eq!(backend.requests("upload "), vec![format!("upload {id}"); 3]);
        assert_eq!(backend.songs.len(), 1);
        assert_eq!(backend.songs[0].bytes, BYTES);
    }
}

#[tokio::test]
async fn retry_asks_for_the_song_and_does_not_send_it_again_if_it_arrived() {
    for fault in [Fault::LostAnswer, Fault::LostBehindProxy] {
        let (backend, client) = start().await;
        backend.lock().unwrap().upload_faults = [fault].into();
        let upload = song();
        let id = upload.id();
        assert_eq!(client.upload(upload).await.unwrap().id, id);
        let backend = backend.lock().unwrap();
        assert_eq!(backend.requests("GET songs/"), [format!("GET songs/{id}")]);
        assert_eq!((backend.requests("upload ").len(), backend.songs.len()), (1, 1));
    }
}

#[tokio::test]
async fn repeated_upload_makes_one_song_even_if_the_song_cannot_be_read() {
    let (backend, client) = start().await;
    {
        let mut backend = backend.lock().unwrap();
        backend.upload_faults = [Fault::LostAnswer].into();
        // All attempts to read the song after the first upload.
        backend.outages = 4;
    }
    client.upload(song()).await.unwrap();
    let backend = backend.lock().unwrap();
    assert_eq!((backend.requests("upload ").len(), backend.songs.len()), (2, 1));
}

#[tokio::test]
async fn upload_gives_up_after_its_retries() {
    let (backend, client) = start().await;
    backend.lock().unwrap().upload_faults = [Fault::Busy; 10].into();
    let error = client.upload(song()).await.unwrap_err();
    assert!(error.has_code(ErrorCode::Unavailable) && error.is_transient(), "{error:?}");
    assert_eq!(backend.lock().unwrap().requests("upload ").len(), 4);
}

#[tokio::test]
async fn upload_is_sent_once_and_without_id_to_servers_that_do_not_support_ids() {
    for limits in [None, Some(json!({})), Some(json!({"max_upload_bytes": 1_000_000, "upload_ids": false}))] {
        for fault in [Fault::Busy, Fault::Cut] {
            let (backend, client) = backend::start().await;
            backend.lock().unwrap().limits = limits.clone();
            backend.lock().unwrap().upload_faults = [fault].into();
            let error = client.upload(song()).await.unwrap_err();
            assert!(error.is_transient(), "{error:?}");
            assert_eq!(backend.lock().unwrap().requests("upload "), ["upload without ID"]);
            client.upload(song()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn stream_that_can_be_read_once_is_sent_once() {
    let (backend, client) = start().await;
    for size_bytes in [None, Some(3000)] {
        backend.lock().unwrap().upload_faults = [Fault::Busy].into();
        let upload = Upload::from_stream("x", "x.mp3", size_bytes, blocks(3));
        let error = client.upload(upload).await.unwrap_err();
        assert!(error.has_code(ErrorCode::Unavailable), "{error:?}");
    }
    assert_eq!(backend.lock().unwrap().requests("upload ").len(), 2);
}

#[tokio::test]
async fn stream_factory_is_opened_for_each_attempt() {
    for size_bytes in [None, Some(3000)] {
        let (backend, client) = start().await;
        backend.lock().unwrap().upload_faults = [Fault::Busy, Fault::Cut].into();
        let opened = Arc::<AtomicU32>::default();
        let count = Arc::clone(&opened);
        let upload = Upload::from_stream_factory("x", "x.mp3", size_bytes, move || {
            count.fetch_add(1, Ordering::Relaxed);
            async { Ok(blocks(3)) }
        });
        client.upload(upload).await.unwrap();
        assert_eq!(opened.load(Ordering::Relaxed), 3);
        assert_eq!(backend.lock().unwrap().songs[0].bytes, [7; 3000][..]);
    }
}

#[tokio::test]
async fn failing_stream_is_an_error_of_the_source_and_not_retried() {
    let (backend, client) = start().await;
    let opened = Arc::<AtomicU32>::default();
    for fails_at_once in [true, false] {
        let count = Arc::clone(&opened);
        let upload = Upload::from_stream_factory("x", "x.mp3", None, move || {
            count.fetch_add(1, Ordering::Relaxed);
            async move {
                let broken = || io::Error::other("the microphone broke");
                if fails_at_once { Err(broken()) } else { Ok(stream::iter([Ok(Bytes::from("x")), Err(broken())])) }
            }
        });
        let error = client.upload(upload).await.unwrap_err();
        assert!(matches!(&error, Error::Source(source) if source.to_string() == "the microphone broke"), "{error:?}");
        assert!(!error.is_transient());
    }
    assert_eq!(opened.load(Ordering::Relaxed), 2);
    assert!(backend.lock().unwrap().songs.is_empty());
}

#[tokio::test]
async fn stream_with_another_size_than_announced_is_an_error_of_the_source() {
    let (backend, client) = start().await;
    for count in [2, 4] {
        let opened = Arc::<AtomicU32>::default();
        let openings = Arc::clone(&opened);
        let upload = Upload::from_stream_factory("x", "x.mp3", Some(3000), move || {
            openings.fetch_add(1, Ordering::Relaxed);
            async move { Ok(blocks(count)) }
        });
        let error = client.upload(upload).await.unwrap_err();
        assert!(matches!(error, Error::Source(_)) && !error.is_transient(), "{count}: {error:?}");
        assert_eq!(opened.load(Ordering::Relaxed), 1);
    }
    assert!(backend.lock().unwrap().songs.is_empty());
}

#[tokio::test]
async fn file_that_shrinks_during_the_upload_is_a_file_error_and_not_retried() {
    let (backend, client) = start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.mp3");
    std::fs::write(&path, vec![7; 900_000]).unwrap();
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    let upload = Upload::from_path("x", &path).with_progress(move |_, _| file.set_len(1000).unwrap());
    let error = client.upload(upload).await.unwrap_err();
    assert!(matches!(&error, Error::File { path: named, .. } if *named == path), "{error:?}");
    assert!(!error.is_transient());
    let backend = backend.lock().unwrap();
    // The client may notice it before the server has read anything.
    assert!(backend.songs.is_empty() && backend.requests("POST").len() <= 1, "{:?}", backend.log);
}

#[tokio::test]
async fn too_large_upload_with_known_size_is_rejected_before_anything_is_sent() {
    let (backend, client) = start().await;
    backend.lock().unwrap().limits = Some(json!({"max_upload_bytes": 10, "upload_ids": true}));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.mp3");
    std::fs::write(&path, [7; 11]).unwrap();
    let eleven = || stream::iter([Ok(Bytes::from_static(&[7; 11]))]);
    for upload in [
        Upload::from_bytes("x", "x.mp3", &[7; 11][..]),
        Upload::from_path("x", &path),
        Upload::from_stream("x", "x.mp3", Some(11), eleven()),
        Upload::from_stream_factory("x", "x.mp3", Some(11), move || async move { Ok(eleven()) }),
    ] {
        let error = client.upload(upload).await.unwrap_err();
        assert!(matches!(error, Error::TooLarge { size_bytes: 11, max_bytes: 10 }), "{error:?}");
        assert!(!error.is_transient());
    }
    assert_eq!(backend.lock().unwrap().requests("POST"), [""; 0]);
    client.upload(Upload::from_bytes("x", "x.mp3", &[7; 10][..])).await.unwrap();
}

#[tokio::test]
async fn limits_are_read_once_for_several_uploads() {
    let (backend, client) = start().await;
    for client in [&client, &client.clone(), &client.with_session(), &client] {
        client.upload(song()).await.unwrap();
    }
    let backend = backend.lock().unwrap();
    assert_eq!((backend.requests("GET limits").len(), backend.songs.len()), (1, 4));
}

#[tokio::test]
async fn limits_that_cannot_be_read_now_do_not_prevent_uploads_and_are_asked_for_again() {
    let (backend, client) = start().await;
    // All attempts to read the limits.
    backend.lock().unwrap().limit_outages = 4;
    let upload = song();
    let id = upload.id();
    assert_eq!(client.upload(upload).await.unwrap().id, id);
    // One failure, then a retry.
    backend.lock().unwrap().limit_outages = 1;
    backend.lock().unwrap().upload_faults = [Fault::Busy].into();
    client.upload(song()).await.unwrap();
    let backend = backend.lock().unwrap();
    assert_eq!((backend.requests("GET limits").len(), backend.songs.len()), (4 + 2, 2));
}

/// As after a crash.
#[tokio::test]
async fn upload_with_stored_id_makes_one_song_in_another_client() {
    let (backend, address) = backend::serve().await;
    backend.lock().unwrap().limits = Some(json!({"upload_ids": true}));
    let id = SongId::random();
    for _ in 0..2 {
        let song = backend::client(&address).upload(song().with_id(id)).await.unwrap();
        assert_eq!(song.id, id);
    }
    assert_eq!(backend.lock().unwrap().songs.len(), 1);
    let other = Upload::from_bytes("x", "x.mp3", "other bytes").with_id(id);
    let error = backend::client(&address).upload(other).await.unwrap_err();
    assert!(error.has_code(ErrorCode::Conflict) && !error.is_transient(), "{error:?}");
}

#[tokio::test]
async fn progress_starts_again_with_each_attempt() {
    let (backend, client) = start().await;
    backend.lock().unwrap().upload_faults = [Fault::Busy].into();
    let reported = Arc::<Mutex<Vec<u64>>>::default();
    let sink = Arc::clone(&reported);
    let upload = song().with_progress(move |sent_bytes, _| sink.lock().unwrap().push(sent_bytes));
    client.upload(upload).await.unwrap();
    let reported = reported.lock().unwrap();
    let whole = BYTES.len() as u64;
    assert_eq!(reported.iter().filter(|&&sent_bytes| sent_bytes == whole).count(), 2, "{reported:?}");
    assert!(reported.iter().all(|&sent_bytes| sent_bytes <= whole));
}
