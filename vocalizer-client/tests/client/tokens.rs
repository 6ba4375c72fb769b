use vocalizer_client::{Client, Error, ErrorCode, Secret, TokenId, Upload};

use super::backend;

async fn log_in(client: &Client) {
    client.register("ada", &Secret::new("correct horse".to_owned())).await.unwrap();
}

#[tokio::test]
async fn token_can_be_created_listed_used_and_revoked() {
    let (_, address) = backend::serve().await;
    let client = backend::client(&address);
    log_in(&client).await;
    let created = client.create_token("laptop", None).await.unwrap();
    let short = client.create_token("for a week", Some(7)).await.unwrap();
    assert!(created.token.expires_at.is_none() && short.token.expires_at.is_some());
    assert_eq!(client.tokens().await.unwrap(), [created.token.clone(), short.token]);

    let by_token = backend::builder(&address).with_token(created.secret).build().unwrap();
    assert_eq!(by_token.me().await.unwrap().unwrap().username, "ada");
    let song = by_token.upload(Upload::from_bytes("x", "x.mp3", "x")).await.unwrap();
    assert_eq!(song.uploader_id, Some(client.me().await.unwrap().unwrap().id));

    client.revoke_token(created.token.id).await.unwrap();
    for error in [by_token.me().await.unwrap_err(), by_token.song(song.id).await.unwrap_err()] {
        assert!(error.has_code(ErrorCode::Unauthenticated), "{error:?}");
    }
    let error = client.revoke_token(TokenId::random()).await.unwrap_err();
    assert!(error.has_code(ErrorCode::NotFound), "{error:?}");
}

#[tokio::test]
async fn tokens_require_session() {
    let (_, client) = backend::start().await;
    for error in [client.create_token("x", None).await.unwrap_err(), client.tokens().await.unwrap_err()] {
        assert!(error.has_code(ErrorCode::Unauthenticated), "{error:?}");
    }
}

#[tokio::test]
async fn debug_output_has_no_token() {
    let (_, address) = backend::serve().await;
    let builder = Client::builder(&address).with_token("vct_hunter2".to_owned());
    let client = builder.clone().build().unwrap();
    let error = client.me().await.unwrap_err();
    assert!(error.has_code(ErrorCode::Unauthenticated));
    assert!(!format!("{builder:?} {client:?} {error:?} {error}").contains("hunter2"));

    let client = backend::client(&address);
    log_in(&client).await;
    let created = client.create_token("laptop", None).await.unwrap();
    assert!(!format!("{created:?}").contains("vct_"));
}

#[test]
fn invalid_tokens_are_rejected_without_leaking() {
    for token in ["hunter2\nX-Other: 1", "hunter2\0", "hunter2\u{7f}"] {
        let error = Client::builder("http://host").with_token(token.to_owned()).build().unwrap_err();
        assert!(matches!(error, Error::Setup(_)) && !format!("{error:?}").contains("hunter2"), "{error:?}");
    }
    // A token from a file may end with a newline.
    assert!(Client::builder("http://host").with_token("hunter2\n".to_owned()).build().is_ok());
}
