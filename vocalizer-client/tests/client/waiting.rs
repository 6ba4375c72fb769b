use vocalizer_client::{Error, ErrorCode, SongId, SongStatus, Upload};

use super::{backend, canned};

#[tokio::test]
async fn waiting_ends_when_the_song_is_split() {
    let (backend, client) = backend::start().await;
    let song = client.upload(Upload::from_bytes("x", "x.mp3", "x")).await.unwrap();
    assert_eq!(client.wait(song.id).await.unwrap().status, SongStatus::Split);
    assert_eq!(backend.lock().unwrap().looks, 3, "uploaded, splitting, split");
}

#[tokio::test]
async fn a_song_that_failed_says_why() {
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
async fn a_server_that_is_away_for_a_moment_is_waited_for() {
    let (backend, client) = backend::start().await;
    let song = client.upload(Upload::from_bytes("x", "x.mp3", "x")).await.unwrap();
    backend.lock().unwrap().outages = 10;
    client.wait(song.id).await.unwrap();
    assert_eq!(backend.lock().unwrap().looks, 10 + 3);
}

#[tokio::test]
async fn a_server_that_stays_away_is_not_waited_for_for_ever() {
    let (backend, client) = backend::start().await;
    let song = client.upload(Upload::from_bytes("x", "x.mp3", "x")).await.unwrap();
    backend.lock().unwrap().outages = u32::MAX;
    let error = client.wait(song.id).await.unwrap_err();
    assert!(error.has_code(ErrorCode::Unavailable) && error.is_transient(), "{error:?}");
    assert_eq!(backend.lock().unwrap().looks, 11);
}

#[tokio::test]
async fn what_will_not_get_better_ends_the_waiting_at_once() {
    let (backend, client) = backend::start().await;
    let error = client.wait(SongId::random()).await.unwrap_err();
    assert!(error.has_code(ErrorCode::NotFound), "{error:?}");
    assert_eq!(backend.lock().unwrap().looks, 0);
    let page = canned::server(canned::answer("200 OK", "text/html", "<html>"), b"").await;
    let error = backend::client(&page).wait(SongId::random()).await.unwrap_err();
    assert!(matches!(error, Error::WrongType { .. }), "{error:?}");
}
