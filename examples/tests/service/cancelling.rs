//! Cancelling: waiting songs, running ones, songs of several users, and late results.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join;
use serde_json::Value;

use super::support::{Answer, Browser, Service, Settings, archive, id, song};

/// Longer than a test waits.
const LONG_MS: u32 = 600_000;

async fn cancel(browser: &Browser, song: &Value) -> Answer {
    browser.post(&format!("/songs/{}/cancel", id(song)), &[]).await
}

async fn now(browser: &Browser, song: &Value) -> Value {
    browser.get(&format!("/songs/{}", id(song))).await.data()["song"].clone()
}

fn assert_cancelled(song: &Value) {
    assert_eq!((&song["status"], &song["failure_reason"]), (&"FAILED".into(), &"cancelled by the user".into()));
}

async fn retry(browser: &Browser, song: &Value) {
    browser.post(&format!("/songs/{}/retry", id(song)), &[]).await.data();
}

async fn until(what: &str, is_reached: impl Fn() -> bool) {
    for _ in 0..1000 {
        if is_reached() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never reached: {what}");
}

#[tokio::test]
async fn waiting_song_leaves_the_queue_and_can_be_retried() {
    let service = Service::idle().await;
    let client = Browser::new(&service);
    let songs = [client.upload("one", &song(1)).await, client.upload("two", &song(2)).await];
    assert_cancelled(&cancel(&client, &songs[0]).await.data()["song"]);
    assert_cancelled(&cancel(&client, &songs[0]).await.data()["song"]);
    assert_eq!(now(&client, &songs[1]).await["queue_position"], 0);
    assert_eq!(service.songs.queue().depth().await.unwrap().waiting, 1);
    // The sweep does not bring it back.
    service.songs.sweep().await.unwrap();
    assert_cancelled(&now(&client, &songs[0]).await);

    let dir = service.stop().await;
    let service = Service::over(dir, Settings::default()).await;
    let client = Browser::new(&service);
    client.until(&songs[1], "SPLIT").await;
    assert_eq!(service.separator.begun.load(Ordering::SeqCst), 1);
    retry(&client, &songs[0]).await;
    client.until(&songs[0], "SPLIT").await;
    cancel(&client, &songs[0]).await.refused(409, "conflict");
    assert_eq!(now(&client, &songs[0]).await["status"], "SPLIT");
}

#[tokio::test]
async fn worker_of_cancelled_song_stops_and_takes_the_next() {
    let service = Service::start().await;
    service.separator.takes_ms.store(LONG_MS, Ordering::SeqCst);
    let client = Browser::new(&service);
    let running = client.upload("running", &song(1)).await;
    client.until(&running, "SPLITTING").await;
    until("separation", || service.separator.begun.load(Ordering::SeqCst) == 1).await;
    assert_cancelled(&cancel(&client, &running).await.data()["song"]);
    until("stopped", || service.separator.cancelled.load(Ordering::SeqCst) == 1).await;
    service.separator.takes_ms.store(0, Ordering::SeqCst);
    let next = client.upload("next", &song(2)).await;
    client.until(&next, "SPLIT").await;
    assert_cancelled(&now(&client, &running).await);
    assert_eq!(service.songs.queue().depth().await.unwrap().dead, 0);
}

#[tokio::test]
async fn song_is_split_for_the_other_user() {
    let service = Service::idle().await;
    let (ada, bob) = (Browser::registered(&service, "ada").await, Browser::registered(&service, "bob").await);
    let (hers, his) = (ada.upload("x", &song(1)).await, bob.upload("x", &song(1)).await);
    cancel(&bob, &hers).await.refused(404, "not_found");
    assert_cancelled(&cancel(&ada, &hers).await.data()["song"]);
    assert_eq!(now(&bob, &his).await["queue_position"], 0, "still queued");
    ada.result(&his, archive()).await.data();
    assert_eq!(now(&bob, &his).await["status"], "SPLIT");
    assert_cancelled(&now(&ada, &hers).await);
    // Nothing needs to be split again.
    retry(&ada, &hers).await;
    assert_eq!(now(&ada, &hers).await["status"], "SPLIT");
}

#[tokio::test]
async fn result_of_cancelled_song_is_dropped() {
    let service = Service::idle().await;
    let client = Browser::new(&service);
    let uploaded = client.upload("x", &song(1)).await;
    cancel(&client, &uploaded).await.data();
    let files = service.stored_files();
    client.result(&uploaded, archive()).await.refused(410, "gone");
    assert_cancelled(&now(&client, &uploaded).await);
    assert_eq!(service.stored_files(), files);
    // Uploading the file again splits it for the new song only.
    let again = client.upload("again", &song(1)).await;
    client.result(&again, archive()).await.data();
    assert_eq!(now(&client, &again).await["status"], "SPLIT");
    assert_cancelled(&now(&client, &uploaded).await);
}

#[tokio::test]
async fn result_and_cancellation_at_the_same_time_exclude_each_other() {
    let service = Service::idle().await;
    let client = Browser::new(&service);
    let mut ends = [0, 0];
    for number in 0..20 {
        let uploaded = client.upload("x", &song(number)).await;
        let (cancelled, delivered) = if number % 2 == 0 {
            join(cancel(&client, &uploaded), client.result(&uploaded, archive())).await
        } else {
            let (delivered, cancelled) = join(client.result(&uploaded, archive()), cancel(&client, &uploaded)).await;
            (cancelled, delivered)
        };
        let song = now(&client, &uploaded).await;
        let stems = client.get(&format!("/songs/{}/bass.mp3", id(&uploaded))).await.status;
        match (cancelled.status, delivered.status) {
            (200, 410) => {
                assert_cancelled(&song);
                assert_eq!(stems, 409);
                ends[0] += 1;
            }
            (409, 200) => {
                assert_eq!((song["status"].as_str(), stems), (Some("SPLIT"), 200));
                ends[1] += 1;
            }
            other => panic!("{other:?}: {song}"),
        }
    }
    println!("{} cancelled, {} split", ends[0], ends[1]);
}
