//! Labels of songs.

use reqwest::{Method, Url};
use serde_json::{Value, json};

use super::support::{Answer, Browser, Service, id, song};

async fn add(browser: &Browser, song: &Value, label: &str) -> Answer {
    browser.post(&format!("/songs/{}/labels", id(song)), &[("label", label)]).await
}

async fn remove(browser: &Browser, song: &Value, label: &str) -> Answer {
    let query = Url::parse_with_params("http://x", [("label", label)]).unwrap().query().unwrap().to_owned();
    browser.delete(&format!("/songs/{}/labels?{query}", id(song))).await
}

async fn labels(browser: &Browser, song: &Value) -> Value {
    browser.get(&format!("/songs/{}?details", id(song))).await.data()["song"]["labels"].clone()
}

async fn counts(browser: &Browser) -> Value {
    browser.get("/labels").await.data()["labels"].clone()
}

async fn found(browser: &Browser, query: &str) -> Vec<String> {
    let data = browser.get(&format!("/songs/?{query}")).await.data();
    data["songs"].as_array().unwrap().iter().map(|song| song["title"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn labels_are_added_counted_found_and_removed() {
    let service = Service::idle().await;
    let (ada, guest) = (Browser::registered(&service, "ada").await, Browser::new(&service));
    let [one, two, open] =
        [ada.upload("one", &song(1)).await, ada.upload("two", &song(2)).await, guest.upload("open", &song(3)).await];
    assert_eq!(one.get("labels"), None, "as in the original");
    assert_eq!(labels(&ada, &one).await, json!([]));
    assert_eq!(counts(&ada).await, json!([]));

    let labelled = add(&ada, &one, "  Müsli & Co „live“ 🎵 ").await.data()["song"].clone();
    assert_eq!((&labelled["labels"], &labelled["title"]), (&json!(["Müsli & Co „live“ 🎵"]), &json!("one")));
    add(&ada, &one, "band").await.data();
    add(&ada, &two, "Band").await.data();
    add(&ada, &two, "BAND").await.data();
    add(&guest, &open, "Band").await.data();
    assert_eq!(labels(&ada, &two).await, json!(["Band"]));
    let expected = json!([{"label": "Band", "songs": 3}, {"label": "Müsli & Co „live“ 🎵", "songs": 1}]);
    assert_eq!(counts(&ada).await, expected);
    assert_eq!(counts(&guest).await, json!([{"label": "Band", "songs": 1}]));

    assert_eq!(found(&ada, "label=bAnd&sort=title").await, ["one", "open", "two"]);
    assert_eq!(found(&ada, "label=band&whose=mine").await, ["two", "one"]);
    assert_eq!(found(&ada, "label=band&q=on").await, ["one"]);
    assert_eq!(found(&ada, "label=M%C3%BCsli+%26+Co+%E2%80%9Elive%E2%80%9C+%F0%9F%8E%B5").await, ["one"]);
    assert_eq!(found(&ada, "label=ban").await, [""; 0]);
    assert_eq!(found(&guest, "label=band&sort=status").await, ["open"]);
    let page = ada.get("/songs/?label=band&limit=2&total&details").await.data();
    assert_eq!((&page["total"], &page["songs"][1]["labels"]), (&json!(3), &json!(["Band"])));
    let next = page["next"].as_str().unwrap();
    assert_eq!(found(&ada, &format!("label=band&limit=2&after={next}")).await, ["one"]);

    assert_eq!(remove(&ada, &one, "müsli & co „LIVE“ 🎵").await.data()["song"]["labels"], json!(["band"]));
    remove(&ada, &one, "müsli & co „LIVE“ 🎵").await.data();
    assert_eq!(counts(&ada).await, json!([{"label": "Band", "songs": 3}]));
}

#[tokio::test]
async fn bad_labels_are_rejected_with_reasons() {
    let service = Service::idle().await;
    let browser = Browser::new(&service);
    let uploaded = browser.upload("x", &song(1)).await;
    let (long, most) = ("ж".repeat(41), "ж".repeat(40));
    for (label, message) in [
        ("", "label must not be empty"),
        (" \u{200b} ", "label must not be empty"),
        (&long, "label has 41 characters; at most 40 are allowed"),
        ("a\nb", "label contains a control character at position 1"),
    ] {
        assert_eq!(add(&browser, &uploaded, label).await.refused_field(422, "invalid", "label"), message);
        assert_eq!(remove(&browser, &uploaded, label).await.refused_field(422, "invalid", "label"), message);
    }
    browser.delete(&format!("/songs/{}/labels", id(&uploaded))).await.refused_field(422, "invalid", "label");
    browser.get("/songs/?label=").await.refused_field(422, "invalid", "label");
    browser.get("/songs/?label=%00").await.refused_field(422, "invalid", "label");
    add(&browser, &uploaded, &most).await.data();
    assert_eq!(labels(&browser, &uploaded).await, json!([most]));
}

#[tokio::test]
async fn song_has_at_most_20_labels() {
    let service = Service::idle().await;
    let browser = Browser::new(&service);
    let uploaded = browser.upload("x", &song(1)).await;
    for n in 0..20 {
        add(&browser, &uploaded, &n.to_string()).await.data();
    }
    let said = add(&browser, &uploaded, "one more").await.refused(409, "conflict");
    assert_eq!(said, "the song has 20 labels, the maximum; remove one that is no longer needed");
    add(&browser, &uploaded, "7").await.data();
    remove(&browser, &uploaded, "7").await.data();
    add(&browser, &uploaded, "one more").await.data();
}

#[tokio::test]
async fn only_the_owner_changes_labels_and_guests_with_a_link_see_none() {
    let service = Service::idle().await;
    let (ada, eve) = (Browser::registered(&service, "ada").await, Browser::registered(&service, "eve").await);
    let uploaded = ada.upload("x", &song(1)).await;
    add(&ada, &uploaded, "Live").await.data();
    add(&eve, &uploaded, "hers").await.refused(404, "not_found");
    remove(&eve, &uploaded, "Live").await.refused(404, "not_found");
    assert_eq!(counts(&eve).await, json!([]));

    let secret = ada.post(&format!("/songs/{}/shares", id(&uploaded)), &[]).await.data()["secret"].clone();
    let guest = Browser::new(&service);
    let path = format!("/songs/{}", id(&uploaded));
    let with_link = |method, path: &str| guest.request(method, path).bearer_auth(secret.as_str().unwrap());
    let seen = Browser::send(with_link(Method::GET, &format!("{path}?details"))).await.data()["song"].clone();
    assert_eq!((&seen["title"], seen.get("labels")), (&json!("x"), None));
    let adding = with_link(Method::POST, &format!("{path}/labels")).form(&[("label", "his")]);
    assert!(Browser::send(adding).await.status >= 400);
    assert_eq!(labels(&ada, &uploaded).await, json!(["Live"]));
}

#[tokio::test]
async fn songs_in_the_trash_keep_their_labels() {
    let service = Service::with(super::trash::settings(30)).await;
    let browser = Browser::new(&service);
    let uploaded = browser.upload("x", &song(1)).await;
    add(&browser, &uploaded, "Live").await.data();
    browser.delete(&format!("/songs/{}", id(&uploaded))).await.data();
    add(&browser, &uploaded, "y").await.refused(404, "not_found");
    assert_eq!(counts(&browser).await, json!([]));
    let trashed = browser.get("/songs/trash").await.data()["songs"][0]["song"].clone();
    assert_eq!(trashed["labels"], json!(["Live"]));
    browser.post(&format!("/songs/{}/restore", id(&uploaded)), &[]).await.data();
    assert_eq!(found(&browser, "label=live").await, ["x"]);
}
