//! Previews: small MP3s of parts, for slow connections.

use reqwest::Method;
use reqwest::header::{IF_NONE_MATCH, RANGE};
use vocalizer_model::audio::{AudioLimits, AudioReader};

use super::blocking::large_song;
use super::support::{Browser, Service, archive, id, song};

/// Returns the sample rate and the number of frames of a file.
fn rate_and_frames(bytes: &[u8]) -> (u32, usize) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let mut reader = AudioReader::open(file.path(), &AudioLimits::default()).unwrap();
    let mut frames = Vec::new();
    while reader.read(&mut frames).unwrap() {}
    (reader.info().rate_hz, frames.len())
}

#[tokio::test]
async fn preview_has_a_fifth_of_the_bytes_and_the_same_length() {
    let service = Service::idle().await;
    let (large, browser) = (large_song(&service).await, Browser::new(&service));
    let path = |name: &str| format!("/songs/{}/{name}", id(&large));
    for part in ["vocals", "accompaniment", "song"] {
        let name = path(&format!("{part}.mp3?quality=preview"));
        let head = Browser::send(browser.request(Method::HEAD, &name)).await;
        assert_eq!((head.status, head.header("content-length")), (200, ""), "HEAD makes nothing");
        let preview = browser.get(&name).await;
        assert_eq!((preview.status, preview.header("content-type")), (200, "audio/mpeg"), "{part}");
        let wav = browser.get(&path(&format!("{part}.wav"))).await;
        assert_eq!(rate_and_frames(&preview.bytes), rate_and_frames(&wav.bytes), "{part}");
        // 64 kbit/s, and the frame with the length.
        let (rate_hz, frames) = rate_and_frames(&wav.bytes);
        let expected = frames * 8_000 / usize::try_from(rate_hz).unwrap();
        assert!(preview.bytes.len().abs_diff(expected) < 2_000, "{part}: {} bytes", preview.bytes.len());

        // Kept, with ranges and a tag.
        let again = Browser::send(browser.request(Method::GET, &name).header(RANGE, "bytes=100-199")).await;
        assert_eq!((again.status, &again.bytes[..]), (206, &preview.bytes[100..200]), "{part}");
        let tag = preview.header("etag");
        let known = Browser::send(browser.request(Method::GET, &name).header(IF_NONE_MATCH, tag)).await;
        assert_eq!(known.status, 304, "{part}");
        assert_ne!(browser.get(&path(&format!("{part}.mp3"))).await.header("etag"), tag, "{part}");
    }
    let cached = service.cached();
    assert!(cached.contains(&"vocals.preview".to_owned()), "{cached:?}");
    browser.delete(&format!("/songs/{}", id(&large))).await.data();
    service.stored(0).await;
}

#[tokio::test]
async fn previews_are_mp3_and_follow_the_rules_of_parts() {
    let service = Service::idle().await;
    let (ada, stranger) = (Browser::registered(&service, "ada").await, Browser::new(&service));
    let uploaded = ada.upload("x", &song(1)).await;
    let path = |name: &str| format!("/songs/{}/{name}", id(&uploaded));
    ada.get(&path("vocals.mp3?quality=preview")).await.refused(409, "not_ready");
    ada.result(&uploaded, archive()).await.data();
    let said = ada.get(&path("vocals.flac?quality=preview")).await.refused_field(422, "invalid", "quality");
    assert_eq!(said, "previews are MP3 files: request .mp3");
    ada.get(&path("vocals.mp3?quality=best")).await.refused_field(422, "invalid", "quality");
    ada.get(&path("guitar.mp3?quality=preview")).await.refused(404, "not_found");
    stranger.get(&path("vocals.mp3?quality=preview")).await.refused(404, "not_found");
    assert_eq!(ada.get(&path("vocals.mp3?quality=preview")).await.status, 200);
}
