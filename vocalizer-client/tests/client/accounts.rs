use vocalizer_client::{Error, ErrorCode, Secret, Upload};

use super::backend;

fn password() -> Secret<String> {
    Secret::new("correct horse & battery=staple".to_owned())
}

#[tokio::test]
async fn registration_starts_session() {
    let (_, client) = backend::start().await;
    client.register("ada", &password()).await.unwrap();
    let song = client.upload(Upload::from_bytes("mine", "mine.mp3", "bytes")).await.unwrap();
    assert!(song.uploader_id.is_some());
}

#[tokio::test]
async fn registration_with_invite() {
    let (backend, client) = backend::start().await;
    backend.lock().unwrap().invite = Some("vci_1");
    let error = client.register("ada", &password()).await.unwrap_err();
    assert!(error.has_code(ErrorCode::InviteRequired), "{error:?}");
    let error = client.register_with_invite("ada", &password(), &Secret::new("vci_2".to_owned())).await.unwrap_err();
    assert!(error.has_code(ErrorCode::InviteInvalid), "{error:?}");
    client.register_with_invite("ada", &password(), &Secret::new("vci_1".to_owned())).await.unwrap();
    assert_eq!(client.me().await.unwrap().unwrap().username, "ada");
}

#[tokio::test]
async fn clones_share_session() {
    let (backend, client) = backend::start().await;
    client.clone().register("ada", &password()).await.unwrap();
    let song = client.upload(Upload::from_bytes("mine", "mine.mp3", "bytes")).await.unwrap();
    assert_eq!(client.clone().songs().await.unwrap().len(), 1);

    client.logout().await.unwrap();
    assert!(client.songs().await.unwrap().is_empty());
    let error = client.song(song.id).await.unwrap_err();
    assert!(error.has_code(ErrorCode::NotFound), "{error:?}");
    assert_eq!(backend.lock().unwrap().songs.len(), 1);

    client.login("ada", &password()).await.unwrap();
    assert_eq!(client.song(song.id).await.unwrap().title, "mine");
}

#[tokio::test]
async fn logout_everywhere_ends_session_and_tokens() {
    let (_, client) = backend::start().await;
    client.register("ada", &password()).await.unwrap();
    client.create_token("laptop", None).await.unwrap();
    client.logout_everywhere().await.unwrap();
    assert_eq!(client.me().await.unwrap(), None);
    let error = client.logout_everywhere().await.unwrap_err();
    assert!(error.has_code(ErrorCode::Unauthenticated), "{error:?}");
    client.login("ada", &password()).await.unwrap();
    assert_eq!(client.tokens().await.unwrap(), []);
}

#[tokio::test]
async fn me_returns_current_user() {
    let (_, client) = backend::start().await;
    assert_eq!(client.me().await.unwrap(), None);
    client.register("ada", &password()).await.unwrap();
    assert_eq!(client.me().await.unwrap().unwrap().username, "ada");
    client.logout().await.unwrap();
    assert_eq!(client.me().await.unwrap(), None);
}

#[tokio::test]
async fn password_change_requires_old_password() {
    let (_, client) = backend::start().await;
    client.register("ada", &password()).await.unwrap();
    let new = Secret::new("another & better=one".to_owned());
    let error = client.change_password(&new, &new).await.unwrap_err();
    assert!(error.has_code(ErrorCode::Unauthenticated), "{error:?}");
    client.change_password(&password(), &new).await.unwrap();
    assert!(client.login("ada", &password()).await.is_err());
    client.login("ada", &new).await.unwrap();
}

#[tokio::test]
async fn api_errors_have_status_and_code() {
    let (_, client) = backend::start().await;
    client.register("ada", &password()).await.unwrap();
    for (error, expected_status, code) in [
        (client.register("ada", &password()).await, 409, ErrorCode::Conflict),
        (client.login("ada", &Secret::new("wrong".to_owned())).await, 401, ErrorCode::Unauthenticated),
    ] {
        let error = error.unwrap_err();
        assert!(matches!(error, Error::Api { status, .. } if status == expected_status), "{error:?}");
        assert!(error.has_code(code) && !error.is_transient());
    }
}

#[tokio::test]
async fn debug_output_has_no_session_or_password() {
    let (_, client) = backend::start().await;
    client.register("ada", &password()).await.unwrap();
    let printed = format!("{client:?}");
    assert!(printed.contains("/vocalizer/") && !printed.contains("session"), "{printed}");
    let error = client.register("ada", &password()).await.unwrap_err();
    assert!(!format!("{error:?} {error}").contains("horse"));
}
