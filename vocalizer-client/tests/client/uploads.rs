use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_core::Stream;
use tokio::net::TcpListener;
use tokio::time::{Sleep, sleep};
use vocalizer_api::hash::SongHash;
use vocalizer_client::{Client, Error, SongStatus, SplitWith, Stem, Upload};

use super::{backend, canned};

/// A stream of blocks, with an error or the end after them.
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

/// A slow stream of single bytes.
struct Slow {
    left: u32,
    sleep: Pin<Box<Sleep>>,
}

impl Stream for Slow {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        ready!(self.sleep.as_mut().poll(cx));
        self.sleep.set(sleep(Duration::from_millis(60)));
        self.left = self.left.saturating_sub(1);
        Poll::Ready((self.left > 0).then(|| Ok(Bytes::from_static(b"x"))))
    }
}

#[tokio::test]
async fn upload_from_file_memory_and_stream() {
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
async fn titles_and_file_names_are_escaped() {
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
async fn unreadable_file_error_has_path() {
    let (backend, client) = backend::start().await;
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().join("missing.mp3"), folder.path().to_owned()] {
        let error = client.upload(Upload::from_path("x", &path)).await.unwrap_err();
        assert!(matches!(&error, Error::File { path: named, .. } if *named == path), "{error:?}");
    }
    assert!(backend.lock().unwrap().songs.is_empty());
}

#[tokio::test]
async fn failed_stream_uploads_nothing() {
    let (backend, client) = backend::start().await;
    let upload = Upload::from_stream("x", "x.mp3", None, Blocks { left: 3, fails: true });
    let error = client.upload(upload).await.unwrap_err();
    let Error::Source(source) = &error else { panic!("{error:?}") };
    assert_eq!(source.kind(), io::ErrorKind::BrokenPipe);
    assert!(!error.is_transient());
    assert!(backend.lock().unwrap().songs.is_empty());
}

#[tokio::test]
async fn upload_reports_progress() {
    let (_, client) = backend::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.mp3");
    std::fs::write(&path, vec![7; 200_000]).unwrap();
    let stream = || Blocks { left: 3, fails: false };
    let block = 64 * 1024;
    for (upload, size, expected) in [
        (Upload::from_path("x", &path), Some(200_000), 200_000),
        (Upload::from_bytes("x", "x.mp3", vec![7; 200_000]), Some(200_000), 200_000),
        (Upload::from_stream("x", "x.mp3", Some(3 * block), stream()), Some(3 * block), 3 * block),
        (Upload::from_stream("x", "x.mp3", None, stream()), None, 3 * block),
        (Upload::from_bytes("x", "x.mp3", ""), Some(0), 0),
    ] {
        let reported = Arc::new(Mutex::new(vec![0]));
        let sink = Arc::clone(&reported);
        let upload = upload.with_progress(move |sent_bytes, size_bytes| {
            assert_eq!(size_bytes, size);
            sink.lock().unwrap().push(sent_bytes);
        });
        client.upload(upload).await.unwrap();
        let reported = reported.lock().unwrap();
        assert!(reported.is_sorted() && (expected == 0 || reported.len() > 2), "{reported:?}");
        assert_eq!(*reported.last().unwrap(), expected);
    }
}

#[tokio::test]
async fn stalled_upload_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let builder = Client::builder(address).with_stall_timeout(Duration::from_millis(100));
    let client = builder.with_timeout(Duration::from_secs(600)).build().unwrap();
    // More than the kernel buffers.
    let upload = Upload::from_stream("x", "x.mp3", None, Blocks { left: 10_000, fails: false });
    let error = client.upload(upload).await.unwrap_err();
    assert!(matches!(error, Error::TimedOut), "{error:?}");
}

#[tokio::test]
async fn missing_upload_response_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let moment = Duration::from_millis(100);
    let client = Client::builder(address).with_stall_timeout(moment).with_timeout(moment).build().unwrap();
    let error = client.upload(Upload::from_bytes("x", "x.mp3", "x")).await.unwrap_err();
    assert!(matches!(error, Error::TimedOut), "{error:?}");
}

#[tokio::test]
async fn slow_upload_does_not_time_out() {
    let (_, address) = backend::serve().await;
    let client = Client::builder(address).with_stall_timeout(Duration::from_secs(1)).build().unwrap();
    let upload = Upload::from_stream("x", "x.mp3", None, Slow { left: 20, sleep: Box::pin(sleep(Duration::ZERO)) });
    let start = Instant::now();
    client.upload(upload).await.unwrap();
    assert!(start.elapsed() > Duration::from_secs(1), "the upload must take longer than the stall timeout");
}

#[tokio::test]
async fn upload_handles_growing_and_shrinking_files() {
    let (backend, client) = backend::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.mp3");
    let size = 1024 * 1024;
    for (new_size, arrives) in [(size + 1000, true), (1000, false)] {
        std::fs::write(&path, vec![7; size]).unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        let upload = Upload::from_path("x", &path).with_progress(move |_, _| file.set_len(new_size as u64).unwrap());
        match client.upload(upload).await {
            Ok(_) => assert!(arrives),
            Err(error) => {
                assert!(!arrives && !error.is_transient(), "{error:?}");
                assert!(matches!(&error, Error::File { path: named, .. } if *named == path), "{error:?}");
            }
        }
    }
    let backend = backend.lock().unwrap();
    assert_eq!(backend.songs.len(), 1);
    assert_eq!(backend.songs[0].bytes.len(), size);
}

#[test]
fn debug_output_of_upload_has_no_bytes() {
    let upload = Upload::from_bytes("My song", "x.mp3", "these bytes");
    let printed = format!("{upload:?}");
    assert!(printed.contains("My song") && printed.contains("11 bytes") && !printed.contains("these"), "{printed}");
}

#[tokio::test]
async fn resumable_upload_tells_the_model_and_the_stems() {
    let refused =
        canned::answer("422 Unprocessable Content", "application/json", r#"{"ok":false,"errors":[],"data":null}"#);
    let (address, requests) = canned::script(vec![refused]).await;
    let with = SplitWith::model("htdemucs_6s").with_stems([Stem::PIANO, Stem::VOCALS]);
    let mut upload = Upload::from_bytes("x", "x.mp3", "any bytes").split_with(with);
    backend::client(&address).begin_upload(&mut upload).await.unwrap_err();
    let request = requests.lock().unwrap()[0].clone();
    let metadata = request.lines().find_map(|line| line.strip_prefix("upload-metadata: ")).unwrap();
    for (name, text) in [("model", "htdemucs_6s"), ("stems", "piano,vocals"), ("title", "x")] {
        let expected = format!("{name} {}", STANDARD.encode(text));
        assert!(metadata.split(',').any(|field| field == expected), "{expected}: {metadata}");
    }
}
