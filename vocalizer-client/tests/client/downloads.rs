use vocalizer_client::{Client, Download, Error, ErrorCode, Part, SongId, Upload};

use super::{backend, canned};

async fn split_song() -> (Client, SongId) {
    let (_, client) = backend::start().await;
    let song = client.upload(Upload::from_bytes("x", "x.mp3", "the whole song")).await.unwrap();
    client.wait(song.id).await.unwrap();
    (client, song.id)
}

#[tokio::test]
async fn every_part_comes_as_its_own_bytes() {
    let (client, id) = split_song().await;
    for (part, expected) in [
        (Part::Song, "the whole song"),
        (Part::Drums, "the drums"),
        (Part::Bass, "the bass"),
        (Part::Other, "the other"),
        (Part::Vocals, "the vocals"),
    ] {
        assert_eq!(client.download_bytes(id, part, 100).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn a_download_is_a_stream_that_knows_its_size() {
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
async fn more_than_was_allowed_does_not_go_into_memory() {
    let (client, id) = split_song().await;
    assert!(client.download_bytes(id, Part::Vocals, 10).await.is_ok());
    let error = client.download_bytes(id, Part::Vocals, 9).await.unwrap_err();
    assert!(matches!(error, Error::Limit { max_bytes: 9 }), "{error:?}");
    // Nor when the server does not say how much it will be.
    let endless = canned::server("HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\n\r\n", &[0; 4096]).await;
    let error = backend::client(&endless).download_bytes(id, Part::Vocals, 10_000).await.unwrap_err();
    assert!(matches!(error, Error::Limit { max_bytes: 10_000 }), "{error:?}");
}

#[tokio::test]
async fn a_part_that_is_not_there_yet_is_the_servers_refusal() {
    let (_, client) = backend::start().await;
    let song = client.upload(Upload::from_bytes("x", "x.mp3", "x")).await.unwrap();
    let error = client.download(song.id, Part::Drums).await.unwrap_err();
    assert!(error.has_code(ErrorCode::NotFound), "{error:?}");
}

#[tokio::test]
async fn a_file_is_replaced_by_a_whole_download_and_nothing_is_left_beside_it() {
    let (client, id) = split_song().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vocals.mp3");
    std::fs::write(&path, "what was there before").unwrap();
    client.download_to(id, Part::Vocals, &path).await.unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "the vocals");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_download_that_breaks_leaves_the_file_as_it_was() {
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
async fn a_folder_that_is_not_there_is_named() {
    let (client, id) = split_song().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing").join("vocals.mp3");
    let error = client.download_to(id, Part::Vocals, &path).await.unwrap_err();
    assert!(matches!(&error, Error::File { path: said, .. } if *said == path), "{error:?}");
}
