use vocalizer_client::{Error, ErrorCode, SongId, SongStatus, Upload};

use super::{backend, canned};

#[tokio::test]
async fn wait_ends_when_song_is_split() {
    let (backend, client) = backend::start().await;
    let song = client.upload(Upload::from_bytes("x", "x.mp3", "x")).await.unwrap();
    assert_eq!(client.wait(song.id).await.unwrap().status, SongStatus::Split);
    assert_eq!(backend.lock().unwrap().reads, 3, "uploaded, splitting, split");
}

#[tokio::test]
async fn failed_song_has_reason() {
    let (backend, client) = backend::start().await;
    let song = client.upload(Upload::from_bytes("x", "x.mp3", "x")).await.unwrap();
    let set = |status, reason: Option<&str>| {
        let view = &mut backend.lock().unwrap().songs[0].view;
        (view.status, view.failure_reason) = (status, reason.map(str::to_owned));
    };
    set(SongStatus::Failed, Some("it is\u{1b} not audio"));
    let error = client.wait(song.id).await.unwrap_err();
    assert!(matches!(&error, Error::NotSplit { reason } if reason == "it is not audio"), "{error:?}");
    set(SongStatus::Failed, None);
    let error = client.wait(song.id).await.unwrap_err();
    assert!(matches!(&error, Error::NotSplit { reason } if !reason.is_empty()), "{error:?}");
}

#[tokio::test]
async fn wait_survives_short_outage() {
    let (backend, client) = backend::start().await;
    let song = client.upload(Upload::from_bytes("x", "x.mp3", "x")).await.unwrap();
    backend.lock().unwrap().outages = 10;
    client.wait(song.id).await.unwrap();
    assert_eq!(backend.lock().unwrap().reads, 10 + 3);
}

#[tokio::test]
async fn wait_fails_after_long_outage() {
    let (backend, client) = backend::start().await;
    let song = client.upload(Upload::from_bytes("x", "x.mp3", "x")).await.unwrap();
    backend.lock().unwrap().outages = u32::MAX;
    let error = client.wait(song.id).await.unwrap_err();
    assert!(error.has_code(ErrorCode::Unavailable) && error.is_transient(), "{error:?}");
    assert_eq!(backend.lock().unwrap().reads, 11);
}

#[tokio::test]
async fn permanent_errors_end_wait_at_once() {
    let (backend, client) = backend::start().await;
    let error = client.wait(SongId::random()).await.unwrap_err();
    assert!(error.has_code(ErrorCode::NotFound), "{error:?}");
    assert_eq!(backend.lock().unwrap().reads, 0);
    let page = canned::server(canned::answer("200 OK", "text/html", "<html>"), b"").await;
    let error = backend::client(&page).wait(SongId::random()).await.unwrap_err();
    assert!(matches!(error, Error::WrongType { .. }), "{error:?}");
}
