//! Responses of newer and older servers.

use vocalizer_client::{RegistrationView, SongId, SongStatus};

use super::{backend, canned};

fn data(data: &str) -> String {
    canned::answer("200 OK", "application/json", &format!(r#"{{"ok":true,"errors":[],"data":{data},"more":1}}"#))
}

fn song(status: &str) -> String {
    let id = SongId::random();
    format!(r#"{{"id":"{id}","title":"x","hash":"h","uploader_id":null,"status":"{status}","mood":"blue"}}"#)
}

#[tokio::test]
async fn song_with_an_unknown_status_does_not_break_a_list() {
    let songs = ["SPLIT", "DREAMING", "UPLOADED"].map(song).join(",");
    let (address, _) = canned::script(vec![data(&format!(r#"{{"songs":[{songs}]}}"#))]).await;
    let songs = backend::client(&address).songs().await.unwrap();
    let statuses: Vec<_> = songs.iter().map(|song| song.status).collect();
    assert_eq!(statuses, [SongStatus::Split, SongStatus::Unknown, SongStatus::Uploaded]);
    assert!(!SongStatus::Unknown.is_final());
    assert_eq!(SongStatus::Unknown.to_string(), "UNKNOWN");
}

#[tokio::test]
async fn wait_continues_while_the_status_is_unknown() {
    let polls = ["DREAMING", "SPLIT"].map(|status| data(&format!(r#"{{"song":{}}}"#, song(status))));
    let answers = [canned::answer("404 Oh", "text/html", "")].into_iter().chain(polls).collect();
    let (address, requests) = canned::script(answers).await;
    let mut statuses = Vec::new();
    let client = backend::client(&address);
    client.wait_with(SongId::random(), |song| statuses.push(song.status)).await.unwrap();
    assert_eq!(statuses, [SongStatus::Unknown, SongStatus::Split]);
    assert_eq!(requests.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn missing_limits_are_absent() {
    let (address, _) =
        canned::script(vec![data(r#"{"limits":{"max_upload_bytes":5}}"#), data(r#"{"limits":{}}"#)]).await;
    let client = backend::client(&address);
    let limits = client.limits().await.unwrap();
    assert_eq!((limits.max_upload_bytes, limits.max_title_chars), (5, u64::MAX));
    assert_eq!((limits.registration, limits.retention_days), (RegistrationView::Open, None));
    assert!(limits.anonymous_uploads && !limits.upload_ids);
    assert_eq!(limits.user_quota.max_songs, None);
    assert_eq!(client.limits().await.unwrap().max_upload_bytes, u64::MAX);
}

#[tokio::test]
async fn unknown_limits_are_ignored() {
    let limits = r#"{"limits":{"max_dreams":7,"registration":"lottery","user_quota":{"max_songs":3,"max_dreams":1}}}"#;
    let (address, _) = canned::script(vec![data(limits)]).await;
    let limits = backend::client(&address).limits().await.unwrap();
    assert_eq!(limits.registration, RegistrationView::Unknown);
    assert_eq!((limits.user_quota.max_songs, limits.user_quota.max_bytes), (Some(3), None));
}
