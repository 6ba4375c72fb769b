//! Expiry of old songs.

use std::time::Duration;

use vocalizer::service::Policy;

use super::server::sql;
use super::support::{Browser, Service, Settings, archive, id, song};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn settings(all: Option<u32>, anonymous: Option<u32>) -> Settings {
    let mut policy = Policy::default();
    policy.retention.all = all.map(|days| DAY * days);
    policy.retention.anonymous = anonymous.map(|days| DAY * days);
    Settings { workers: 0, policy, ..Settings::default() }
}

/// Makes songs with a title older by `days`.
fn age(service: &Service, days: u32, title: &str) {
    let us = u64::from(days) * 24 * 3600 * 1_000_000;
    sql(
        &service.database(),
        &format!("UPDATE songs SET uploaded_at_us = uploaded_at_us - {us} WHERE title = '{title}'"),
    );
}

async fn exists(browser: &Browser, song: &serde_json::Value) -> bool {
    browser.get(&format!("/songs/{}", id(song))).await.status == 200
}

#[tokio::test]
async fn expired_songs_are_deleted_with_their_files() {
    let service = Service::with(settings(Some(10), Some(2))).await;
    let anonymous = Browser::new(&service);
    let ada = Browser::registered(&service, "ada").await;
    let mut songs = Vec::new();
    for (browser, number, title, days) in [
        (&anonymous, 1, "anonymous, old", 3),
        (&anonymous, 2, "anonymous, young", 1),
        (&ada, 3, "hers, young", 9),
        (&ada, 4, "hers, old", 11),
        (&anonymous, 5, "shared, old", 3),
        (&ada, 5, "shared, hers", 3),
    ] {
        let uploaded = browser.upload(title, &song(number)).await;
        browser.result(&uploaded, archive()).await.data();
        age(&service, days, title);
        songs.push(uploaded);
    }
    // Five hashes with a source and four stems each.
    service.stored(25).await;
    assert_eq!(service.songs.sweep().await.unwrap().expired, 3);
    let mut left = Vec::new();
    for song in &songs {
        left.push(exists(&ada, song).await);
    }
    assert_eq!(left, [false, true, true, false, false, true]);
    service.stored(15).await;
    let hers = ada.get(&format!("/songs/{}/vocals.mp3", id(&songs[5]))).await;
    assert_eq!(hers.status, 200, "files of another song stay");
    assert_eq!(service.songs.sweep().await.unwrap().expired, 0);
}

#[tokio::test]
async fn unfinished_songs_do_not_expire() {
    let service = Service::with(settings(Some(1), None)).await;
    let anonymous = Browser::new(&service);
    let waits = anonymous.upload("waits", &song(1)).await;
    let works = anonymous.upload("works", &song(2)).await;
    let begin = format!("/songs/{}/begin", works["hash"].as_str().unwrap());
    let worker = anonymous.request(reqwest::Method::POST, &begin).bearer_auth(super::support::WORKER_TOKEN);
    Browser::send(worker).await.data();
    age(&service, 400, "waits");
    age(&service, 400, "works");
    assert_eq!(service.songs.sweep().await.unwrap().expired, 0);
    assert!(exists(&anonymous, &waits).await && exists(&anonymous, &works).await);
    anonymous.result(&works, archive()).await.data();
    assert_eq!(service.songs.sweep().await.unwrap().expired, 1);
    assert!(exists(&anonymous, &waits).await && !exists(&anonymous, &works).await);
}

/// Expiry uses the time the database has recorded, so a clock set ahead by a year does not matter at once.
#[tokio::test]
async fn clock_set_ahead_does_not_expire_songs() {
    let service = Service::with(settings(Some(30), None)).await;
    let anonymous = Browser::new(&service);
    let uploaded = anonymous.upload("x", &song(1)).await;
    anonymous.result(&uploaded, archive()).await.data();
    assert_eq!(service.songs.sweep().await.unwrap().expired, 0);
    // The test cannot change the machine's clock; moving all stored times back is equivalent.
    let year_us = 365_u64 * 24 * 3600 * 1_000_000;
    age(&service, 365, "x");
    sql(&service.database(), &format!("UPDATE retention SET time_us = time_us - {year_us}"));
    for _ in 0..10 {
        assert_eq!(service.songs.sweep().await.unwrap().expired, 0);
    }
    assert!(exists(&anonymous, &uploaded).await);
    // Once sweeps have recorded enough time, the song expires.
    sql(&service.database(), &format!("UPDATE retention SET time_us = time_us + {}", year_us / 12));
    assert_eq!(service.songs.sweep().await.unwrap().expired, 1);
}

#[tokio::test]
async fn nothing_expires_without_retention_setting() {
    let service = Service::idle().await;
    let anonymous = Browser::new(&service);
    let uploaded = anonymous.upload("x", &song(1)).await;
    anonymous.result(&uploaded, archive()).await.data();
    age(&service, 4000, "x");
    assert_eq!(service.songs.sweep().await.unwrap().expired, 0);
    assert!(exists(&anonymous, &uploaded).await);
}
