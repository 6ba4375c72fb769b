//! Workers with different models, and workers that die while they load one.

use std::time::Instant;

use serde_json::{Value, json};

use super::place::{MODEL_TIMEOUT, MODELS, Place, QueueKind, TIMEOUT};
use super::process::Process;
use super::proxy::Traffic;

const THREE: &[&str] = &["htdemucs", "best", "fast"];

fn worker(place: &Place, models: &str) -> Process {
    place.start_with("worker", "never", 1, &[(MODELS, models)])
}

async fn split(place: &Place, song: &Value, model: &str) -> Value {
    let path = format!("/songs/{}/split", song["id"].as_str().unwrap());
    let (status, body) = place.post(place.address(), &path, &json!({"model": model})).await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str::<Value>(&body).unwrap()["data"]["song"].clone()
}

async fn details(place: &Place, song: &Value) -> Value {
    let path = format!("http://{}/songs/{}?details=1", place.address(), song["id"].as_str().unwrap());
    place.http.get(path).send().await.unwrap().json::<Value>().await.unwrap()["data"]["song"].clone()
}

/// Waits until the song meets a condition.
async fn until(place: &Place, song: &Value, what: &str, is_met: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let song = details(place, song).await;
        if is_met(&song) {
            return song;
        }
        assert!(began.elapsed() < TIMEOUT, "not {what}: {song}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

async fn until_split(place: &Place, song: &Value, model: &str) -> Value {
    until(place, song, "split", |song| song["status"] == "SPLIT" && song["model"] == model).await
}

/// One song with three models, through two workers of which each has two.
async fn three_models_of_two_workers(queue_kind: QueueKind) {
    let mut place = Place::with_models(queue_kind, THREE).await;
    let _server = place.start("server", "never", 1);
    place.up().await;
    let _one = worker(&place, "htdemucs,fast");
    // One of the uploads before has a model that no worker has yet.
    let song = split_with(&mut place, "htdemucs").await;
    until_split(&place, &song, "htdemucs").await;
    split(&place, &song, "best").await;
    until(&place, &song, "waiting", |song| song["waiting_for"].as_str().is_some_and(|why| why.contains("best"))).await;
    let _other = worker(&place, "htdemucs,best");
    until_split(&place, &song, "best").await;
    split(&place, &song, "fast").await;
    until_split(&place, &song, "fast").await;
    let mut took = Vec::new();
    for model in THREE {
        let began = Instant::now();
        assert_eq!(split(&place, &song, model).await["status"], "SPLIT", "{model}");
        took.push(began.elapsed());
    }
    eprintln!("{queue_kind:?}: switching back took {took:?}");
    assert_eq!(place.settle("three models of two workers").await, 0);
}

/// The operator removes a model for which songs wait, more than are published at once.
async fn removed_model(queue_kind: QueueKind) {
    let mut place = Place::with_models(queue_kind, THREE).await;
    let server = place.start_with("server", "never", 1, &[(MODELS, "htdemucs,best,fast,scnet")]);
    place.up().await;
    let _worker = worker(&place, "htdemucs,best,fast");
    let mut waiting = Vec::new();
    for _ in 0..6 {
        let song = place.upload().await.unwrap();
        until_split(&place, &song, place.model_of(place.number()).unwrap()).await;
        waiting.push(song);
    }
    // Their jobs stay in the outbox. A database behind the proxy has to stay reachable.
    if queue_kind == QueueKind::Broker {
        place.proxy.set(Traffic::Cut);
    }
    for song in &waiting {
        assert_eq!(split(&place, song, "scnet").await["status"], "UPLOADED");
    }
    drop(server);
    place.proxy.set(Traffic::Normal);
    let server = place.start("server", "never", 1);
    place.up().await;
    let other = split_with(&mut place, "fast").await;
    until_split(&place, &other, "fast").await;
    assert!(details(&place, &waiting[0]).await["waiting_for"].as_str().unwrap().contains("scnet"));
    drop(server);
    let _server = place.start_with("server", "never", 1, &[(MODEL_TIMEOUT, "1")]);
    place.up().await;
    for song in &waiting {
        let failed = until(&place, song, "failed", |song| song["status"] == "FAILED").await;
        let reason = failed["failure_reason"].as_str().unwrap();
        assert!(reason.contains("no worker for the model scnet"), "{reason}");
    }
    // Another model still splits them, and the first result is there.
    split(&place, &waiting[0], "fast").await;
    until_split(&place, &waiting[0], "fast").await;
}

/// Uploads songs until one has this model.
async fn split_with(place: &mut Place, model: &str) -> Value {
    loop {
        let song = place.upload().await.unwrap();
        if place.model_of(place.number()) == Some(model) {
            return song;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn song_is_split_by_three_models_of_two_workers() {
    three_models_of_two_workers(QueueKind::Broker).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn song_is_split_by_three_models_of_two_workers_without_a_broker() {
    three_models_of_two_workers(QueueKind::Database).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn removed_model_fails_its_songs_and_blocks_no_others() {
    removed_model(QueueKind::Broker).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn removed_model_fails_its_songs_without_a_broker() {
    removed_model(QueueKind::Database).await;
}

/// Each worker dies while it loads the model, as when it lacks memory.
async fn model_that_kills_workers(queue_kind: QueueKind) {
    let mut place = Place::with_models(queue_kind, THREE).await;
    let _server = place.start("server", "never", 1);
    place.up().await;
    // The job returns, and another worker splits the song.
    let song = split_with(&mut place, "best").await;
    let dying = place.start("worker", "while loading best", 1);
    place.wait_until_dead(dying).await;
    let good = place.start("worker", "never", 1);
    until_split(&place, &song, "best").await;
    assert_eq!(place.settle("a worker killed while it loads a model").await, 0);
    drop(good);

    let song = split_with(&mut place, "best").await;
    for _ in 0..3 {
        let dying = place.start("worker", "while loading best", 1);
        place.wait_until_dead(dying).await;
    }
    // The attempts are used up: the next worker does not try it.
    let mut surviving = place.start("worker", "while loading best", 1);
    let failed = until(&place, &song, "failed", |song| song["status"] == "FAILED").await;
    let reason = failed["failure_reason"].as_str().unwrap();
    assert!(reason.contains("tried 3 times; each time its worker died"), "{reason}");
    assert!(!surviving.died(), "the model killed a fourth worker");
    // The worker is as good as new for other models.
    let other = split_with(&mut place, "fast").await;
    until_split(&place, &other, "fast").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn model_that_kills_workers_fails_its_song() {
    model_that_kills_workers(QueueKind::Broker).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn model_that_kills_workers_fails_its_song_without_a_broker() {
    model_that_kills_workers(QueueKind::Database).await;
}
