//! Server-sent events of a single song.

use std::sync::atomic::Ordering;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use tokio::time::timeout;

use super::support::{Browser, Service, Settings, id, song};

/// An event: name, identifier, data.
type Event = (String, String, Value);

/// Reads a stream to its end.
async fn read_events(browser: &Browser, song: &Value, last: Option<&str>) -> Vec<Event> {
    let mut request = browser.request(Method::GET, &format!("/songs/{}/events", id(song)));
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    let answer = timeout(Duration::from_secs(30), Browser::send(request)).await.unwrap();
    assert_eq!((answer.status, answer.header("content-type")), (200, "text/event-stream"));
    let text = String::from_utf8(answer.bytes.to_vec()).unwrap();
    let mut events = Vec::new();
    for block in text.split("\n\n").filter(|block| block.contains("data: ")) {
        let line = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
        events.push((line("event: "), line("id: "), serde_json::from_str(&line("data: ")).unwrap()));
    }
    events
}

#[tokio::test]
async fn events_cover_upload_to_split_with_rising_progress() {
    let service = Service::start().await;
    service.separator.takes_ms.store(1500, Ordering::SeqCst);
    let client = Browser::new(&service);
    let uploaded = client.upload("x", &song(1)).await;
    let events = read_events(&client, &uploaded, None).await;
    assert!(events.iter().all(|(name, ..)| name == "song"));
    assert_eq!(events.last().unwrap().2["status"], "SPLIT");
    let progress: Vec<_> = events.iter().filter_map(|(_, _, song)| song["progress"].as_u64()).collect();
    assert!(progress.len() > 2 && progress.is_sorted(), "{progress:?}");
    let statuses: Vec<_> = events.iter().map(|(_, _, song)| song["status"].as_str().unwrap()).collect();
    let order = ["UPLOADED", "SPLITTING", "SPLIT"];
    assert!(statuses.iter().map(|status| order.iter().position(|o| o == status).unwrap()).is_sorted(), "{statuses:?}");
}

#[tokio::test]
async fn last_event_id_resumes_without_repeats() {
    let service = Service::idle().await;
    let client = Browser::new(&service);
    let waiting = client.upload("x", &song(1)).await;
    // The stream of a queued song does not end: read the first event and close the connection.
    let path = format!("/songs/{}/events", id(&waiting));
    let mut response = client.request(Method::GET, &path).send().await.unwrap();
    let mut text = String::new();
    while !text.contains("data: ") {
        text.push_str(std::str::from_utf8(&response.chunk().await.unwrap().unwrap()).unwrap());
    }
    let seen = text.lines().find_map(|line| line.strip_prefix("id: ")).unwrap().to_owned();
    drop(response);
    client.result(&waiting, super::support::archive()).await.data();
    let missed = read_events(&client, &waiting, Some(&seen)).await;
    assert_eq!(missed.len(), 1);
    assert_eq!(missed[0].2["status"], "SPLIT");
    let nothing = read_events(&client, &waiting, Some(&missed[0].1)).await;
    assert_eq!(nothing, Vec::<Event>::new(), "no events are left, and the stream ends");
    let unknown = read_events(&client, &waiting, Some("an id of another server")).await;
    assert_eq!(unknown.len(), 1);
}

#[tokio::test]
async fn deleting_watched_song_sends_deleted_event() {
    let service = Service::idle().await;
    let client = Browser::new(&service);
    let waiting = client.upload("x", &song(1)).await;
    let (watcher, watched) = (client.clone(), waiting.clone());
    let watching = tokio::spawn(async move { read_events(&watcher, &watched, None).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    client.delete(&format!("/songs/{}", id(&waiting))).await.data();
    let events = timeout(Duration::from_secs(20), watching).await.unwrap().unwrap();
    assert_eq!(events.last().unwrap().0, "deleted");
}

#[tokio::test]
async fn queue_position_is_reported_and_advances() {
    let service = Service::with(Settings { workers: 0, ..Settings::default() }).await;
    let client = Browser::new(&service);
    let first = client.upload("first", &song(1)).await;
    let second = client.upload("second", &song(2)).await;
    assert_eq!((&first["queue_position"], &second["queue_position"]), (&0.into(), &1.into()));
    let dir = service.stop().await;
    let service = Service::over(dir, Settings::default()).await;
    let client = Browser::new(&service);
    client.until(&second, "SPLIT").await;
}

#[tokio::test]
async fn events_of_other_users_song_return_404() {
    let service = Service::idle().await;
    let ada = Browser::registered(&service, "ada").await;
    let private = ada.upload("x", &song(1)).await;
    let path = format!("/songs/{}/events", id(&private));
    Browser::new(&service).get(&path).await.refused(404, "not_found");
}
