//! Sweeps and repairs: inconsistencies are fixed, but never at the risk of deleting a user's files.

use std::time::Duration;

use super::server::sql;
use super::support::{Browser, Service, Settings, id, song};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[tokio::test]
async fn song_with_missing_file_fails_with_reason() {
    let service = Service::idle().await;
    let uploaded = Browser::new(&service).upload("x", &song(1)).await;
    let source = service.stored(1).await.remove(0);
    std::fs::remove_file(source).unwrap();
    let service = Service::over(service.stop().await, Settings::default()).await;
    let failed = Browser::new(&service).until(&uploaded, "FAILED").await;
    assert_eq!(failed["failure_reason"], "its file is missing on the server; upload it again");
}

/// Without a check, the model would separate whatever it can decode.
#[tokio::test]
async fn song_with_damaged_file_fails_and_new_upload_repairs_it() {
    let service = Service::idle().await;
    let uploaded = Browser::new(&service).upload("x", &song(1)).await;
    let source = service.stored(1).await.remove(0);
    // The same size, and still valid audio.
    let mut damaged = std::fs::read(&source).unwrap();
    *damaged.last_mut().unwrap() ^= 1;
    std::fs::write(&source, damaged).unwrap();
    let service = Service::over(service.stop().await, Settings::default()).await;
    let browser = Browser::new(&service);
    let failed = browser.until(&uploaded, "FAILED").await;
    assert_eq!(failed["failure_reason"], "its file is damaged on the server; upload it again");
    let again = browser.upload("y", &song(1)).await;
    browser.until(&again, "SPLIT").await;
    browser.until(&uploaded, "SPLIT").await;
}

#[tokio::test]
async fn sweep_removes_orphans_unless_they_are_the_majority() {
    let service = Service::idle().await;
    let browser = Browser::new(&service);
    let few: Vec<_> = (0..5).collect();
    for number in &few {
        browser.upload("x", &song(*number)).await;
    }
    let orphan = |number: u32| service.orphan(&format!("{number:064x}"), 2 * DAY);
    (0..10).for_each(orphan);
    assert_eq!(service.songs.sweep().await.unwrap().orphans, 10, "a few orphans, as after a crash");
    service.stored(few.len()).await;

    // As with the wrong database for these files.
    (0..20).for_each(orphan);
    assert_eq!(service.songs.sweep().await.unwrap().orphans, 0);
    service.stored(few.len() + 20).await;
}

#[tokio::test]
async fn sweep_keeps_orphans_for_a_day() {
    let service = Service::idle().await;
    Browser::new(&service).upload("x", &song(1)).await;
    service.orphan(&"ab".repeat(32), DAY - Duration::from_secs(60));
    assert_eq!(service.songs.sweep().await.unwrap().orphans, 0);
    service.orphan(&"ab".repeat(32), DAY + Duration::from_secs(60));
    assert_eq!(service.songs.sweep().await.unwrap().orphans, 1);
    service.stored(1).await;
}

/// As after restoring a backup: the database is older than the files.
#[tokio::test]
async fn sweep_keeps_files_newer_than_newest_song() {
    let service = Service::idle().await;
    let browser = Browser::new(&service);
    let only = browser.upload("x", &song(1)).await;
    let dir = service.stop().await;
    let older = "UPDATE songs SET uploaded_at_us = uploaded_at_us - 10 * 24 * 3600 * 1000000";
    sql(&dir.path().join("data/vocalizer.db"), older);
    let service = Service::over(dir, Settings { workers: 0, ..Settings::default() }).await;
    service.orphan(&"ab".repeat(32), 5 * DAY);
    service.orphan(&"cd".repeat(32), 15 * DAY);
    assert_eq!(service.songs.sweep().await.unwrap().orphans, 1, "the orphan older than the song");
    service.stored(2).await;

    // Without any song, the age of the database is unknown.
    service.orphan(&"cd".repeat(32), 15 * DAY);
    Browser::new(&service).delete(&format!("/songs/{}", id(&only))).await.data();
    assert_eq!(service.songs.sweep().await.unwrap().orphans, 0);
    service.stored(2).await;
}
