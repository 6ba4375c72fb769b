//! Who a client acts as, its headers, and what is kept secret.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use vocalizer_client::{Client, Error, Part, Secret, SongId, Upload};

use super::{backend, canned};

fn password() -> Secret<String> {
    Secret::new("correct horse".to_owned())
}

async fn name(client: &Client) -> Option<String> {
    client.me().await.unwrap().map(|user| user.username)
}

/// A response to `me` with these cookies.
fn me(cookies: &[&str]) -> String {
    let cookies: String = cookies.iter().map(|cookie| format!("Set-Cookie: {cookie}\r\n")).collect();
    let body = r#"{"ok":true,"errors":[],"data":{"user":null}}"#;
    canned::answer_with("200 OK", &format!("Content-Type: application/json\r\n{cookies}"), body)
}

fn unavailable() -> String {
    canned::answer_with("503 Service Unavailable", "Content-Type: text/html\r\nRetry-After: 0\r\n", "<html>")
}

#[tokio::test]
async fn two_sessions_are_different_users_at_once() {
    let (_, ada) = backend::start().await;
    let bob = ada.with_session();
    ada.register("ada", &password()).await.unwrap();
    assert_eq!(name(&bob).await, None);
    bob.register("bob", &password()).await.unwrap();
    assert_eq!((name(&ada).await.as_deref(), name(&bob).await.as_deref()), (Some("ada"), Some("bob")));

    let hers = ada.upload(Upload::from_bytes("hers", "x.mp3", "hers")).await.unwrap();
    assert!(bob.song(hers.id).await.is_err() && bob.songs().await.unwrap().is_empty());
    bob.logout().await.unwrap();
    assert_eq!((name(&ada).await.as_deref(), name(&bob).await), (Some("ada"), None));
    assert_eq!(ada.song(hers.id).await.unwrap().title, "hers");
}

#[tokio::test]
async fn client_with_token_shares_no_session() {
    let (_, client) = backend::start().await;
    client.register("ada", &password()).await.unwrap();
    let token = client.create_token("laptop", None).await.unwrap().secret;
    client.logout().await.unwrap();

    let by_token = client.with_token(token).unwrap();
    assert_eq!((name(&by_token).await.as_deref(), name(&client).await), (Some("ada"), None));
    let anonymous = by_token.with_session();
    assert_eq!(name(&anonymous).await, None);
    anonymous.register("bob", &password()).await.unwrap();
    assert_eq!((name(&by_token).await.as_deref(), name(&client).await), (Some("ada"), None));

    let error = client.with_token("hunter2\n\0").unwrap_err();
    assert!(matches!(error, Error::Setup(_)) && !format!("{error:?}").contains("hunter2"), "{error:?}");
}

#[tokio::test]
async fn token_is_sent_without_cookies_and_session_without_token() {
    let (address, requests) = canned::script(vec![me(&["session=one; Path=/"])]).await;
    let by_token = backend::builder(&address).with_token("vct_1").build().unwrap();
    let session = by_token.with_session();
    for client in [&by_token, &by_token, &session, &session, &session.with_token("vct_2").unwrap()] {
        client.me().await.unwrap();
    }
    let sent: Vec<_> = requests
        .lock()
        .unwrap()
        .iter()
        .map(|request| (canned::header(request, "authorization"), canned::header(request, "cookie")))
        .collect();
    let token = |token: &str| (Some(format!("Bearer {token}")), None);
    let cookie = Some("session=one".to_owned());
    assert_eq!(sent, [token("vct_1"), token("vct_1"), (None, None), (None, cookie), token("vct_2")]);
}

#[tokio::test]
async fn session_cookie_is_sent_back_replaced_and_removed() {
    let answers = vec![
        me(&["session=one; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax", "device=d; Path=/; HttpOnly"]),
        me(&[]),
        me(&["session=two; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax"]),
        me(&[]),
        me(&["session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"]),
        me(&[]),
    ];
    let (address, requests) = canned::script(answers).await;
    let client = backend::client(&address);
    for _ in 0..6 {
        client.me().await.unwrap();
    }
    let cookies: Vec<_> = requests.lock().unwrap().iter().map(|text| canned::header(text, "cookie")).collect();
    let [one, two, none] = ["device=d; session=one", "device=d; session=two", "device=d"].map(|c| Some(c.to_owned()));
    assert_eq!(cookies, [None, one.clone(), one, two.clone(), two, none]);
}

#[tokio::test]
async fn session_ends_with_logout() {
    let (backend, client) = backend::start().await;
    client.register("ada", &password()).await.unwrap();
    client.logout().await.unwrap();
    assert_eq!(name(&client).await, None);
    client.login("ada", &password()).await.unwrap();
    assert_eq!(name(&client).await.as_deref(), Some("ada"));
    assert_eq!(backend.lock().unwrap().users.len(), 1);
}

/// Other calls are already made with the cookie of an error response.
#[tokio::test]
async fn cookies_of_downloads_and_errors_are_kept() {
    let error = r#"{"ok":false,"errors":[{"code":"not_found","message":"x"}],"data":null}"#;
    let error = canned::answer_with("404 Oh", "Content-Type: application/json\r\nSet-Cookie: session=one\r\n", error);
    let file = canned::answer_with("200 OK", "Content-Type: audio/mpeg\r\nSet-Cookie: session=two\r\n", "x");
    let (address, requests) = canned::script(vec![error, file, me(&[])]).await;
    let client = backend::client(&address);
    client.song(SongId::random()).await.unwrap_err();
    client.download_bytes(SongId::random(), Part::Song, 10).await.unwrap();
    client.me().await.unwrap();
    let cookies: Vec<_> = requests.lock().unwrap().iter().map(|text| canned::header(text, "cookie")).collect();
    assert_eq!(cookies, [None, Some("session=one".to_owned()), Some("session=two".to_owned())]);
}

#[tokio::test]
async fn header_is_sent_with_every_request() {
    let (address, requests) = canned::script(vec![unavailable()]).await;
    let builder = Client::builder(&address).with_retries(0, Duration::ZERO);
    let client = builder.with_header("X-Proxy-Key", "hunter2").unwrap().build().unwrap();
    let id = SongId::random();
    for client in [&client, &client.with_session(), &client.with_token("vct_1").unwrap()] {
        client.songs().await.unwrap_err();
        client.login("ada", &password()).await.unwrap_err();
        client.rename(id, "x").await.unwrap_err();
        client.upload(Upload::from_bytes("x", "x.mp3", "x")).await.unwrap_err();
        client.download(id, Part::Song).await.unwrap_err();
        client.file_info(id, Part::Song).await.unwrap_err();
        client.download_range(id, Part::Song, 0..1).await.unwrap_err();
        client.resume(id, Part::Song, 1, "\"a\"").await.unwrap_err();
    }
    let requests = requests.lock().unwrap();
    assert!(requests.len() >= 3 * 8);
    for request in requests.iter() {
        assert_eq!(canned::header(request, "x-proxy-key").as_deref(), Some("hunter2"), "{request}");
    }
}

#[test]
fn invalid_header_is_rejected_without_leaking() {
    for (name, value) in [("X Key", "hunter2"), ("X-Key", "hunter2\r\nX-Other: 1"), ("", "hunter2")] {
        let error = Client::builder("http://host").with_header(name, value).unwrap_err();
        assert!(matches!(error, Error::Setup(_)) && !format!("{error:?} {error}").contains("hunter2"), "{error:?}");
    }
}

/// The errors and pauses that a callback was called with.
type Retries = Arc<Mutex<Vec<(String, Duration)>>>;

fn recording(builder: vocalizer_client::ClientBuilder) -> (Client, Retries) {
    let retries = Retries::default();
    let sink = Arc::clone(&retries);
    let client = builder.with_on_retry(move |error, pause| sink.lock().unwrap().push((error.to_string(), pause)));
    (client.build().unwrap(), retries)
}

#[tokio::test]
async fn callback_learns_of_each_retry() {
    let slow = unavailable().replace("Retry-After: 0", "Retry-After: 1");
    let (address, _) = canned::script(vec![slow, String::new(), me(&[])]).await;
    let (client, retries) = recording(backend::builder(&address));
    client.me().await.unwrap();
    let retries = retries.lock().unwrap();
    assert!(retries[0].0.contains("503") && retries[0].1 >= Duration::from_secs(1), "{retries:?}");
    assert!(retries[1].0.contains("connection") && retries.len() == 2, "{retries:?}");
}

#[tokio::test]
async fn callback_is_not_called_for_errors_that_are_returned() {
    let (address, _) = canned::script(vec![unavailable()]).await;
    let (client, retries) = recording(Client::builder(&address).with_retries(0, Duration::ZERO));
    client.me().await.unwrap_err();
    client.login("ada", &password()).await.unwrap_err();
    assert!(retries.lock().unwrap().is_empty());
}

#[tokio::test]
async fn callback_learns_of_resumed_downloads_and_repeated_uploads() {
    let head = "Content-Type: audio/mpeg\r\nETag: \"a\"\r\nConnection: close\r\n";
    let cut = format!("HTTP/1.1 200 OK\r\n{head}Content-Length: 10\r\n\r\n0123");
    let rest =
        format!("HTTP/1.1 206 Partial Content\r\n{head}Content-Range: bytes 4-9/10\r\nContent-Length: 6\r\n\r\n456789");
    let (address, _) = canned::script(vec![cut, rest]).await;
    let (client, retries) = recording(backend::builder(&address));
    assert_eq!(client.download_bytes(SongId::random(), Part::Song, 10).await.unwrap(), "0123456789");
    assert_eq!(retries.lock().unwrap().len(), 1);

    let (backend, address) = backend::serve().await;
    backend.lock().unwrap().limits = Some(json!({"upload_ids": true}));
    backend.lock().unwrap().upload_faults = [backend::Fault::Busy, backend::Fault::Cut].into();
    let (client, retries) = recording(backend::builder(&address));
    client.upload(Upload::from_bytes("x", "x.mp3", "x")).await.unwrap();
    assert_eq!(retries.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn debug_output_of_clients_builders_and_errors_has_no_secret() {
    let (address, _) = canned::script(vec![me(&["session=hunter2; Path=/"]), String::new(), unavailable()]).await;
    let builder = backend::builder(&address).with_token("hunter2").with_header("X-Key", "hunter2").unwrap();
    let mut printed = format!("{builder:?} {builder:#?}");
    let by_token = builder.build().unwrap();
    let session = by_token.with_session();
    session.me().await.unwrap();
    for client in [&by_token, &session, &session.with_token("hunter2").unwrap()] {
        printed += &format!("{client:?} {client:#?}");
        let password = Secret::new("hunter2".to_owned());
        let login = client.login("ada", &password).await.unwrap_err();
        let change = client.change_password(&password, &password).await.unwrap_err();
        let invite = client.register_with_invite("ada", &password, &password).await.unwrap_err();
        let me = client.me().await.unwrap_err();
        printed += &format!("{login:?} {login} {change:?} {change} {invite:?} {invite} {me:?} {me}");
        printed += &format!("{:?}", client.download_to(SongId::random(), Part::Song, "x"));
    }
    assert!(!printed.contains("hunter2"), "{printed}");
}
