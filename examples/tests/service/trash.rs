//! The trash: what a deleted song still is, how it comes back, and how it ends.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use vocalizer::service::Policy;
use vocalizer_core::quota::Quota;

use super::server::sql;
use super::support::{Browser, Service, Settings, archive, id, song};
use super::watching::Watch;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) fn settings(days: u32) -> Settings {
    let policy = Policy { trash: (days > 0).then(|| DAY * days), ..Policy::default() };
    Settings { workers: 0, policy, ..Settings::default() }
}

fn at(song: &Value) -> String {
    format!("/songs/{}", id(song))
}

async fn restore(browser: &Browser, song: &Value) -> Value {
    browser.post(&format!("{}/restore", at(song)), &[]).await.data()["song"].clone()
}

async fn delete_for_good(browser: &Browser, song: &Value) {
    browser.delete(&format!("/songs/trash/{}", id(song))).await.data();
}

async fn titles(browser: &Browser, path: &str) -> Vec<String> {
    let data = browser.get(path).await.data();
    let title = |one: &Value| one.get("song").unwrap_or(one)["title"].as_str().unwrap().to_owned();
    data["songs"].as_array().unwrap().iter().map(title).collect()
}

/// Makes the songs in the trash older by some days.
fn age(service: &Service, days: u64) {
    let us = days * 24 * 3600 * 1_000_000;
    sql(&service.database(), &format!("UPDATE songs SET trashed_at_us = trashed_at_us - {us}"));
}

/// What every client sees of a deleted song, with and without a trash.
#[tokio::test]
async fn deleted_song_is_gone_for_clients_that_know_no_trash() {
    for days in [0, 30] {
        let service = Service::with(settings(days)).await;
        let ada = Browser::registered(&service, "ada").await;
        let uploaded = ada.upload("Clair de lune", &song(1)).await;
        ada.result(&uploaded, archive()).await.data();
        let link = ada.post(&format!("{}/shares", at(&uploaded)), &[]).await.data();
        let secret = link["secret"].as_str().unwrap();
        ada.delete(&at(&uploaded)).await.data();
        assert_eq!(titles(&ada, "/songs/").await, [""; 0]);
        for path in ["", "?details", "/vocals.mp3", "/song.mp3", "/stems.zip", "/peaks/song", "/shares", "/events"] {
            ada.get(&format!("{}{path}", at(&uploaded))).await.refused(404, "not_found");
        }
        for action in ["retry", "cancel", "split"] {
            ada.post(&format!("{}/{action}", at(&uploaded)), &[]).await.refused(404, "not_found");
        }
        let renamed = ada.request(Method::PATCH, &at(&uploaded)).form(&[("title", "new")]);
        Browser::send(renamed).await.refused(404, "not_found");
        let opened = Browser::new(&service).request(Method::GET, "/share").bearer_auth(secret);
        assert_eq!(Browser::send(opened).await.refused(404, "not_found"), "share link not found");
        ada.delete(&at(&uploaded)).await.refused(404, "not_found");
        let limits = ada.get("/limits").await.data()["limits"]["trash_days"].clone();
        assert_eq!(limits, if days == 0 { Value::Null } else { json!(30) });
        service.stored(if days == 0 { 0 } else { 5 }).await;
        // The same file again is a new song.
        let again = ada.upload("Clair de lune", &song(1)).await;
        assert_ne!(again["id"], uploaded["id"]);
        assert_eq!(again["status"], if days == 0 { "UPLOADED" } else { "SPLIT" }, "the stems are in the trash");
    }
}

#[tokio::test]
async fn restored_song_has_its_stems_and_links() {
    let service = Service::with(settings(30)).await;
    let (ada, ben) = (Browser::registered(&service, "ada").await, Browser::registered(&service, "ben").await);
    let uploaded = ada.upload("Clair de lune", &song(1)).await;
    ada.result(&uploaded, archive()).await.data();
    let link = ada.post(&format!("{}/shares", at(&uploaded)), &[]).await.data();
    ada.delete(&at(&uploaded)).await.data();
    let trashed = ada.get("/songs/trash").await.data()["songs"][0].clone();
    assert_eq!((&trashed["song"]["id"], &trashed["song"]["status"]), (&uploaded["id"], &json!("SPLIT")));
    let day = |field: &str| {
        time::OffsetDateTime::parse(trashed[field].as_str().unwrap(), &time::format_description::well_known::Rfc3339)
            .unwrap()
    };
    assert_eq!(day("ends_at") - day("trashed_at"), time::Duration::days(30));

    // It is as private as before.
    for stranger in [&ben, &Browser::new(&service)] {
        assert_eq!(titles(stranger, "/songs/trash").await, [""; 0]);
        stranger.post(&format!("{}/restore", at(&uploaded)), &[]).await.refused(404, "not_found");
        stranger.delete(&format!("/songs/trash/{}", id(&uploaded))).await.refused(404, "not_found");
    }

    assert_eq!(restore(&ada, &uploaded).await["status"], "SPLIT");
    assert_eq!(ada.get(&format!("{}/vocals.mp3", at(&uploaded))).await.status, 200);
    let secret = link["secret"].as_str().unwrap();
    let opened = Browser::new(&service).request(Method::GET, "/share").bearer_auth(secret);
    assert_eq!(Browser::send(opened).await.data()["song"]["title"], "Clair de lune");
    assert_eq!(titles(&ada, "/songs/trash").await, [""; 0]);
    ada.post(&format!("{}/restore", at(&uploaded)), &[]).await.refused(404, "not_found");
    ada.delete(&format!("/songs/trash/{}", id(&uploaded))).await.refused(404, "not_found");
}

#[tokio::test]
async fn waiting_song_leaves_the_queue_and_waits_again_when_restored() {
    let service = Service::with(settings(30)).await;
    let browser = Browser::new(&service);
    let (first, second) = (browser.upload("first", &song(1)).await, browser.upload("second", &song(2)).await);
    browser.delete(&at(&first)).await.data();
    assert_eq!(browser.get(&at(&second)).await.data()["song"]["queue_position"], 0);
    assert_eq!(browser.get("/songs/trash").await.data()["songs"][0]["song"]["status"], "FAILED");
    // A worker that has the job already is told to stop.
    browser.result(&first, archive()).await.refused(410, "gone");
    let restored = restore(&browser, &first).await;
    assert_eq!((&restored["status"], &restored["queue_position"]), (&json!("UPLOADED"), &json!(1)));
    browser.result(&first, archive()).await.data();
    browser.until(&first, "SPLIT").await;

    // One that a user cancelled stays cancelled.
    browser.post(&format!("{}/cancel", at(&second)), &[]).await.data();
    browser.delete(&at(&second)).await.data();
    assert_eq!(restore(&browser, &second).await["failure_reason"], "cancelled by the user");
}

#[tokio::test]
async fn song_is_deleted_for_good_with_its_files() {
    let service = Service::with(settings(30)).await;
    let browser = Browser::new(&service);
    let (one, same) = (browser.upload("one", &song(1)).await, browser.upload("same", &song(1)).await);
    browser.result(&one, archive()).await.data();
    browser.delete(&at(&one)).await.data();
    browser.delete(&at(&same)).await.data();
    assert_eq!(titles(&browser, "/songs/trash").await, ["same", "one"]);
    let page = browser.get("/songs/trash?limit=1").await.data();
    let next = page["next"].as_str().unwrap();
    assert_eq!(titles(&browser, &format!("/songs/trash?after={next}")).await, ["one"]);
    browser.get("/songs/trash?after=x").await.refused_field(422, "invalid", "after");
    delete_for_good(&browser, &one).await;
    service.stored(5).await;
    delete_for_good(&browser, &same).await;
    service.stored(0).await;
    browser.post(&format!("{}/restore", at(&same)), &[]).await.refused(404, "not_found");
}

#[tokio::test]
async fn sweep_empties_the_trash_in_time() {
    let service = Service::with(settings(30)).await;
    let browser = Browser::new(&service);
    for number in 1..=2 {
        let uploaded = browser.upload(&format!("song {number}"), &song(number)).await;
        browser.delete(&at(&uploaded)).await.data();
        age(&service, 16);
    }
    // The clock of retention has just begun.
    assert_eq!(service.songs.sweep().await.unwrap().trashed, 1);
    assert_eq!(titles(&browser, "/songs/trash").await, ["song 2"]);
    service.stored(1).await;
    age(&service, 16);
    assert_eq!(service.songs.sweep().await.unwrap().trashed, 1);
    service.stored(0).await;

    // Without a trash nothing stays from before.
    let uploaded = browser.upload("left", &song(3)).await;
    browser.delete(&at(&uploaded)).await.data();
    let service = Service::over(service.stop().await, settings(0)).await;
    assert_eq!(service.songs.sweep().await.unwrap().trashed, 1);
    service.stored(0).await;
}

#[tokio::test]
async fn retention_continues_in_the_trash() {
    let mut settings = settings(30);
    settings.policy.retention.all = Some(DAY * 2);
    let service = Service::with(settings).await;
    let browser = Browser::new(&service);
    let uploaded = browser.upload("old", &song(1)).await;
    browser.delete(&at(&uploaded)).await.data();
    sql(&service.database(), "UPDATE songs SET uploaded_at_us = uploaded_at_us - 3 * 24 * 3600 * 1000000");
    assert_eq!(service.songs.sweep().await.unwrap().expired, 1);
    service.stored(0).await;
}

/// Deleting makes room in the quota at once, but no user can store more than the quota by deleting.
#[tokio::test]
async fn trash_yields_to_uploads_within_the_quota() {
    let mut settings = settings(30);
    settings.policy.per_user = Quota { max_songs: Some(2), ..Quota::default() };
    settings.policy.per_address = settings.policy.per_user;
    let service = Service::with(settings).await;
    for browser in [Browser::registered(&service, "ada").await, Browser::new(&service)] {
        let mut songs = Vec::new();
        for number in 1..=2 {
            songs.push(browser.upload(&format!("song {number}"), &song(number)).await);
        }
        browser.try_upload("song 3", song(3)).await.refused(403, "quota_exceeded");
        browser.delete(&at(&songs[0])).await.data();
        assert_eq!(titles(&browser, "/songs/trash").await, ["song 1"], "there is room for it");
        let third = browser.upload("song 3", &song(3)).await;
        assert_eq!(titles(&browser, "/songs/trash").await, [""; 0]);
        browser.delete(&at(&third)).await.data();
        browser.delete(&at(&songs[1])).await.data();
        browser.upload("song 4", &song(4)).await;
        assert_eq!(titles(&browser, "/songs/trash").await, ["song 2"], "the one deleted first is gone");
        for left in titles(&browser, "/songs/").await {
            assert_eq!(left, "song 4");
        }
        let left = browser.get("/songs/").await.data()["songs"][0].clone();
        browser.delete(&at(&left)).await.data();
        delete_for_good(&browser, &left).await;
        delete_for_good(&browser, &songs[1]).await;
        service.stored(0).await;
    }
}

#[tokio::test]
async fn full_disk_has_no_trash() {
    let dir = {
        let service = Service::with(settings(30)).await;
        let browser = Browser::new(&service);
        for number in 1..=2 {
            browser.upload(&format!("song {number}"), &song(number)).await;
        }
        let kept = browser.get("/songs/").await.data()["songs"][0].clone();
        browser.delete(&at(&kept)).await.data();
        service.stop().await
    };
    let service = Service::over(dir, Settings { min_free_bytes: Some(u64::MAX), ..settings(30) }).await;
    let browser = Browser::new(&service);
    browser.try_upload("song 3", song(3)).await.refused(507, "storage_full");
    let left = browser.get("/songs/").await.data()["songs"][0].clone();
    browser.delete(&at(&left)).await.data();
    service.stored(1).await;
    assert_eq!(titles(&browser, "/songs/trash").await, ["song 2"]);
    assert_eq!(service.songs.sweep().await.unwrap().trashed, 1);
    service.stored(0).await;
}

#[tokio::test]
async fn uploads_lose_nothing_of_the_trash() {
    let service = Service::with(settings(30)).await;
    let ada = Browser::registered(&service, "ada").await;
    let keyed = |title: &str, bytes| ada.upload_request(title, bytes).header("Idempotency-Key", "row 7");
    let first = Browser::send(keyed("first", song(1))).await.data()["song"].clone();
    ada.delete(&at(&first)).await.data();
    // With its key, but not its file.
    for other in [song(2), b"no song".to_vec()] {
        assert!(Browser::send(keyed("second", other)).await.status >= 400);
        assert_eq!(titles(&ada, "/songs/trash").await, ["first"]);
    }
    let again = Browser::send(keyed("first", song(1))).await.data()["song"].clone();
    assert_eq!((&again["id"], &again["status"]), (&first["id"], &json!("UPLOADED")));
    assert_eq!(titles(&ada, "/songs/trash").await, [""; 0]);
    assert_eq!(titles(&ada, "/songs/").await, ["first"]);
    service.stored(1).await;

    // A duplicate in the trash is none.
    ada.delete(&at(&first)).await.data();
    let form = reqwest::multipart::Form::new().text("title", "again").text("duplicates", "refuse");
    let form = form.part("file", reqwest::multipart::Part::bytes(song(1)).file_name("song.mp3"));
    let again = Browser::send(ada.request(Method::POST, "/songs/upload").multipart(form)).await.data()["song"].clone();
    assert_ne!(again["id"], first["id"]);
    // Restored, there are two, as after two uploads.
    restore(&ada, &first).await;
    assert_eq!(titles(&ada, "/songs/").await.len(), 2);
}

#[tokio::test]
async fn watchers_see_deleted_and_restored_songs() {
    let service = Service::with(settings(30)).await;
    let browser = Browser::new(&service);
    let uploaded = browser.upload("watched", &song(1)).await;
    let mut watch = Watch::open(&browser).await;
    browser.delete(&at(&uploaded)).await.data();
    while watch.next().await != ("deleted".to_owned(), json!({"id": id(&uploaded)})) {}
    restore(&browser, &uploaded).await;
    let (event, song) = watch.next().await;
    assert_eq!((event.as_str(), &song["id"]), ("song", &uploaded["id"]));
}
