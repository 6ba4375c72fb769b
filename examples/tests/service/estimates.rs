//! The time left of waiting songs, from known times of their models and the order of the queue.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use vocalizer_core::api::Provenance;
use vocalizer_core::models::{Capabilities, result_key};
use vocalizer_core::part::Stem;
use vocalizer_core::ports::{Backend as _, Blob, BlobError, StemSet};
use vocalizer_core::song::SongHash;

use super::server::sql;
use super::support::{Browser, Service, Settings, id, mp3, song};

/// Stems of a model that took this long.
struct Made(Provenance);

#[async_trait]
impl StemSet for Made {
    async fn open(&self, _: Stem) -> Result<Blob, BlobError> {
        Ok(mp3(1).into())
    }

    fn provenance(&self) -> Option<&Provenance> {
        Some(&self.0)
    }
}

async fn upload(browser: &Browser, number: u32, model: &str) -> Value {
    let form = reqwest::multipart::Form::new().text("title", "x").text("model", model.to_owned());
    let form = form.part("file", reqwest::multipart::Part::bytes(song(number)));
    Browser::send(browser.request(reqwest::Method::POST, "/songs/upload").multipart(form)).await.data()["song"].clone()
}

/// The key of a song's result.
fn key(song: &Value, model: &str) -> SongHash {
    let hash = song["hash"].as_str().unwrap().parse().unwrap();
    if model == "htdemucs" { hash } else { result_key(&hash, &model.parse().unwrap()) }
}

/// Makes all songs as long as those that were measured.
fn lengthen(service: &Service) {
    sql(&service.database(), "UPDATE songs SET duration_ms = 120000");
}

async fn left(browser: &Browser, song: &Value) -> Value {
    let details = browser.get(&format!("/songs/{}?details", id(song))).await.data()["song"].clone();
    details["seconds_left"].clone()
}

/// A service that knows how long its models take, and has workers for them.
async fn measured() -> Service {
    let models = "htdemucs,best,fast".parse().unwrap();
    let service = Service::with(Settings { models, workers: 0, ..Settings::default() }).await;
    let browser = Browser::new(&service);
    for (number, model, seconds) in [(101, "htdemucs", 8), (102, "htdemucs", 12), (103, "best", 60)] {
        let uploaded = upload(&browser, number, model).await;
        let mut made = Provenance::new(model);
        made.measure(Duration::from_secs(120), Duration::from_secs(seconds));
        let (wanted, lease) = (key(&uploaded, model), service.songs.queue().lease_for(&able(model)).await.unwrap());
        service.songs.deliver(&wanted, &Made(made)).await.unwrap();
        lease.acknowledge().await.unwrap();
    }
    for model in ["htdemucs", "best", "fast"] {
        service.songs.worker_seen(&able(model)).await;
    }
    service
}

fn able(model: &str) -> Capabilities {
    Capabilities::of(vec![model.parse().unwrap()])
}

#[tokio::test]
async fn splits_and_their_time_are_counted_by_model() {
    let service = measured().await;
    let metrics = String::from_utf8(Browser::new(&service).get("/metrics").await.bytes.to_vec()).unwrap();
    for line in [
        "vocalizer_model_splits_total{model=\"htdemucs\"} 2",
        "vocalizer_model_splits_total{model=\"best\"} 1",
        "vocalizer_model_splits_total{model=\"fast\"} 0",
        "vocalizer_model_seconds_total{model=\"htdemucs\"} 20",
    ] {
        assert!(metrics.lines().any(|found| found == line), "no {line} in {metrics}");
    }
}

#[tokio::test]
async fn time_left_follows_the_turns_of_owners_and_the_times_of_models() {
    let service = measured().await;
    let (ada, bob) = (Browser::registered(&service, "ada").await, Browser::registered(&service, "bob").await);
    let mut of_ada = Vec::new();
    for number in 0..3 {
        of_ada.push(upload(&ada, number, "best").await);
    }
    lengthen(&service);
    assert_eq!(left(&ada, &of_ada[2]).await, 180);
    let of_bob = upload(&bob, 10, "htdemucs").await;
    lengthen(&service);
    // Bob waits for one of Ada's songs, not for three; the times of htdemucs are 8 and 12 seconds.
    assert_eq!(left(&bob, &of_bob).await, 60 + 10);
    let mut times = Vec::new();
    for song in &of_ada {
        times.push(left(&ada, song).await);
    }
    assert_eq!(times, [json!(60), json!(60 + 10 + 60), json!(60 + 10 + 60 + 60)]);

    // A worker is half done with Ada's first song.
    let lease = service.songs.queue().lease_for(&able("best")).await.unwrap();
    let first = key(&of_ada[0], "best");
    assert_eq!(lease.job().key, first);
    service.songs.begin(&first).await.unwrap();
    service.songs.progress(&first, 50).await.unwrap();
    assert_eq!((left(&ada, &of_ada[0]).await, left(&bob, &of_bob).await), (json!(30), json!(30 + 10)));

    // A priority comes before turns.
    let carol = Browser::registered(&service, "carol").await;
    let carols = carol.get("/auth/me").await.data()["user"]["id"].as_str().unwrap().parse().unwrap();
    service.songs.repository().set_priority(carols, 5).await.unwrap();
    let urgent = upload(&carol, 20, "best").await;
    lengthen(&service);
    assert_eq!((left(&carol, &urgent).await, left(&bob, &of_bob).await), (json!(30 + 60), json!(30 + 60 + 10)));

    // Two busy workers share what is ahead.
    let other = service.songs.queue().lease_for(&able("best")).await.unwrap();
    assert_eq!(other.job().key, key(&urgent, "best"));
    service.songs.begin(&other.job().key).await.unwrap();
    assert_eq!(left(&bob, &of_bob).await, (30 + 60) / 2 + 10);
}

#[tokio::test]
async fn time_left_of_an_unmeasured_model_follows_its_cost_and_is_not_guessed_otherwise() {
    let service = measured().await;
    let browser = Browser::new(&service);
    // htdemucs has the cost 1 and takes 10 s, best 28.5 and takes 60 s; fast has the cost 0.7.
    let expected = ((10.0 + 60.0 / 28.5) / 2.0 * 0.7_f64).ceil();
    let fast = upload(&browser, 1, "fast").await;
    lengthen(&service);
    assert_eq!(left(&browser, &fast).await.as_f64(), Some(expected));

    let service = Service::idle().await;
    let browser = Browser::new(&service);
    let unknown = browser.upload("x", &song(1)).await;
    service.songs.worker_seen(&able("htdemucs")).await;
    assert_eq!(left(&browser, &unknown).await, Value::Null);
}

#[tokio::test]
async fn time_left_follows_the_length_of_the_song() {
    let service = measured().await;
    let browser = Browser::new(&service);
    let uploaded = upload(&browser, 1, "best").await;
    let with_length = async |length: &str| {
        sql(&service.database(), &format!("UPDATE songs SET duration_ms = {length} WHERE id = '{}'", id(&uploaded)));
        left(&browser, &uploaded).await
    };
    // Two minutes of music took a minute.
    assert_eq!((with_length("240000").await, with_length("30000").await), (json!(120), json!(15)));
    assert_eq!(with_length("NULL").await, json!(60));
    // So does one that is being split.
    let lease = service.songs.queue().lease_for(&able("best")).await.unwrap();
    service.songs.begin(&lease.job().key).await.unwrap();
    service.songs.progress(&lease.job().key, 50).await.unwrap();
    assert_eq!((with_length("240000").await, with_length("NULL").await), (json!(60), json!(30)));
    let other = upload(&browser, 2, "best").await;
    lengthen(&service);
    with_length("240000").await;
    assert_eq!(left(&browser, &other).await, 60 + 60);
}
