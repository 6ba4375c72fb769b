//! Uploads that are repeated: because their response was lost, or because the user forgot.

use futures_util::future::join_all;
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::Value;
use vocalizer::service::Policy;
use vocalizer_core::quota::Quota;

use super::resumable::{create, create_request, patch};
use super::support::{Answer, Browser, Service, Settings, id, song};

async fn keyed(browser: &Browser, key: &str, bytes: Vec<u8>) -> Answer {
    Browser::send(browser.upload_request("x", bytes).header("idempotency-key", key)).await
}

async fn with_field(browser: &Browser, name: &'static str, value: &'static str, bytes: Vec<u8>) -> Answer {
    let form = Form::new().text("title", "x").text(name, value).part("file", Part::bytes(bytes).file_name("x.wav"));
    Browser::send(browser.request(Method::POST, "/songs/upload").multipart(form)).await
}

async fn count(browser: &Browser) -> usize {
    browser.get("/songs/").await.data()["songs"].as_array().unwrap().len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upload_with_key_makes_one_song_however_often_it_is_sent() {
    let service = Service::idle().await;
    let (ada, bob) = (Browser::registered(&service, "ada").await, Browser::registered(&service, "bob").await);
    let anonymous = Browser::new(&service);
    let mut ids = Vec::new();
    for browser in [&ada, &bob, &anonymous] {
        let answers = join_all((0..4).map(|_| keyed(browser, "row 7", song(1)))).await;
        let first = answers[0].data()["song"].clone();
        assert!(answers.iter().all(|answer| answer.data()["song"]["id"] == first["id"]));
        ids.push(id(&first).to_owned());
        let other = keyed(browser, "row 8", song(1)).await.data()["song"]["id"].clone();
        assert_ne!(other, first["id"], "another key is another upload");
    }
    ids.dedup();
    assert_eq!(ids.len(), 3, "each user has keys of their own");
    assert_eq!((count(&anonymous).await, count(&ada).await), (2, 4));
    // A deleted song can be uploaded again.
    ada.delete(&format!("/songs/{}", ids[0])).await.data();
    assert_eq!(keyed(&ada, "row 7", song(1)).await.data()["song"]["id"], ids[0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn key_with_another_file_is_rejected_and_stores_nothing() {
    let service = Service::idle().await;
    let ada = Browser::registered(&service, "ada").await;
    keyed(&ada, "key", song(1)).await.data();
    let before = service.stored(1).await;
    keyed(&ada, "key", song(2)).await.refused_field(422, "invalid", "Idempotency-Key");
    assert_eq!((service.stored(1).await, count(&ada).await), (before, 1));
    for key in ["", &"k".repeat(256)] {
        keyed(&ada, key, song(1)).await.refused_field(422, "invalid", "Idempotency-Key");
    }
    keyed(&ada, &"k".repeat(255), song(1)).await.data();
    assert_eq!(count(&ada).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duplicate_is_told_to_its_uploader_on_request_only() {
    let service = Service::idle().await;
    let (ada, bob) = (Browser::registered(&service, "ada").await, Browser::registered(&service, "bob").await);
    let anonymous = Browser::new(&service);
    let first = with_field(&ada, "duplicates", "refuse", song(1)).await.data()["song"].clone();
    let refused = with_field(&ada, "duplicates", "refuse", song(1)).await;
    refused.refused(409, "duplicate");
    assert_eq!(refused.json()["errors"][0]["song_id"], first["id"]);
    // Clients of the original system do not ask.
    ada.upload("x", &song(1)).await;
    with_field(&ada, "duplicates", "allow", song(1)).await.data();
    assert_eq!(count(&ada).await, 3);
    // Others do not learn of it.
    for browser in [&bob, &anonymous, &anonymous] {
        with_field(browser, "duplicates", "refuse", song(1)).await.data();
    }
    with_field(&ada, "duplicates", "perhaps", song(3)).await.refused_field(422, "invalid", "duplicates");
    let other = with_field(&ada, "duplicates", "refuse", song(4)).await;
    assert_eq!(other.data()["song"]["uploader_id"], first["uploader_id"]);
    let own = ada.get("/songs/").await.data()["songs"].as_array().unwrap().clone();
    for song in own.iter().filter(|song| song["uploader_id"] != Value::Null) {
        ada.delete(&format!("/songs/{}", id(song))).await.data();
    }
    with_field(&ada, "duplicates", "refuse", song(1)).await.data();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeated_upload_with_key_is_no_duplicate() {
    let service = Service::idle().await;
    let ada = Browser::registered(&service, "ada").await;
    let upload = async || {
        let form = Form::new().text("title", "x").text("duplicates", "refuse");
        let form = form.part("file", Part::bytes(song(1)).file_name("x.wav"));
        let request = ada.request(Method::POST, "/songs/upload").header("idempotency-key", "key");
        Browser::send(request.multipart(form)).await.data()["song"]["id"].clone()
    };
    assert_eq!(upload().await, upload().await);
}

async fn described(browser: &Browser, key: &str, fields: &[(&'static str, &'static str)]) -> Answer {
    let form = fields.iter().fold(Form::new(), |form, &(name, text)| form.text(name, text));
    let form = form.part("file", Part::bytes(song(1)).file_name("x.wav"));
    let request = browser.request(Method::POST, "/songs/upload").header("idempotency-key", key.to_owned());
    Browser::send(request.multipart(form)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn key_with_another_title_model_or_stems_is_rejected() {
    let models = "htdemucs,htdemucs_6s".parse().unwrap();
    let service = Service::with(Settings { models, workers: 0, ..Settings::default() }).await;
    let ada = Browser::registered(&service, "ada").await;
    let first = [("title", "x"), ("model", "htdemucs_6s"), ("stems", "piano,guitar")];
    let song = described(&ada, "key", &first).await.data()["song"]["id"].clone();
    let same = [("title", " x "), ("model", "htdemucs_6s"), ("stems", "guitar, piano")];
    assert_eq!(described(&ada, "key", &same).await.data()["song"]["id"], song);
    for other in [
        [("title", "y"), ("model", "htdemucs_6s"), ("stems", "piano,guitar")],
        [("title", "x"), ("model", "htdemucs"), ("stems", "drums")],
        [("title", "x"), ("model", "htdemucs_6s"), ("stems", "piano")],
    ] {
        described(&ada, "key", &other).await.refused_field(422, "invalid", "Idempotency-Key");
    }
    described(&ada, "key", &[("title", "x")]).await.refused_field(422, "invalid", "Idempotency-Key");
    assert_eq!(count(&ada).await, 1);
    // The default is the same with and without its name.
    let default = described(&ada, "default", &[("title", "x")]).await.data()["song"]["id"].clone();
    let named = described(&ada, "default", &[("title", "x"), ("model", "htdemucs")]).await;
    assert_eq!(named.data()["song"]["id"], default);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeat_succeeds_at_a_full_quota_and_stores_nothing() {
    let per_user = Quota { max_songs: Some(1), max_uploads_per_minute: Some(2), ..Quota::default() };
    let policy = Policy { per_user, per_address: per_user, ..Policy::default() };
    let service = Service::with(Settings { workers: 0, policy, ..Settings::default() }).await;
    let (ada, bob) = (Browser::registered(&service, "ada").await, Browser::registered(&service, "bob").await);
    let first = keyed(&ada, "key", song(0)).await.data()["song"]["id"].clone();
    let before = service.stored(1).await;
    for _ in 0..4 {
        assert_eq!(keyed(&ada, "key", song(0)).await.data()["song"]["id"], first);
    }
    keyed(&ada, "key", song(7)).await.refused_field(422, "invalid", "Idempotency-Key");
    keyed(&ada, "another key", song(0)).await.refused(403, "quota_exceeded");
    assert_eq!(service.stored(1).await, before);
    // Everyone knows the IDs of public songs, so a repeat without an account counts.
    let guest = Browser::new(&service);
    keyed(&guest, "key", song(1)).await.data();
    keyed(&guest, "key", song(1)).await.refused(403, "quota_exceeded");
    // The same with an ID, and in parts.
    let id = "0d5b1e1c-7a3f-4e55-9c11-2f6f0a8b9c01";
    for _ in 0..2 {
        let form = Form::new().text("title", "x").text("id", id).part("file", Part::bytes(song(3)).file_name("x.wav"));
        let answer = Browser::send(bob.request(Method::POST, "/songs/upload").multipart(form)).await;
        assert_eq!(answer.data()["song"]["id"], id);
    }
    let path = create(&bob, song(3).len(), &[("title", "x"), ("id", id)]).await;
    assert_eq!(patch(&bob, &path, 0, &song(3)).await.header("song-id"), id);
    let other = create_request(&bob, song(4).len(), &[("title", "x"), ("id", "0d5b1e1c-7a3f-4e55-9c11-2f6f0a8b9c02")]);
    Browser::send(other).await.refused(403, "quota_exceeded");
    // A repeat that finds no song any more counts.
    let path = create(&bob, song(5).len(), &[("title", "x"), ("id", id)]).await;
    bob.delete(&format!("/songs/{id}")).await.data();
    keyed(&bob, "new", song(6)).await.data();
    let refused = patch(&bob, &path, 0, &song(5)).await;
    assert!(refused.status == 403 || refused.status == 409, "{refused:?}");
    assert_eq!(count_own(&bob).await, 1);
}

async fn count_own(browser: &Browser) -> usize {
    browser.get("/songs/?whose=mine").await.data()["songs"].as_array().unwrap().len()
}
