//! Clients and workers of the original system with each later setting. docs/scaling.md has the table.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use vocalizer::service::{Oidc, Policy, SignIn, WebhookPolicy};
use vocalizer_client::oidc::OidcSettings;
use vocalizer_core::quota::Quota;
use vocalizer_core::service::{ProviderSettings, ResumableSettings};
use vocalizer_http::settings::UserHeader;

use super::support::{Answer, Browser, Service, Settings, archive, id, song, stems};

/// Settings of a server that accepts results of original workers.
fn settings() -> Settings {
    Settings { workers: 0, open_upload_result: true, ..Settings::default() }
}

/// Posts the four MP3s without a token, as a worker of the original does.
async fn result(service: &Service, song: &Value) -> Answer {
    let path = format!("/songs/{}/upload_result", song["hash"].as_str().unwrap());
    Browser::send(Browser::new(service).request(Method::POST, &path).body(archive())).await
}

/// Does what the original's client and worker do, from registering to deleting.
async fn session(service: &Service, name: &str, number: u32) {
    let client = Browser::registered(service, name).await;
    client.post("/auth/logout", &[]).await.data();
    client.login(name, "correct horse").await.data();
    let uploaded = client.upload("Clair de lune", &song(number)).await;
    assert_eq!(uploaded["status"], "UPLOADED");
    assert_eq!(result(service, &uploaded).await.data(), Value::Null);
    let at = format!("/songs/{}", id(&uploaded));
    let split = client.get(&at).await.data()["song"].clone();
    let keys: Vec<_> = split.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!((keys, &split["status"]), (vec!["hash", "id", "status", "title", "uploader_id"], &json!("SPLIT")));
    let parts = [
        ("song", song(number).into()),
        ("bass", stems().bass),
        ("drums", stems().drums),
        ("other", stems().other),
        ("vocals", stems().vocals),
    ];
    for (part, expected) in parts {
        assert_eq!(client.get(&format!("{at}/{part}.mp3")).await.bytes, expected, "{part}");
    }
    assert_eq!(client.get("/songs/").await.data()["songs"], json!([split]));
    client.delete(&at).await.data();
    assert_eq!(client.get("/songs/").await.data()["songs"], json!([]));
    client.post("/auth/logout", &[]).await.data();
}

async fn session_with(settings: Settings) {
    let service = Service::with(settings).await;
    session(&service, "ada", 1).await;
}

#[tokio::test]
async fn original_client_and_worker_know_nothing_of_models() {
    // The second default has another name and the stems of the original.
    for models in ["htdemucs,mine:vocals+instrumental", "ours:drums+bass+other+vocals,htdemucs_6s"] {
        session_with(Settings { models: models.parse().unwrap(), ..settings() }).await;
    }
}

#[tokio::test]
async fn original_result_does_not_replace_that_of_a_further_model() {
    let models = "htdemucs,mine:vocals+instrumental".parse().unwrap();
    let service = Service::with(Settings { models, ..settings() }).await;
    let browser = Browser::new(&service);
    let uploaded = browser.upload("x", &song(1)).await;
    browser.post(&format!("/songs/{}/split", id(&uploaded)), &[("model", "mine")]).await.data();
    // The job of the default model may still be at a worker of the original.
    result(&service, &uploaded).await;
    let waiting = browser.get(&format!("/songs/{}?details", id(&uploaded))).await.data()["song"].clone();
    assert_eq!((&waiting["status"], &waiting["model"]), (&json!("UPLOADED"), &json!("mine")));
}

#[tokio::test]
async fn original_client_and_worker_know_nothing_of_trash_and_quotas() {
    let quota = Quota { max_songs: Some(1), max_uploads_per_minute: Some(9), ..Quota::default() };
    let trash = Some(Duration::from_secs(30 * 24 * 60 * 60));
    let policy = Policy { per_user: quota, per_address: quota, trash, ..Policy::default() };
    session_with(Settings { policy, ..settings() }).await;
}

#[tokio::test]
async fn original_client_and_worker_know_nothing_of_webhooks() {
    let webhooks = WebhookPolicy { allow_private: true, allow_http: true };
    session_with(Settings { webhooks, background: true, ..settings() }).await;
}

#[tokio::test]
async fn original_client_and_worker_know_nothing_of_resumable_uploads() {
    for max_total in [0, 1] {
        let resumable = ResumableSettings { max_total, ..ResumableSettings::default() };
        session_with(Settings { resumable, ..settings() }).await;
    }
}

#[tokio::test]
async fn original_client_and_worker_know_nothing_of_a_proxy_that_names_users() {
    let policy = Policy { user_header: UserHeader::new("Remote-User", true), ..Policy::default() };
    let trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    session_with(Settings { policy, trusted_proxies, ..settings() }).await;
}

#[tokio::test]
async fn original_client_and_worker_know_nothing_of_sign_in_with_openid_connect() {
    // Nothing asks the provider: they sign in with a password.
    let provider =
        OidcSettings::new("https://id.example.org", "vocalizer", "https://songs.example.org/auth/oidc/callback");
    let usage = ProviderSettings { name: "Example".to_owned(), creates_users: true };
    let sign_in = SignIn { oidc: Some(Oidc { settings: provider, usage }), ..SignIn::default() };
    session_with(Settings { sign_in, ..settings() }).await;
}

#[tokio::test]
async fn original_client_and_worker_take_no_notice_of_share_links_and_of_other_owners_turns() {
    let service = Service::with(settings()).await;
    let bob = Browser::registered(&service, "bob").await;
    let mut songs = Vec::new();
    for number in 10..15 {
        songs.push(bob.upload("Bob's", &song(number)).await);
    }
    bob.post(&format!("/songs/{}/shares", id(&songs[0])), &[]).await.data();
    // The same bytes as Bob's first song: one job, two owners, two results.
    session(&service, "ada", 10).await;
    for song in &songs[1..] {
        result(&service, song).await.data();
    }
    for song in &songs {
        bob.until(song, "SPLIT").await;
    }
    assert_eq!(
        bob.get(&format!("/songs/{}/shares", id(&songs[0]))).await.data()["shares"].as_array().unwrap().len(),
        1
    );
}
