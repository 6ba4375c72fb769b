//! Endpoints behind the web page: limits, details, peaks, mixes, and the stream of the song list.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use reqwest::{Method, Response};
use serde_json::Value;
use tokio::time::timeout;
use vocalizer_core::service::MOST_WATCHED;
use vocalizer_model::audio::{AudioLimits, AudioReader, Frame};

use super::support::{Browser, Service, WORKER_TOKEN, archive, id, song, stems};

/// The event stream of the song list: response, buffered text, start time.
pub(super) struct Watch(Response, String, Instant);

/// Timeout for events, even on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(60);

impl Watch {
    pub(super) async fn open(browser: &Browser) -> Self {
        let response = browser.request(Method::GET, "/songs/events").send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut watch = Self(response, String::new(), Instant::now());
        // Once the first line has arrived, the client is subscribed and misses nothing.
        assert_eq!(watch.read_until("\n\n").await, "retry: 2000\n\n");
        watch
    }

    async fn read_until(&mut self, what: &str) -> String {
        // Keep-alive comments keep the timeout below from firing.
        assert!(self.2.elapsed() < TIMEOUT, "the event does not arrive");
        loop {
            if let Some(end) = self.1.find(what) {
                let rest = self.1.split_off(end + what.len());
                return std::mem::replace(&mut self.1, rest);
            }
            let chunk = timeout(TIMEOUT, self.0.chunk()).await.expect("no data arrives").unwrap();
            self.1.push_str(std::str::from_utf8(&chunk.expect("the stream ends")).unwrap());
        }
    }

    /// The next event: name and data.
    pub(super) async fn next(&mut self) -> (String, Value) {
        loop {
            let block = self.read_until("\n\n").await;
            let line = |name: &str| block.lines().find_map(|line| line.strip_prefix(name).map(str::to_owned));
            if let (Some(event), Some(data)) = (line("event: "), line("data: ")) {
                return (event, serde_json::from_str(&data).unwrap());
            }
        }
    }

    /// Reads events until one for a song that matches.
    async fn until(&mut self, is: impl Fn(&Value) -> bool) -> Value {
        loop {
            let (event, song) = self.next().await;
            if event == "song" && is(&song) {
                return song;
            }
        }
    }
}

#[tokio::test]
async fn list_stream_reports_upload_split_rename_and_delete() {
    let service = Service::start().await;
    service.separator.takes_ms.store(1500, Ordering::SeqCst);
    let (one, other) = (Browser::new(&service), Browser::new(&service));
    let mut watch = Watch::open(&one).await;
    let uploaded = other.upload("x", &song(1)).await;
    let event = watch.until(|song| song["id"] == uploaded["id"]).await;
    assert!(event["uploaded_at"].as_str().unwrap().ends_with('Z'), "{event}");
    watch.until(|song| song["progress"].as_u64().is_some_and(|percent| percent > 0)).await;
    watch.until(|song| song["status"] == "SPLIT").await;
    let path = format!("/songs/{}", id(&uploaded));
    Browser::send(other.request(Method::PATCH, &path).form(&[("title", "y")])).await.data();
    watch.until(|song| song["title"] == "y").await;
    other.delete(&path).await.data();
    loop {
        let (event, data) = watch.next().await;
        if event == "deleted" {
            assert_eq!(data["id"], uploaded["id"]);
            break;
        }
    }
}

#[tokio::test]
async fn list_stream_includes_older_songs_being_split() {
    let service = Service::idle().await;
    let client = Browser::new(&service);
    let old = client.upload("old", &song(0)).await;
    for number in 1..=MOST_WATCHED {
        client.upload("new", &song(number)).await;
    }
    let begin = format!("/songs/{}/begin", old["hash"].as_str().unwrap());
    Browser::send(client.request(Method::POST, &begin).bearer_auth(WORKER_TOKEN)).await.data();
    let mut watch = Watch::open(&client).await;
    client.result(&old, archive()).await.data();
    watch.until(|song| song["id"] == old["id"] && song["status"] == "SPLIT").await;
}

#[tokio::test]
async fn list_stream_excludes_other_users_songs() {
    let service = Service::idle().await;
    let (owner, stranger) = (Browser::registered(&service, "ada").await, Browser::new(&service));
    let (mut owners, mut strangers) = (Watch::open(&owner).await, Watch::open(&stranger).await);
    let private = owner.upload("mine", &song(1)).await;
    owners.until(|song| song["id"] == private["id"]).await;
    owner.result(&private, archive()).await.data();
    owner.delete(&format!("/songs/{}", id(&private))).await.data();
    let open = stranger.upload("open", &song(2)).await;
    let (event, first) = strangers.next().await;
    assert_eq!((event.as_str(), &first["id"]), ("song", &open["id"]), "the first event is for the stranger's own song");
}

#[tokio::test]
async fn stream_ends_with_its_session() {
    let service = Service::idle().await;
    let owner = Browser::registered(&service, "ada").await;
    let mut whole = Watch::open(&owner).await;
    let waiting = owner.upload("mine", &song(1)).await;
    whole.until(|song| song["id"] == waiting["id"]).await;
    let path = format!("/songs/{}/events", id(&waiting));
    let mut single = Watch(owner.request(Method::GET, &path).send().await.unwrap(), String::new(), Instant::now());
    single.until(|song| song["id"] == waiting["id"]).await;
    let elsewhere = Browser::new(&service);
    elsewhere.login("ada", "correct horse").await.data();
    owner.post("/auth/logout", &[]).await.data();
    let renamed = [("title", "a secret")];
    Browser::send(elsewhere.request(Method::PATCH, &format!("/songs/{}", id(&waiting))).form(&renamed)).await.data();
    for Watch(mut response, mut rest, _) in [whole, single] {
        let ended = async {
            while let Some(chunk) = response.chunk().await.unwrap() {
                rest.push_str(std::str::from_utf8(&chunk).unwrap());
                assert!(!rest.contains("a secret"), "{rest}");
            }
        };
        timeout(TIMEOUT, ended).await.expect("the stream does not end");
    }
}

#[tokio::test]
async fn list_details_are_opt_in() {
    let service = Service::idle().await;
    let client = Browser::new(&service);
    client.upload("x", &song(1)).await;
    let plain = client.get("/songs/").await.data();
    assert_eq!(plain["songs"][0].get("uploaded_at"), None, "original clients do not expect it");
    let detailed = client.get("/songs/?details&limit=10").await.data();
    assert!(detailed["songs"][0]["uploaded_at"].is_string(), "{detailed}");
}

#[tokio::test]
async fn limits_endpoint_reports_upload_limits() {
    let service = Service::idle().await;
    let limits = Browser::new(&service).get("/limits").await.data()["limits"].clone();
    assert_eq!(limits["max_upload_bytes"], 1024 * 1024);
    assert_eq!((&limits["max_title_chars"], &limits["max_duration_s"]), (&Value::from(200), &Value::from(6 * 3600)));
}

/// Decodes a download.
fn decoded(bytes: &[u8]) -> Vec<Frame> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let mut reader = AudioReader::open(file.path(), &AudioLimits::default()).unwrap();
    let mut frames = Vec::new();
    while reader.read(&mut frames).unwrap() {}
    frames
}

#[tokio::test]
async fn peaks_match_part_and_are_cached() {
    let service = Service::start().await;
    let client = Browser::new(&service);
    let uploaded = client.upload("x", &song(1)).await;
    client.until(&uploaded, "SPLIT").await;
    let before = service.stored(5).await.len();
    let path = |part: &str| format!("/songs/{}/peaks/{part}", id(&uploaded));
    let peaks = client.get(&path("drums")).await.data()["peaks"].clone();
    let frames = decoded(&stems().drums);
    assert_eq!((&peaks["rate_hz"], &peaks["frames"]), (&Value::from(44_100), &Value::from(frames.len())));
    let each = usize::try_from(peaks["frames_per_value"].as_u64().unwrap()).unwrap();
    let expected: Vec<_> = frames
        .chunks(each)
        .map(|stretch| stretch.iter().flatten().fold(0.0_f32, |most, sample| most.max(sample.abs())))
        .map(|loudest| f64::from(loudest * 255.0).round())
        .collect();
    let values: Vec<_> = peaks["values"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect();
    assert_eq!(values, expected);
    service.stored(before + 1).await;
    assert_eq!(client.get(&path("drums")).await.data()["peaks"], peaks);
    assert_eq!(client.get(&path("song")).await.data()["peaks"]["frames"], 2205);
    assert_eq!(client.get(&path("accompaniment")).await.data()["peaks"]["frames"], 4410);
    service.stored(before + 3).await;
    // An unreadable file is made again.
    let kept = service.stored_files().into_iter().find(|file| file.ends_with("made/drums.peaks")).unwrap();
    std::fs::write(kept, b"torn").unwrap();
    assert_eq!(client.get(&path("drums")).await.data()["peaks"], peaks);
    client.get(&path("guitar")).await.refused(404, "not_found");
    client.delete(&format!("/songs/{}", id(&uploaded))).await.data();
    service.stored(0).await;
    client.get(&path("drums")).await.refused(404, "not_found");
}

#[tokio::test]
async fn peaks_of_a_range_have_more_detail_and_are_revalidated() {
    let service = Service::start().await;
    let client = Browser::new(&service);
    let uploaded = client.upload("x", &song(1)).await;
    client.until(&uploaded, "SPLIT").await;
    let path = format!("/songs/{}/peaks/drums", id(&uploaded));
    let whole = client.get(&path).await.data()["peaks"].clone();
    let values = |peaks: &Value| peaks["values"].as_array().unwrap().clone();
    let coarse = client.get(&format!("{path}?points=4")).await.data()["peaks"].clone();
    assert!(values(&coarse).len() <= 4 && values(&whole).len() > 4, "{coarse}");
    assert_eq!(coarse["frames"], whole["frames"]);
    // From 50 ms on: 2205 frames.
    let range = client.get(&format!("{path}?from_ms=50&to_ms=80")).await.data()["peaks"].clone();
    let (each, first) = (range["frames_per_value"].as_u64().unwrap(), range["first_frame"].as_u64().unwrap());
    assert!(first <= 2_205 && 2_205 < first + each, "{range}");
    let skipped = usize::try_from(first / each).unwrap();
    assert_eq!(values(&range), values(&whole)[skipped..skipped + values(&range).len()]);
    let beyond = client.get(&format!("{path}?from_ms=5000000")).await.data()["peaks"].clone();
    assert_eq!((values(&beyond).len(), &beyond["frames"]), (0, &whole["frames"]));

    for (query, field, message) in [
        ("points=0", "points", "points must be a whole number from 1 to 2048"),
        ("points=2049", "points", "points must be a whole number from 1 to 2048"),
        ("from_ms=x", "from_ms", "from_ms must be a whole number from 0 to 4294967295"),
        ("from_ms=9&to_ms=9", "to_ms", "to_ms must be greater than from_ms"),
    ] {
        let said = client.get(&format!("{path}?{query}")).await.refused_field(422, "invalid", field);
        assert_eq!(said, message);
    }

    // The client asks whether the values have changed.
    let first = client.get(&format!("{path}?points=4")).await;
    assert_eq!(first.header("cache-control"), "private, no-cache");
    let again = client.request(Method::GET, &format!("{path}?points=4"));
    let again = Browser::send(again.header("if-none-match", first.header("etag"))).await;
    assert_eq!((again.status, again.bytes.len()), (304, 0));
    let other = client.request(Method::GET, &path).header("if-none-match", first.header("etag"));
    assert_eq!(Browser::send(other).await.status, 200);

    // Peaks as earlier versions stored them are made again.
    let kept = service.stored_files().into_iter().find(|file| file.ends_with("made/drums.peaks")).unwrap();
    let (rate_hz, frames) = (44_100_u32.to_le_bytes(), 4_096_u64.to_le_bytes());
    std::fs::write(kept, [&rate_hz[..], &frames, &2_048_u64.to_le_bytes(), &[9, 9]].concat()).unwrap();
    assert_eq!(client.get(&path).await.data()["peaks"], whole);
}

#[tokio::test]
async fn peaks_and_mixes_need_access_and_finished_split() {
    let service = Service::idle().await;
    let (owner, stranger) = (Browser::registered(&service, "ada").await, Browser::new(&service));
    let waiting = owner.upload("x", &song(1)).await;
    for path in ["peaks/drums", "mix.mp3"].map(|what| format!("/songs/{}/{what}", id(&waiting))) {
        stranger.get(&path).await.refused(404, "not_found");
        let early = owner.get(&path).await;
        early.refused(409, "not_ready");
        assert!(!early.header("retry-after").is_empty());
    }
    let of_the_song = format!("/songs/{}/peaks/song", id(&waiting));
    assert_eq!(owner.get(&of_the_song).await.data()["peaks"]["frames"], 2205, "the source is available");
}

#[tokio::test]
async fn mix_applies_requested_volumes() {
    let service = Service::start().await;
    let client = Browser::new(&service);
    let uploaded = client.upload("Für Elise", &song(1)).await;
    client.until(&uploaded, "SPLIT").await;
    let before = service.stored(5).await.len();
    let mix = async |query: &str| client.get(&format!("/songs/{}/mix.wav?{query}", id(&uploaded))).await;
    let answer = mix("drums=0.5&bass=0&other=0&vocals=1.25").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "audio/wav"));
    assert!(answer.header("content-disposition").contains("F_r Elise (mix).wav"), "{answer:?}");
    let (drums, vocals, mixed) = (decoded(&stems().drums), decoded(&stems().vocals), decoded(&answer.bytes));
    assert_eq!(mixed.len(), drums.len());
    let differences = mixed
        .iter()
        .zip(drums.iter().zip(&vocals))
        .map(|(mixed, (drums, vocals))| (mixed[0] - (0.5 * drums[0] + 1.25 * vocals[0]).clamp(-1.0, 1.0)).abs());
    let most = differences.fold(0.0_f32, f32::max);
    assert!(most < 1.0 / 32_000.0, "{most}");
    // Without parameters, every stem has its original volume.
    assert_eq!(mix("").await.bytes, mix("drums=1&bass=1&other=1&vocals=1").await.bytes);
    for bad in ["drums=-0.1", "drums=2.1", "drums=NaN", "drums=inf", "drums=x", "drums="] {
        mix(bad).await.refused_field(422, "invalid", "drums");
    }
    mix("drums=0&bass=0&other=0&vocals=0").await.refused(422, "invalid");
    // Mixes are not cached.
    service.stored(before).await;
}
