//! What does not fit together is mended, and never at the cost of what may be somebody's.

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

/// The model would make stems of whatever it can decode of it.
#[tokio::test]
async fn song_with_damaged_file_fails_and_new_upload_repairs_it() {
    let service = Service::idle().await;
    let uploaded = Browser::new(&service).upload("x", &song(1)).await;
    let source = service.stored(1).await.remove(0);
    // As large as it was, and still a song.
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
    assert_eq!(service.songs.sweep().await.unwrap().orphans, 10, "a crash leaves a few");
    service.stored(few.len()).await;

    // As with another database than the one of these files.
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

/// As after a restored backup: the database is of an earlier day than the bytes.
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
    assert_eq!(service.songs.sweep().await.unwrap().orphans, 1, "the one that is older than the song");
    service.stored(2).await;

    // No song at all tells nothing about the age of the database.
    service.orphan(&"cd".repeat(32), 15 * DAY);
    Browser::new(&service).delete(&format!("/songs/{}", id(&only))).await.data();
    assert_eq!(service.songs.sweep().await.unwrap().orphans, 0);
    service.stored(2).await;
}
