//! The test server, as the tests of an application use it.

#![expect(clippy::unwrap_used, reason = "clippy.toml allows unwrap in tests, but not in test helpers")]

use std::time::Duration;

use vocalizer_client::{Client, Error, ErrorCode, Format, Part, Secret, SongStatus, SongView, Upload};
use vocalizer_testing::TestServer;

async fn upload(client: &Client) -> SongView {
    client.upload(Upload::from_bytes("Clair de lune", "clair.mp3", "any bytes")).await.unwrap()
}

#[tokio::test]
async fn song_is_split_and_downloaded() {
    let server = TestServer::start().await;
    let client = server.client();
    let song = upload(&client).await;
    assert_eq!(client.wait(song.id).await.unwrap().status, SongStatus::Split);
    assert_eq!(client.download_bytes(song.id, Part::Vocals, 100).await.unwrap(), "fake vocals");
    assert_eq!(client.download_bytes(song.id, Part::Song, 100).await.unwrap(), "any bytes");
    let flac = client.download_bytes(song.id, (Part::Accompaniment, Format::Flac), 100).await.unwrap();
    assert_eq!(flac, "fake flac of 3 files");
}

#[tokio::test]
async fn details_of_a_song_say_how_its_stems_are_stored() {
    let server = TestServer::start().await;
    let client = server.client();
    let song = upload(&client).await;
    client.wait(song.id).await.unwrap();
    let detailed = client.song_in_detail(song.id).await.unwrap();
    assert_eq!((detailed.lossless, &detailed.provenance), (Some(false), &None));
    assert!(detailed.uploaded_at.is_some());
    let plain = client.song(song.id).await.unwrap();
    assert_eq!((plain.lossless, plain.uploaded_at), (None, None));
}

#[tokio::test]
async fn requests_and_songs_fail_as_told() {
    let server = TestServer::start().await;
    let client = server.client();
    let song = upload(&client).await;
    client.wait(song.id).await.unwrap();
    server.fail_next(ErrorCode::Internal);
    server.fail_next(ErrorCode::QuotaExceeded);
    for code in [ErrorCode::Internal, ErrorCode::QuotaExceeded] {
        assert!(client.song(song.id).await.unwrap_err().has_code(code));
    }
    client.song(song.id).await.unwrap();

    server.fail_next_song("too quiet");
    let song = client.upload(Upload::from_bytes("x", "x.mp3", "other bytes")).await.unwrap();
    let error = client.wait(song.id).await.unwrap_err();
    assert!(matches!(&error, Error::NotSplit { reason } if reason.contains("too quiet")), "{error:?}");
}

#[tokio::test]
async fn failure_of_one_request_lets_others_pass() {
    let server = TestServer::start().await;
    let client = server.client();
    server.fail_next_on("POST", "/songs/upload", ErrorCode::Unavailable);
    // The client asks for the limits first, and repeats the upload.
    let song = upload(&client).await;
    let uploads =
        |server: &TestServer| server.requests().iter().filter(|request| *request == "POST /songs/upload").count();
    assert_eq!(uploads(&server), 2);
    server.fail_next_on("DELETE", &format!("/songs/{}", song.id), ErrorCode::Internal);
    client.song(song.id).await.unwrap();
    assert!(client.delete(song.id).await.unwrap_err().has_code(ErrorCode::Internal));
    client.delete(song.id).await.unwrap();
}

#[tokio::test]
async fn held_songs_show_their_progress() {
    let server = TestServer::start().await;
    let client = server.client();
    server.hold_songs();
    let song = upload(&client).await;
    let mut seen = Vec::new();
    let done = client.wait_with(song.id, |song| {
        seen.push(song.status);
        if song.progress == Some(50) {
            server.release_songs();
        }
    });
    done.await.unwrap();
    assert!(seen.contains(&SongStatus::Splitting), "{seen:?}");
}

#[tokio::test]
async fn sessions_expire_when_the_clock_advances() {
    let server = TestServer::start().await;
    let client = server.client();
    client.register("ada", &Secret::from("correct horse")).await.unwrap();
    assert!(client.me().await.unwrap().is_some());
    server.advance_clock(Duration::from_secs(10 * 365 * 24 * 60 * 60));
    assert!(client.me().await.unwrap().is_none());
}
