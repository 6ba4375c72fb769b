//! Tempo and key of songs.

use reqwest::Method;
use serde_json::{Value, json};
use vocalizer_core::service::RenderingSettings;

use super::results::{finished, four};
use super::support::{Browser, Service, Settings, archive, id, song};

/// The demo song: 104 BPM, in A.
fn demo() -> Vec<u8> {
    std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../demo/first-light.mp3")).unwrap()
}

fn path(song: &Value) -> String {
    format!("/songs/{}/analysis", id(song))
}

#[tokio::test]
async fn tempo_and_key_of_the_demo_are_found_once_and_deleted_with_it() {
    let service = Service::idle().await;
    let client = Browser::new(&service);
    let uploaded = client.upload("First Light", &demo()).await;
    assert_eq!(service.cached(), Vec::<String>::new(), "uploads are not analysed");
    let head = Browser::send(client.request(Method::HEAD, &path(&uploaded))).await;
    assert_eq!((head.status, head.header("content-type")), (200, "application/json"));
    assert_eq!(service.cached(), Vec::<String>::new(), "HEAD makes nothing");

    // Nothing is split yet.
    let analysis = client.get(&path(&uploaded)).await.data()["analysis"].clone();
    let bpm = analysis["tempo"]["bpm"].as_f64().unwrap();
    assert!((bpm - 104.0).abs() < 0.3, "{analysis}");
    assert_eq!((&analysis["key"]["tonic"], &analysis["key"]["mode"]), (&json!("A"), &json!("major")), "{analysis}");
    for part in ["tempo", "key"] {
        assert!((0.3..=1.0).contains(&analysis[part]["confidence"].as_f64().unwrap()), "{analysis}");
    }
    assert_eq!(service.cached(), ["song.analysis"]);
    assert_eq!(client.get(&path(&uploaded)).await.data()["analysis"], analysis);
    // Another song with the same bytes has the same.
    let again = client.upload("again", &demo()).await;
    assert_eq!(client.get(&path(&again)).await.data()["analysis"], analysis);
    for song in [uploaded, again] {
        client.delete(&format!("/songs/{}", id(&song))).await.data();
    }
    service.stored(0).await;
}

#[tokio::test]
async fn stems_are_named_with_what_was_found() {
    let service = Service::idle().await;
    let client = Browser::new(&service);
    let uploaded = client.upload("First Light", &demo()).await;
    client.result(&uploaded, finished(&four())).await.data();
    let name = async |query: &str| {
        let answer = client.get(&format!("/songs/{}/vocals.mp3?download&numbered{query}", id(&uploaded))).await;
        answer.header("content-disposition").to_owned()
    };
    assert_eq!(name("").await, "attachment; filename=\"04 First Light (vocals).mp3\"", "nothing is known");
    client.get(&path(&uploaded)).await.data();
    assert_eq!(name("").await, "attachment; filename=\"04 First Light (vocals) 104 BPM A.mp3\"");
    assert_eq!(name("&tempo=52&key=F%23m").await, "attachment; filename=\"04 First Light (vocals) 52 BPM F#m.mp3\"");
    assert_eq!(name("&tempo=52").await, "attachment; filename=\"04 First Light (vocals) 52 BPM A.mp3\"");
    let zipped = client.get(&format!("/songs/{}/stems.zip?numbered&stems=bass", id(&uploaded))).await;
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(zipped.bytes)).unwrap();
    assert_eq!(zip.by_index(0).unwrap().name(), "02 First Light (bass) 104 BPM A.mp3");
    for wrong in ["H", "Am7", "am", ""] {
        let path = format!("/songs/{}/vocals.mp3?numbered&key={wrong}", id(&uploaded));
        client.get(&path).await.refused_field(422, "invalid", "key");
    }
}

#[tokio::test]
async fn song_without_a_beat_has_no_tempo() {
    let service = Service::idle().await;
    let client = Browser::new(&service);
    // 50 ms.
    let uploaded = client.upload("short", &song(1)).await;
    assert_eq!(client.get(&path(&uploaded)).await.data()["analysis"]["tempo"], Value::Null);
}

#[tokio::test]
async fn analysis_belongs_to_who_may_hear_the_song() {
    let service = Service::idle().await;
    let (ada, eve) = (Browser::registered(&service, "ada").await, Browser::new(&service));
    let song = ada.upload("mine", &demo()).await;
    eve.get(&path(&song)).await.refused(404, "not_found");
    ada.get(&path(&song)).await.data();
    eve.get(&path(&song)).await.refused(404, "not_found");
    ada.result(&song, archive()).await.data();
    let share = ada.post(&format!("/songs/{}/shares", id(&song)), &[]).await.data()["secret"].clone();
    let request = eve.request(Method::GET, &path(&song)).bearer_auth(share.as_str().unwrap());
    assert!(Browser::send(request).await.data()["analysis"]["tempo"]["bpm"].is_number());
}

#[tokio::test]
async fn analysis_can_be_turned_off() {
    let renderings = RenderingSettings { analyses: false, ..RenderingSettings::default() };
    let service = Service::with(Settings { workers: 0, renderings, ..Settings::default() }).await;
    let client = Browser::new(&service);
    let uploaded = client.upload("First Light", &demo()).await;
    assert_eq!(client.get(&path(&uploaded)).await.data()["analysis"], json!({"tempo": null, "key": null}));
    assert_eq!(service.cached(), Vec::<String>::new());
}
