use std::time::Duration;

use vocalizer_client::{Archive, Client, Download, Error, ErrorCode, Format, Part, SongFile, SongId, Upload};

use super::{backend, canned};

async fn split_song() -> (Client, SongId) {
    let (_, client) = backend::start().await;
    let song = client.upload(Upload::from_bytes("x", "x.mp3", "the whole song")).await.unwrap();
    client.wait(song.id).await.unwrap();
    (client, song.id)
}

#[tokio::test]
async fn every_part_can_be_downloaded() {
    let (client, id) = split_song().await;
    for (part, expected) in [
        (Part::Song, "the whole song"),
        (Part::Drums, "the drums"),
        (Part::Bass, "the bass"),
        (Part::Other, "the other"),
        (Part::Vocals, "the vocals"),
        (Part::Accompaniment, "the accompaniment"),
    ] {
        assert_eq!(client.download_bytes(id, part, 100).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn formats_and_archives_can_be_downloaded() {
    let (client, id) = split_song().await;
    for (file, expected) in [
        (SongFile::from((Part::Bass, Format::Wav)), "the bass as wav"),
        ((Part::Song, Format::Flac).into(), "the song as flac"),
        (SongFile::stems(Archive::Zip, Format::Flac), "the stems as flac"),
        (SongFile::stems(Archive::Tar, Format::Mp3), "the stems as mp3"),
    ] {
        assert_eq!(client.download_bytes(id, file, 100).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn download_is_stream_with_size() {
    fn is_a_stream(
        download: Download,
    ) -> impl futures_core::Stream<Item = Result<bytes::Bytes, Error>> + Send + 'static {
        download
    }
    let (client, id) = split_song().await;
    let mut download = client.download(id, Part::Vocals).await.unwrap();
    assert_eq!(download.size_bytes(), Some(10));
    let mut whole = Vec::new();
    while let Some(chunk) = download.next_chunk().await.unwrap() {
        whole.extend_from_slice(&chunk);
    }
    assert_eq!(whole, b"the vocals");
    drop(is_a_stream(download));
}

#[tokio::test]
async fn download_into_memory_respects_limit() {
    let (client, id) = split_song().await;
    assert!(client.download_bytes(id, Part::Vocals, 10).await.is_ok());
    let error = client.download_bytes(id, Part::Vocals, 9).await.unwrap_err();
    assert!(matches!(error, Error::Limit { max_bytes: 9 }), "{error:?}");
    // The limit also holds without a Content-Length.
    let endless = canned::server("HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\n\r\n", &[0; 4096]).await;
    let error = backend::client(&endless).download_bytes(id, Part::Vocals, 10_000).await.unwrap_err();
    assert!(matches!(error, Error::Limit { max_bytes: 10_000 }), "{error:?}");
}

#[tokio::test]
async fn not_ready_download_is_retried() {
    let (backend, address) = backend::serve().await;
    let client = backend::builder(&address).with_retries(0, Duration::ZERO).build().unwrap();
    let song = client.upload(Upload::from_bytes("x", "x.mp3", "x")).await.unwrap();
    client.wait(song.id).await.unwrap();
    backend.lock().unwrap().unready = 3;
    assert_eq!(client.download_bytes(song.id, Part::Drums, 100).await.unwrap(), "the drums");
}

#[tokio::test]
async fn not_ready_download_times_out_with_server_error() {
    let (_, address) = backend::serve().await;
    for ready_timeout in [Duration::ZERO, Duration::from_millis(300)] {
        let client = backend::builder(&address).with_ready_timeout(ready_timeout).build().unwrap();
        let song = client.upload(Upload::from_bytes("x", "x.mp3", "x")).await.unwrap();
        let error = client.download(song.id, Part::Drums).await.unwrap_err();
        assert!(error.has_code(ErrorCode::NotReady) && error.is_transient(), "{error:?}");
    }
}

#[tokio::test]
async fn download_replaces_file_without_leftovers() {
    let (client, id) = split_song().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vocals.mp3");
    std::fs::write(&path, "what was there before").unwrap();
    client.download_to(id, Part::Vocals, &path).await.unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "the vocals");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn stems_are_saved_in_folder_by_title() {
    let (client, id) = split_song().await;
    let title = "../Für Elise: live";
    client.rename(id, title).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let below = folder.path().join("not").join("there yet");
    let paths = client.download_stems(id, Format::Wav, &below).await.unwrap();
    let mut found: Vec<_> = std::fs::read_dir(&below).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    let expected =
        ["bass", "drums", "other", "vocals"].map(|stem| below.join(format!("_.._Für Elise_ live ({stem}).wav")));
    assert_eq!(found, expected);
    assert_eq!(paths.len(), 4);
    assert_eq!(std::fs::read_to_string(&expected[3]).unwrap(), "the vocals as wav");
}

#[tokio::test]
async fn failed_download_keeps_existing_file() {
    let cut = "HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nContent-Length: 100\r\n\r\nonly this";
    let client = backend::client(&canned::server(cut, b"").await);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vocals.mp3");
    std::fs::write(&path, "before").unwrap();
    let error = client.download_to(SongId::random(), Part::Vocals, &path).await.unwrap_err();
    assert!(matches!(error, Error::Transport(_)), "{error:?}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "before");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn missing_folder_error_has_path() {
    let (client, id) = split_song().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing").join("vocals.mp3");
    let error = client.download_to(id, Part::Vocals, &path).await.unwrap_err();
    assert!(matches!(&error, Error::File { path: named, .. } if *named == path), "{error:?}");
}
