use vocalizer_client::{ErrorCode, SongId, SongStatus, Upload};

use super::backend;

#[tokio::test]
async fn songs_can_be_listed_read_and_deleted() {
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

#[tokio::test]
async fn song_can_be_renamed() {
    let (_, client) = backend::start().await;
    let song = client.upload(Upload::from_bytes("before", "x.mp3", "x")).await.unwrap();
    let title = "Für \"Elise\" & Ada=7";
    assert_eq!(client.rename(song.id, title).await.unwrap().title, title);
    assert_eq!(client.song(song.id).await.unwrap().title, title);
    let error = client.rename(SongId::random(), "x").await.unwrap_err();
    assert!(error.has_code(ErrorCode::NotFound), "{error:?}");
}

#[tokio::test]
async fn failed_song_can_be_retried() {
    let (backend, client) = backend::start().await;
    let song = client.upload(Upload::from_bytes("x", "x.mp3", "x")).await.unwrap();
    let error = client.retry(song.id).await.unwrap_err();
    assert!(error.has_code(ErrorCode::Conflict), "{error:?}");
    backend.lock().unwrap().songs[0].view.status = SongStatus::Failed;
    assert_eq!(client.retry(song.id).await.unwrap().status, SongStatus::Uploaded);
    client.wait(song.id).await.unwrap();
}
