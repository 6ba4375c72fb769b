//! Models per song: choosing, splitting again, workers with different models, and songs of earlier versions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use vocalizer_client::worker::RemoteSettings;
use vocalizer_core::api::Provenance;
use vocalizer_core::limits::Limits;
use vocalizer_core::models::{Capabilities, ModelInfo, ModelName};
use vocalizer_core::part::Stem;
use vocalizer_core::ports::{AudioError, Blob, BlobError, Progress, Separator, StemSet};
use vocalizer_store::archive::TarResults;

use super::results::four;
use super::server::sql;
use super::support::{Browser, Service, Settings, WORKER_TOKEN, fast_worker, id, mp3, song};

const MODELS: &str = "htdemucs,htdemucs_6s,mine:vocals+instrumental";

fn settings() -> Settings {
    Settings { models: MODELS.parse().unwrap(), workers: 0, ..Settings::default() }
}

/// Pretends to have models, and counts songs.
#[derive(Default)]
struct FakeModels {
    begun: AtomicU32,
}

#[async_trait]
impl Separator for FakeModels {
    async fn separate(&self, song: Blob, progress: Arc<dyn Progress>) -> Result<Box<dyn StemSet>, AudioError> {
        self.separate_with(None, song, progress).await
    }

    async fn separate_with(
        &self,
        model: Option<ModelName>,
        mut song: Blob,
        progress: Arc<dyn Progress>,
    ) -> Result<Box<dyn StemSet>, AudioError> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        // Reading to the end checks the hash of the song.
        while song.next_chunk().await.map_err(|e| AudioError::Failed(e.into()))?.is_some() {}
        progress.report(100);
        let model = model.unwrap_or_else(|| "htdemucs".parse().unwrap());
        let info: ModelInfo = MODELS.split(',').find(|one| one.starts_with(model.as_str())).unwrap().parse().unwrap();
        let mut provenance = Provenance::new(model.as_str());
        provenance.measure(Duration::from_secs(60), Duration::from_secs(15));
        Ok(Box::new(FakeStems { names: info.stems, provenance }))
    }
}

struct FakeStems {
    names: Vec<Stem>,
    provenance: Provenance,
}

#[async_trait]
impl StemSet for FakeStems {
    fn stems(&self) -> Vec<Stem> {
        self.names.clone()
    }
    async fn open(&self, _: Stem) -> Result<Blob, BlobError> {
        Ok(mp3(self.names.len().try_into().unwrap()).into())
    }
    fn provenance(&self) -> Option<&Provenance> {
        Some(&self.provenance)
    }
}

/// A worker over HTTP that has these models. Dropping it stops it.
struct ModelWorker {
    models: Arc<FakeModels>,
    stop: CancellationToken,
}

impl ModelWorker {
    fn start(service: &Service, names: &[&str]) -> Self {
        let (models, stop) = (Arc::<FakeModels>::default(), CancellationToken::new());
        let remote = RemoteSettings::new(format!("http://{}", service.address), WORKER_TOKEN);
        let names = names.iter().map(|name| name.parse().unwrap()).collect();
        let worker = remote.worker(Arc::new(TarResults::new(Limits::default())), Arc::clone(&models) as _).unwrap();
        let worker = worker.with_capabilities(Capabilities::of(names)).with_settings(fast_worker()).build();
        let stopped = stop.clone();
        tokio::spawn(async move { worker.run(stopped.cancelled_owned()).await });
        Self { models, stop }
    }

    fn songs(&self) -> u32 {
        self.models.begun.load(Ordering::SeqCst)
    }
}

impl Drop for ModelWorker {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn details(browser: &Browser, song: &Value) -> Value {
    browser.get(&format!("/songs/{}?details", id(song))).await.data()["song"].clone()
}

async fn split(browser: &Browser, song: &Value, model: &str) -> Value {
    browser.post(&format!("/songs/{}/split", id(song)), &[("model", model)]).await.data()["song"].clone()
}

#[tokio::test]
async fn one_song_is_split_by_three_models_of_two_workers_and_switching_back_starts_no_job() {
    let service = Service::with(settings()).await;
    let browser = Browser::new(&service);
    let four_stems = ModelWorker::start(&service, &["htdemucs"]);
    let uploaded = browser.upload("x", &song(1)).await;
    browser.until(&uploaded, "SPLIT").await;
    let at = format!("/songs/{}", id(&uploaded));
    let split_by_default = details(&browser, &uploaded).await;
    assert_eq!(split_by_default["model"], "htdemucs");
    let four_parts = json!(["song", "drums", "bass", "other", "vocals", "accompaniment"]);
    assert_eq!(split_by_default["parts"], four_parts);

    // No worker has the model yet: the song waits, says so, and keeps its stems.
    assert_eq!(split(&browser, &uploaded, "htdemucs_6s").await["status"], "UPLOADED");
    let waiting = details(&browser, &uploaded).await;
    assert_eq!((&waiting["model"], &waiting["parts"]), (&json!("htdemucs_6s"), &four_parts));
    assert!(waiting["waiting_for"].as_str().unwrap().contains("no worker for htdemucs_6s"), "{waiting}");
    assert_eq!(browser.get(&format!("{at}/bass.mp3")).await.bytes, mp3(4));
    browser.get(&format!("{at}/piano.mp3")).await.refused(409, "not_ready");
    browser.get(&format!("{at}/kick.mp3")).await.refused(404, "not_found");

    let others = ModelWorker::start(&service, &["htdemucs_6s", "mine"]);
    browser.until(&uploaded, "SPLIT").await;
    let six = details(&browser, &uploaded).await;
    assert_eq!(six["parts"], json!(["song", "drums", "bass", "other", "vocals", "guitar", "piano", "accompaniment"]));
    assert_eq!((&six["provenance"]["model"], &six["waiting_for"]), (&json!("htdemucs_6s"), &Value::Null));
    assert_eq!(browser.get(&format!("{at}/piano.mp3")).await.bytes, mp3(6));
    let zip = browser.get(&format!("{at}/stems.zip")).await.bytes;
    let mut names: Vec<_> = zip::ZipArchive::new(std::io::Cursor::new(zip))
        .unwrap()
        .file_names()
        .map(|name| name.unwrap().into_owned())
        .collect();
    names.sort_unstable();
    let named = ["bass", "drums", "guitar", "other", "piano", "vocals"].map(|stem| format!("x ({stem}).mp3"));
    assert_eq!(names, named);
    for file in ["mix.wav?levels=piano:0.5&vocals=0", "accompaniment.flac", "peaks/guitar"] {
        assert_eq!(browser.get(&format!("{at}/{file}")).await.status, 200, "{file}");
    }

    split(&browser, &uploaded, "mine").await;
    browser.until(&uploaded, "SPLIT").await;
    let two = details(&browser, &uploaded).await;
    assert_eq!(two["parts"], json!(["song", "vocals", "instrumental", "accompaniment"]));
    assert_eq!(browser.get(&format!("{at}/instrumental.mp3")).await.bytes, mp3(2));
    browser.get(&format!("{at}/drums.mp3")).await.refused(404, "not_found");
    assert_eq!(browser.get(&format!("{at}/mix.wav?vocals=0&drums=1")).await.status, 200);
    let lacking = browser.get(&format!("{at}/mix.wav?drums=0")).await.refused_field(422, "invalid", "mix");
    assert!(lacking.contains("it has vocals, instrumental"), "{lacking}");
    assert_eq!((four_stems.songs(), others.songs()), (1, 2));

    let mut took = Vec::new();
    for (model, stem, count) in [("htdemucs", "bass", 4), ("htdemucs_6s", "piano", 6), ("mine", "instrumental", 2)] {
        let began = Instant::now();
        assert_eq!(split(&browser, &uploaded, model).await["status"], "SPLIT", "{model}");
        took.push(began.elapsed());
        assert_eq!(browser.get(&format!("{at}/{stem}.mp3")).await.bytes, mp3(count), "{model}");
    }
    println!("switching back took {took:?}");
    assert_eq!((four_stems.songs(), others.songs()), (1, 2), "no job");
    assert_eq!(service.songs.queue().depth().await.unwrap().waiting, 0);

    // Another song with the same bytes shares the results.
    let form = reqwest::multipart::Form::new().text("title", "y").text("model", "mine").text("stems", "vocals");
    let form = form.part("file", reqwest::multipart::Part::bytes(song(1)));
    let same = Browser::send(browser.request(reqwest::Method::POST, "/songs/upload").multipart(form)).await;
    let same = same.data()["song"].clone();
    assert_eq!(same["status"], "SPLIT");
    assert_eq!(details(&browser, &same).await["parts"], json!(["song", "vocals", "accompaniment"]));

    let models = browser.get("/models").await.data()["models"].clone();
    let named: Vec<_> = models.as_array().unwrap().iter().map(|model| &model["name"]).collect();
    assert_eq!(named, ["htdemucs", "htdemucs_6s", "mine"]);
    assert_eq!((&models[0]["is_default"], &models[0]["licence"]), (&json!(true), &json!("research only")));
    for model in models.as_array().unwrap() {
        assert_eq!((&model["has_worker"], &model["seconds_per_minute"]), (&json!(true), &json!(15.0)), "{model}");
    }

    browser.delete(&at).await.data();
    assert!(service.stored_files().len() > 1, "the other song has the same bytes");
    browser.delete(&format!("/songs/{}", id(&same))).await.data();
    service.stored(0).await;
}

#[tokio::test]
async fn unknown_models_and_stems_are_refused_with_those_that_exist() {
    let service = Service::with(settings()).await;
    let browser = Browser::new(&service);
    let uploaded = browser.upload("x", &song(1)).await;
    let path = format!("/songs/{}/split", id(&uploaded));
    let unknown = browser.post(&path, &[("model", "best")]).await.refused_field(422, "invalid", "model");
    assert!(unknown.contains("htdemucs, htdemucs_6s, mine"), "{unknown}");
    let lacking = [("model", "mine"), ("stems", "vocals,piano")];
    let lacking = browser.post(&path, &lacking).await.refused_field(422, "invalid", "stems");
    assert!(lacking.contains("mine has no such stem; it has vocals, instrumental"), "{lacking}");
    for (field, text) in [("model", "best"), ("stems", "piano")] {
        let form = reqwest::multipart::Form::new().text("title", "y").text(field, text);
        let form = form.part("file", reqwest::multipart::Part::bytes(song(2)));
        let refused = Browser::send(browser.request(reqwest::Method::POST, "/songs/upload").multipart(form)).await;
        refused.refused_field(422, "invalid", field);
    }
    service.stored(1).await;
    let other = Browser::registered(&service, "ada").await;
    let private = other.upload("z", &song(3)).await;
    browser.post(&format!("/songs/{}/split", id(&private)), &[("model", "mine")]).await.refused(404, "not_found");
}

#[tokio::test]
async fn song_fails_when_no_worker_has_its_model_and_keeps_its_stems() {
    let service = Service::with(Settings { model_timeout: Duration::ZERO, ..settings() }).await;
    let browser = Browser::new(&service);
    let uploaded = browser.upload("x", &song(1)).await;
    browser.result(&uploaded, super::results::finished(&four())).await.data();
    split(&browser, &uploaded, "mine").await;
    // The first sweep notices that there is no worker.
    while service.songs.sweep().await.unwrap().without_worker == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let failed = details(&browser, &uploaded).await;
    assert_eq!(failed["status"], "FAILED");
    assert!(failed["failure_reason"].as_str().unwrap().contains("no worker for the model mine"), "{failed}");
    let at = format!("/songs/{}", id(&uploaded));
    assert_eq!(browser.get(&format!("{at}/bass.mp3")).await.status, 200);
    assert_eq!(split(&browser, &uploaded, "htdemucs").await["status"], "SPLIT");
}

#[tokio::test]
async fn removed_model_is_still_split_with_and_a_new_default_takes_no_other_results() {
    let service = Service::with(settings()).await;
    let browser = Browser::new(&service);
    let (first, waiting) = (browser.upload("x", &song(1)).await, browser.upload("y", &song(2)).await);
    browser.result(&first, super::results::finished(&four())).await.data();
    split(&browser, &waiting, "mine").await;
    let dir = service.stop().await;

    let models = "htdemucs_6s,htdemucs".parse().unwrap();
    let service = Service::over(dir, Settings { models, ..settings() }).await;
    let (browser, worker) = (Browser::new(&service), ModelWorker::start(&service, &["mine", "htdemucs_6s"]));
    browser.until(&waiting, "SPLIT").await;
    assert_eq!(details(&browser, &waiting).await["parts"], json!(["song", "vocals", "instrumental", "accompaniment"]));
    // The results under the hash itself belong to the former default.
    assert_eq!(details(&browser, &first).await["model"], "htdemucs");
    assert_eq!(split(&browser, &first, "").await["status"], "UPLOADED");
    browser.until(&first, "SPLIT").await;
    assert_eq!(details(&browser, &first).await["model"], "htdemucs_6s");
    assert_eq!(split(&browser, &first, "htdemucs").await["status"], "SPLIT");
    assert_eq!(worker.songs(), 2);
}

#[tokio::test]
async fn database_of_an_earlier_version_migrates_with_songs_intact() {
    let service = Service::with(settings()).await;
    let browser = Browser::new(&service);
    let (done, waiting) = (browser.upload("x", &song(1)).await, browser.upload("y", &song(2)).await);
    browser.result(&done, super::results::finished(&four())).await.data();
    let database = service.database();
    let dir = service.stop().await;
    // Undo the migrations of this version.
    for step in [
        "DROP TABLE results",
        "DROP INDEX songs_of_result",
        "DROP INDEX songs_in_status",
        "CREATE INDEX songs_in_status ON songs (status, hash)",
        "DELETE FROM store_migrations WHERE version = 8",
        "DELETE FROM queue_migrations WHERE version = 5",
        "ALTER TABLE queue_jobs DROP COLUMN model",
        "ALTER TABLE queue_jobs DROP COLUMN source",
    ] {
        sql(&database, step);
    }
    for column in ["model", "result_key", "wanted_stems", "shown_key", "shown_model", "stem_names"] {
        sql(&database, &format!("ALTER TABLE songs DROP COLUMN {column}"));
    }

    let service = Service::over(dir, settings()).await;
    let (browser, worker) = (Browser::new(&service), ModelWorker::start(&service, &["htdemucs", "mine"]));
    let at = format!("/songs/{}", id(&done));
    assert_eq!(browser.get(&at).await.data()["song"]["status"], "SPLIT");
    assert_eq!(browser.get(&format!("{at}/vocals.mp3")).await.status, 200);
    assert_eq!(details(&browser, &done).await["model"], "htdemucs");
    let again = browser.upload("z", &song(1)).await;
    assert_eq!(again["status"], "SPLIT", "a new song shares the old stems");
    split(&browser, &done, "mine").await;
    browser.until(&done, "SPLIT").await;
    assert_eq!(split(&browser, &done, "htdemucs").await["status"], "SPLIT");
    assert_eq!(browser.get(&format!("{at}/vocals.mp3")).await.status, 200);
    // Its job names no model; the worker's default splits it.
    browser.until(&waiting, "SPLIT").await;
    assert_eq!(worker.songs(), 2);
}
