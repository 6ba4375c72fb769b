//! Markers: named times in a song.

use reqwest::Method;
use serde_json::{Value, json};

use super::support::{Answer, Browser, Service, archive, id, song};

fn markers(song: &Value) -> String {
    format!("/songs/{}/markers", id(song))
}

async fn list(browser: &Browser, song: &Value) -> Value {
    browser.get(&markers(song)).await.data()["markers"].clone()
}

async fn change(browser: &Browser, song: &Value, marker: &Value, fields: Value) -> Answer {
    let path = format!("{}/{}", markers(song), id(marker));
    Browser::send(browser.request(Method::PATCH, &path).json(&fields)).await
}

#[tokio::test]
async fn markers_are_added_changed_listed_in_order_and_deleted() {
    let service = Service::idle().await;
    let ada = Browser::registered(&service, "ada").await;
    let uploaded = ada.upload("x", &song(1)).await;
    assert_eq!(list(&ada, &uploaded).await, json!([]));
    let add = async |at_ms: &str, name: &str| {
        ada.post(&markers(&uploaded), &[("at_ms", at_ms), ("name", name)]).await.data()["marker"].clone()
    };
    let chorus = add("61500", "  Chorus  ").await;
    let intro = add("0", "„Intro“ 🎵").await;
    assert_eq!((&chorus["at_ms"], &chorus["name"]), (&json!(61_500), &json!("Chorus")));
    assert_eq!(list(&ada, &uploaded).await, json!([intro, chorus]));

    // Another device of the same user.
    let phone = ada.new_client();
    phone.login("ada", "correct horse").await.data();
    let renamed = change(&phone, &uploaded, &intro, json!({"name": "Start"})).await.data()["marker"].clone();
    assert_eq!((&renamed["at_ms"], &renamed["name"]), (&json!(0), &json!("Start")));
    let moved = change(&phone, &uploaded, &intro, json!({"at_ms": 70_000})).await.data()["marker"].clone();
    assert_eq!((&moved["at_ms"], &moved["name"]), (&json!(70_000), &json!("Start")));
    assert_eq!(list(&ada, &uploaded).await, json!([chorus, moved]));

    let path = format!("{}/{}", markers(&uploaded), id(&chorus));
    ada.delete(&path).await.data();
    ada.delete(&path).await.refused(404, "not_found");
    change(&ada, &uploaded, &chorus, json!({"at_ms": 1})).await.refused(404, "not_found");
    assert_eq!(list(&ada, &uploaded).await, json!([moved]));
}

#[tokio::test]
async fn bad_markers_are_rejected_with_reasons() {
    let service = Service::idle().await;
    let browser = Browser::new(&service);
    let uploaded = browser.upload("x", &song(1)).await;
    let (long, most) = ("x".repeat(101), "x".repeat(100));
    for (fields, field, message) in [
        (&[("name", "x")][..], "at_ms", "at_ms is missing: the time in the song in milliseconds"),
        (&[("at_ms", "-1"), ("name", "x")], "at_ms", "at_ms must be a whole number from 0 to 4294967295"),
        (&[("at_ms", "1.5"), ("name", "x")], "at_ms", "at_ms must be a whole number from 0 to 4294967295"),
        (&[("at_ms", "1")], "name", "name must not be empty"),
        (&[("at_ms", "1"), ("name", " \u{200b} ")], "name", "name must not be empty"),
        (&[("at_ms", "1"), ("name", &long)], "name", "name has 101 characters; at most 100 are allowed"),
        (&[("at_ms", "1"), ("name", "a\nb")], "name", "name contains a control character at position 1"),
    ] {
        let said = browser.post(&markers(&uploaded), fields).await.refused_field(422, "invalid", field);
        assert_eq!(said, message);
    }
    let marker = browser.post(&markers(&uploaded), &[("at_ms", "1"), ("name", &most)]).await.data()["marker"].clone();
    let said = change(&browser, &uploaded, &marker, json!({"name": long})).await.refused_field(422, "invalid", "name");
    assert_eq!(said, "name has 101 characters; at most 100 are allowed");
    assert_eq!(list(&browser, &uploaded).await, json!([marker]));
}

#[tokio::test]
async fn song_has_at_most_200_markers() {
    let service = Service::idle().await;
    let browser = Browser::new(&service);
    let uploaded = browser.upload("x", &song(1)).await;
    for at_ms in 0..200 {
        browser.post(&markers(&uploaded), &[("at_ms", &at_ms.to_string()), ("name", "x")]).await.data();
    }
    let said = browser.post(&markers(&uploaded), &[("at_ms", "1"), ("name", "x")]).await.refused(409, "conflict");
    assert_eq!(said, "the song has 200 markers, the maximum; delete one that is no longer needed");
    let first = list(&browser, &uploaded).await[0].clone();
    browser.delete(&format!("{}/{}", markers(&uploaded), id(&first))).await.data();
    browser.post(&markers(&uploaded), &[("at_ms", "1"), ("name", "x")]).await.data();
}

#[tokio::test]
async fn only_the_owner_changes_markers_and_guests_with_a_link_see_them() {
    let service = Service::idle().await;
    let ada = Browser::registered(&service, "ada").await;
    let uploaded = ada.upload("x", &song(1)).await;
    ada.result(&uploaded, archive()).await.data();
    let marker = ada.post(&markers(&uploaded), &[("at_ms", "5"), ("name", "x")]).await.data()["marker"].clone();
    let secret = ada.post(&format!("/songs/{}/shares", id(&uploaded)), &[]).await.data()["secret"].clone();
    let (stranger, guest) = (Browser::registered(&service, "eve").await, Browser::new(&service));
    let one = format!("{}/{}", markers(&uploaded), id(&marker));

    stranger.get(&markers(&uploaded)).await.refused(404, "not_found");
    stranger.post(&markers(&uploaded), &[("at_ms", "5"), ("name", "x")]).await.refused(404, "not_found");
    change(&stranger, &uploaded, &marker, json!({"name": "y"})).await.refused(404, "not_found");
    stranger.delete(&one).await.refused(404, "not_found");

    let with_link = |method, path: &str| guest.request(method, path).bearer_auth(secret.as_str().unwrap());
    let shown = Browser::send(with_link(Method::GET, &markers(&uploaded))).await.data()["markers"].clone();
    assert_eq!(shown, json!([marker]));
    let add = with_link(Method::POST, &markers(&uploaded)).json(&json!({"at_ms": 1, "name": "x"}));
    assert!(Browser::send(add).await.status >= 400);
    assert!(Browser::send(with_link(Method::DELETE, &one)).await.status >= 400);
    assert_eq!(list(&ada, &uploaded).await, json!([marker]));

    ada.delete(&format!("/songs/{}", id(&uploaded))).await.data();
    ada.get(&markers(&uploaded)).await.refused(404, "not_found");
}
