//! Lossless stems and what made them: from the result archive to the downloads.

use std::io::Read as _;

use serde_json::{Value, json};
use vocalizer_model::audio::{AudioFormat, AudioLimits, AudioReader, Frame, StemWriter};

use super::results::{file, finished, four, refused, waiting};
use super::server::sql;
use super::support::{Browser, Service, Settings, id, mp3, song, tone};

const STEMS: [&str; 4] = ["bass", "drums", "other", "vocals"];

/// Four entries with these files.
fn entries(extension: &str, bytes: impl Fn(usize) -> Vec<u8>) -> Vec<Vec<u8>> {
    STEMS.iter().enumerate().map(|(at, stem)| file(&format!("{stem}.{extension}"), &bytes(at))).collect()
}

fn flac(at: usize) -> Vec<u8> {
    tone(AudioFormat::Flac, u32::try_from(at).unwrap()).into()
}

/// FLAC of this length and sample rate.
fn flac_of(frames: usize, rate_hz: u32) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("stem");
    let mut writer = StemWriter::create(&path, AudioFormat::Flac, rate_hz).unwrap();
    writer.write(&vec![[0.25; 2]; frames]).unwrap();
    writer.finish().unwrap();
    std::fs::read(path).unwrap()
}

fn provenance() -> Value {
    json!({
        "model": "htdemucs", "weights": "0123456789abcdef".repeat(4), "device": "cuda:0", "precision": "f16",
        "program": "vocalizer 9.9.9", "took_ms": 12_345, "speed": 19.45,
    })
}

fn decoded(bytes: &[u8]) -> (&'static str, Vec<Frame>) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let mut reader = AudioReader::open(file.path(), &AudioLimits::default()).unwrap();
    let mut frames = Vec::new();
    while reader.read(&mut frames).unwrap() {}
    (reader.info().format, frames)
}

/// Delivers a result, and returns the song as it is with and without details.
async fn delivered(browser: &Browser, song: &Value, entries: &[Vec<u8>]) -> (Value, Value) {
    assert_eq!(browser.result(song, finished(entries)).await.data(), Value::Null);
    let path = format!("/songs/{}", id(song));
    let detailed = browser.get(&format!("{path}?details")).await.data()["song"].clone();
    (detailed, browser.get(&path).await.data()["song"].clone())
}

#[tokio::test]
async fn flac_result_gives_exact_flac_and_wav_and_mp3_on_request() {
    let service = Service::idle().await;
    let (browser, song) = waiting(&service).await;
    let json = file("provenance.json", provenance().to_string().as_bytes());
    let (detailed, plain) = delivered(&browser, &song, &[vec![json], entries("flac", flac)].concat()).await;
    assert_eq!((&detailed["lossless"], &detailed["provenance"]), (&json!(true), &provenance()));
    let fields: Vec<_> = plain.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["hash", "id", "status", "title", "uploader_id"], "clients of the original see no new field");
    service.stored(5).await;

    let at = format!("/songs/{}", id(&song));
    for (number, stem) in STEMS.into_iter().enumerate() {
        let stored = browser.get(&format!("{at}/{stem}.flac")).await;
        assert_eq!((stored.header("content-type"), stored.bytes.as_ref()), ("audio/flac", &flac(number)[..]), "{stem}");
        let wav = browser.get(&format!("{at}/{stem}.wav")).await;
        assert_eq!(decoded(&wav.bytes), ("wav", decoded(&flac(number)).1), "{stem}: the same samples");
    }
    let mp3 = browser.get(&format!("{at}/vocals.mp3")).await;
    assert_eq!((mp3.header("content-type"), decoded(&mp3.bytes).0), ("audio/mpeg", "mp3"));
    assert_eq!(decoded(&mp3.bytes).1.len(), 4410);
    // The page seeks in it.
    let range = browser.request(reqwest::Method::GET, &format!("{at}/vocals.mp3")).header("range", "bytes=100-199");
    let part = Browser::send(range).await;
    assert_eq!((part.status, &part.bytes[..]), (206, &mp3.bytes[100..200]));
    let before = service.cached();
    assert_eq!(browser.get(&format!("{at}/vocals.mp3")).await.header("etag"), mp3.header("etag"));
    assert_eq!(service.cached(), before, "made once");
    for path in ["stems.zip", "stems.tar?format=flac", "accompaniment.wav", "mix.flac?drums=0", "peaks/bass"] {
        assert_eq!(browser.get(&format!("{at}/{path}")).await.status, 200, "{path}");
    }
    browser.delete(&at).await.data();
    service.stored(0).await;
}

#[tokio::test]
async fn stems_of_24_bits_are_downloaded_with_all_of_them() {
    let service = Service::idle().await;
    let (browser, song) = waiting(&service).await;
    let deep = |at: usize| tone(AudioFormat::Flac24, u32::try_from(at).unwrap()).to_vec();
    delivered(&browser, &song, &entries("flac", deep)).await;
    let at = format!("/songs/{}", id(&song));
    let bits = |bytes: &[u8]| {
        let reader = AudioReader::from_reader(std::io::Cursor::new(bytes.to_vec()), &AudioLimits::default()).unwrap();
        reader.info().bits
    };
    for (number, stem) in STEMS.into_iter().enumerate() {
        let wav = browser.get(&format!("{at}/{stem}.wav")).await;
        assert_eq!(bits(&wav.bytes), Some(24), "{stem}");
        assert_eq!(decoded(&wav.bytes).1, decoded(&deep(number)).1, "{stem}: the same samples");
    }
    for path in ["accompaniment.wav", "accompaniment.flac", "mix.wav?drums=0.5", "mix.flac?drums=0.5"] {
        assert_eq!(bits(&browser.get(&format!("{at}/{path}")).await.bytes), Some(24), "{path}");
    }
    let zipped = browser.get(&format!("{at}/stems.zip?format=wav")).await;
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(zipped.bytes)).unwrap();
    for index in 0..zip.len() {
        let mut bytes = Vec::new();
        zip.by_index(index).unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(bits(&bytes), Some(24));
    }
    // What is lossy has no more bits than a player shows.
    let service = Service::idle().await;
    let (browser, song) = waiting(&service).await;
    delivered(&browser, &song, &four()).await;
    let wav = browser.get(&format!("/songs/{}/vocals.wav", id(&song))).await;
    assert_eq!(bits(&wav.bytes), Some(16));
}

#[tokio::test]
async fn result_with_both_formats_is_stored_as_delivered() {
    let service = Service::idle().await;
    let (browser, song) = waiting(&service).await;
    let (detailed, _) = delivered(&browser, &song, &[entries("flac", flac), four()].concat()).await;
    assert_eq!((&detailed["lossless"], &detailed["provenance"]), (&json!(true), &Value::Null));
    service.stored(9).await;
    let at = format!("/songs/{}", id(&song));
    for (stem, number) in [("drums", 1), ("bass", 0), ("other", 2), ("vocals", 3)] {
        let stored = browser.get(&format!("{at}/{stem}.flac")).await;
        assert_eq!(stored.bytes, flac(number), "{stem}");
    }
    assert_eq!(decoded(&browser.get(&format!("{at}/vocals.mp3")).await.bytes).0, "mp3");
    assert_eq!(service.cached(), Vec::<String>::new(), "nothing had to be made");
}

#[tokio::test]
async fn result_of_original_worker_is_lossy() {
    let service = Service::idle().await;
    let (browser, song) = waiting(&service).await;
    let (detailed, _) = delivered(&browser, &song, &four()).await;
    assert_eq!((&detailed["lossless"], &detailed["provenance"]), (&json!(false), &Value::Null));
    service.stored(5).await;
    let at = format!("/songs/{}", id(&song));
    assert_eq!(browser.get(&format!("{at}/vocals.mp3")).await.bytes, mp3(3));
    assert_eq!(decoded(&browser.get(&format!("{at}/vocals.flac")).await.bytes).0, "flac");
    assert_eq!(service.cached(), ["vocals.flac"]);
}

#[tokio::test]
async fn song_with_known_bytes_takes_over_what_is_known() {
    let service = Service::idle().await;
    let (browser, first) = waiting(&service).await;
    let json = file("provenance.json", provenance().to_string().as_bytes());
    delivered(&browser, &first, &[entries("flac", flac), vec![json]].concat()).await;
    let again = browser.upload("again", &song(1)).await;
    let again = browser.get(&format!("/songs/{}?details", id(&again))).await.data()["song"].clone();
    assert_eq!((&again["status"], &again["lossless"]), (&json!("SPLIT"), &json!(true)));
    assert_eq!(again["provenance"], provenance());
    let listed = browser.get("/songs/?details").await.data()["songs"].clone();
    assert!(listed.as_array().unwrap().iter().all(|song| song["provenance"] == provenance()), "{listed}");
}

#[tokio::test]
async fn songs_of_the_version_before_keep_their_mp3s() {
    let service = Service::idle().await;
    let (browser, old) = waiting(&service).await;
    delivered(&browser, &old, &four()).await;
    let database = service.database();
    let dir = service.stop().await;
    for undo in [
        "ALTER TABLE songs DROP COLUMN stems",
        "ALTER TABLE songs DROP COLUMN provenance",
        "DELETE FROM store_migrations WHERE version = 5",
    ] {
        sql(&database, undo);
    }

    let service = Service::over(dir, Settings { workers: 0, ..Settings::default() }).await;
    let browser = Browser::new(&service);
    let new = browser.upload("new", &song(2)).await;
    delivered(&browser, &new, &entries("flac", flac)).await;
    let songs = browser.get("/songs/?details").await.data()["songs"].clone();
    let lossless = |song: &Value| {
        let found = songs.as_array().unwrap().iter().find(|found| found["id"] == song["id"]).unwrap();
        (found["status"].clone(), found["lossless"].clone())
    };
    assert_eq!(lossless(&old), (json!("SPLIT"), json!(false)));
    assert_eq!(lossless(&new), (json!("SPLIT"), json!(true)));
    assert_eq!(browser.get(&format!("/songs/{}/vocals.mp3", id(&old))).await.bytes, mp3(3));
    assert_eq!(browser.get(&format!("/songs/{}/vocals.flac", id(&new))).await.bytes, flac(3));
}

#[tokio::test]
async fn damaged_or_unequal_flac_is_refused() {
    let service = Service::idle().await;
    let waiting = waiting(&service).await;
    let whole = flac(2);
    let mut flipped = whole.clone();
    // The encoder leaves padding after the header; the samples are at the end.
    let at = flipped.len() - 200;
    flipped[at] ^= 0x10;
    for (what, bytes, says) in [
        ("a flipped bit", flipped, "other.flac is not a complete FLAC file"),
        ("a cut end", whole[..whole.len() - 100].to_vec(), "other.flac is not a complete FLAC file"),
        ("a cut header", whole[..30].to_vec(), "other.flac is not a complete FLAC file"),
        ("a WAV", song(7), "it is wav"),
        ("an MP3", mp3(2).to_vec(), "it is mp3"),
        ("another length", flac_of(8_820, 44_100), "other.flac has another length or sample rate"),
        ("another sample rate", flac_of(4_800, 48_000), "other.flac has another length or sample rate"),
    ] {
        let mut entries = entries("flac", flac);
        entries[2] = file("other.flac", &bytes);
        let message = refused(&service, &waiting, finished(&entries), 422, "invalid", what).await;
        assert!(message.contains(says), "{what}: {message}");
    }
    let mut three = entries("flac", flac);
    three.remove(1);
    for (what, entries, says) in [
        ("three FLAC files", three.clone(), "the result has bass, other, vocals; the model has drums"),
        ("three FLAC files and four MP3s", [three, four()].concat(), "drums is missing"),
        ("four FLAC files and one MP3", [entries("flac", flac), vec![four()[0].clone()]].concat(), "drums is missing"),
        ("a FLAC file twice", [entries("flac", flac), entries("flac", flac)].concat(), "bass occurs twice"),
        ("a WAV", [entries("flac", flac), vec![file("bass.wav", &song(1))]].concat(), "bass.wav"),
    ] {
        let message = refused(&service, &waiting, finished(&entries), 422, "invalid", what).await;
        assert!(message.contains(says), "{what}: {message}");
    }
    delivered(&waiting.0, &waiting.1, &entries("flac", flac)).await;
}

#[tokio::test]
async fn invalid_provenance_is_refused() {
    let service = Service::idle().await;
    let waiting = waiting(&service).await;
    let with = |field: &str, value: Value| {
        let mut json = provenance();
        json[field] = value;
        json.to_string()
    };
    for (what, text, says) in [
        ("nothing", String::new(), "1 to 16384 bytes"),
        ("too many bytes", with("model", json!("x".repeat(20_000))), "1 to 16384 bytes"),
        ("no JSON", "htdemucs".to_owned(), "provenance.json"),
        ("a list", "[]".to_owned(), "provenance.json"),
        ("no model", json!({"device": "cpu"}).to_string(), "model"),
        ("an empty model", with("model", json!(" ")), "model"),
        ("a long model", with("model", json!("x".repeat(201))), "model"),
        ("two lines", with("device", json!("cpu\nX-Evil: 1")), "device"),
        ("a direction override", with("program", json!("\u{202e}exe")), "program"),
        ("a short digest", with("weights", json!("abc")), "weights"),
        ("a digest in capitals", with("weights", json!("A".repeat(64))), "weights"),
        ("a negative time", with("took_ms", json!(-1)), "provenance.json"),
        ("a year", with("took_ms", json!(31_536_000_000_u64)), "took_ms"),
        ("a negative speed", with("speed", json!(-1.0)), "speed"),
        ("an endless speed", with("speed", json!(0)).replace(":0,", ":1e400,"), "provenance.json"),
    ] {
        let json = file("provenance.json", text.as_bytes());
        let tar = finished(&[four(), vec![json]].concat());
        let message = refused(&service, &waiting, tar, 422, "invalid", what).await;
        assert!(message.contains(says), "{what}: {message}");
    }
    // What a newer worker adds is ignored.
    let json = file("provenance.json", with("colour", json!("blue")).as_bytes());
    let (detailed, _) = delivered(&waiting.0, &waiting.1, &[four(), vec![json]].concat()).await;
    assert_eq!((&detailed["lossless"], &detailed["provenance"]), (&json!(false), &provenance()));
}
