use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use vocalizer_client::{Error, ErrorCode, SongId, SongStatus, Upload};
use vocalizer_core::song::SongHash;

use super::backend;

/// Some blocks, then an error or the end.
struct Blocks {
    left: u32,
    fails: bool,
}

impl Stream for Blocks {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.left > 0 {
            self.left -= 1;
            return Poll::Ready(Some(Ok(Bytes::from_static(&[7; 64 * 1024]))));
        }
        Poll::Ready(self.fails.then(|| Err(io::ErrorKind::BrokenPipe.into())))
    }
}

#[tokio::test]
async fn a_song_goes_up_from_a_file_from_memory_and_from_a_stream() {
    let (backend, client) = backend::start().await;
    let bytes = vec![7; 40 * 64 * 1024];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("on disk.mp3");
    std::fs::write(&path, &bytes).unwrap();
    let stream = || Blocks { left: 40, fails: false };
    let size_bytes = bytes.len() as u64;
    let uploads = [
        Upload::from_path("from a file", &path),
        Upload::from_bytes("from memory", "x.mp3", bytes.clone()),
        Upload::from_stream("from a stream", "x.mp3", Some(size_bytes), stream()),
        Upload::from_stream("from an endless stream", "x.mp3", None, stream()),
    ];
    for upload in uploads {
        let song = client.upload(upload).await.unwrap();
        assert_eq!((song.hash, song.status), (SongHash::of(&bytes).to_string(), SongStatus::Uploaded));
    }
    let backend = backend.lock().unwrap();
    assert_eq!(backend.songs[0].file_name, "on disk.mp3");
    assert!(backend.songs.iter().all(|song| song.bytes == bytes));
}

#[tokio::test]
async fn titles_and_file_names_arrive_as_they_are_and_break_nothing() {
    let (backend, client) = backend::start().await;
    for (title, file_name) in [
        ("Für Elise", "Für Elise"),
        ("a=b&c;d", "a=b&c;d"),
        ("--boundary", "--boundary"),
        ("a \"quoted\" title\\", "a _quoted_ title_"),
        ("x\r\nContent-Type: text/html\r\n\r\n\0", "x__Content-Type: text/html_____"),
    ] {
        let song = client.upload(Upload::from_bytes(title, title, "bytes")).await.unwrap();
        assert_eq!(song.title, title);
        let backend = backend.lock().unwrap();
        let stored = backend.songs.last().unwrap();
        assert_eq!((stored.file_name.as_str(), stored.bytes.as_ref()), (file_name, &b"bytes"[..]));
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_named() {
    let (backend, client) = backend::start().await;
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().join("missing.mp3"), folder.path().to_owned()] {
        let error = client.upload(Upload::from_path("x", &path)).await.unwrap_err();
        assert!(matches!(&error, Error::File { path: said, .. } if *said == path), "{error:?}");
    }
    assert!(backend.lock().unwrap().songs.is_empty());
}

#[tokio::test]
async fn a_stream_that_breaks_uploads_nothing() {
    let (backend, client) = backend::start().await;
    let upload = Upload::from_stream("x", "x.mp3", None, Blocks { left: 3, fails: true });
    let error = client.upload(upload).await.unwrap_err();
    assert!(matches!(error, Error::Transport(_)), "{error:?}");
    assert!(backend.lock().unwrap().songs.is_empty());
}

#[tokio::test]
async fn songs_are_listed_found_and_deleted() {
    let (_, client) = backend::start().await;
    let first = client.upload(Upload::from_bytes("first", "1.mp3", "1")).await.unwrap();
    let second = client.upload(Upload::from_bytes("second", "2.mp3", "2")).await.unwrap();
    let titles: Vec<_> = client.songs().await.unwrap().into_iter().map(|song| song.title).collect();
    assert_eq!(titles, ["first", "second"]);
    assert_eq!(client.song(second.id).await.unwrap(), second);

    client.delete(first.id).await.unwrap();
    assert_eq!(client.songs().await.unwrap().len(), 1);
    for error in [client.delete(first.id).await.unwrap_err(), client.song(SongId::random()).await.unwrap_err()] {
        assert!(error.has_code(ErrorCode::NotFound), "{error:?}");
    }
}
