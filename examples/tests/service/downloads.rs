//! Downloads: formats, file names, conditional requests and archives.

use std::io::Read as _;

use reqwest::Method;
use serde_json::Value;
use vocalizer_model::audio::{AudioLimits, AudioReader};

use super::support::{Browser, Service, id, mp3, song};

async fn split(title: &str) -> (Service, Browser, Value) {
    let service = Service::start().await;
    let client = Browser::new(&service);
    let uploaded = client.upload(title, &song(1)).await;
    let split = client.until(&uploaded, "SPLIT").await;
    (service, client, split)
}

/// Decodes a download and returns its format and length in frames.
fn decode(bytes: &[u8]) -> (&'static str, u64) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let mut reader = AudioReader::open(file.path(), &AudioLimits::default()).unwrap();
    let mut frames = Vec::new();
    while reader.read(&mut frames).unwrap() {}
    (reader.info().format, frames.len() as u64)
}

#[tokio::test]
async fn etag_depends_only_on_content() {
    // Two installations with the same bytes give the same tags.
    let mut tags = Vec::new();
    for _ in 0..2 {
        let service = Service::start().await;
        let client = Browser::new(&service);
        let split = client.until(&client.upload("x", &song(1)).await, "SPLIT").await;
        let mut part_tags = Vec::new();
        for part in ["song.mp3", "vocals.mp3", "song.flac"] {
            let answer = client.get(&format!("/songs/{}/{part}", id(&split))).await;
            assert_eq!(answer.status, 200, "{part}");
            part_tags.push(answer.header("etag").to_owned());
        }
        let second_client = Browser::new(&service);
        for (part, tag) in ["song.mp3", "vocals.mp3", "song.flac"].iter().zip(&part_tags) {
            let again = second_client.get(&format!("/songs/{}/{part}", id(&split))).await;
            assert_eq!(again.header("etag"), tag, "{part}");
        }
        tags.push(part_tags);
    }
    assert_eq!(tags[0], tags[1]);
    assert_eq!(tags[0].iter().collect::<std::collections::HashSet<_>>().len(), 3, "{tags:?}");
}

#[tokio::test]
async fn every_part_is_available_in_every_format() {
    let (_service, client, song) = split("x").await;
    for part in ["song", "drums", "bass", "other", "vocals", "accompaniment"] {
        for (extension, media_type, format) in
            [("mp3", "audio/mpeg", "mp3"), ("wav", "audio/wav", "wav"), ("flac", "audio/flac", "flac")]
        {
            let answer = client.get(&format!("/songs/{}/{part}.{extension}", id(&song))).await;
            assert_eq!(answer.status, 200, "{part}.{extension}: {answer:?}");
            // The song itself as MP3 is the uploaded file.
            let (media_type, format) =
                if (part, extension) == ("song", "mp3") { ("audio/wav", "wav") } else { (media_type, format) };
            assert_eq!(answer.header("content-type"), media_type, "{part}.{extension}");
            let frames = if part == "song" { 2205 } else { 4410 };
            assert_eq!(decode(&answer.bytes), (format, frames), "{part}.{extension}");
        }
    }
}

#[tokio::test]
async fn rendition_is_made_once_and_deleted_with_song() {
    let (service, client, song) = split("x").await;
    let path = format!("/songs/{}/accompaniment.flac", id(&song));
    let before = service.stored(5).await.len();
    let answers = futures_util::future::join_all((0..8).map(|_| client.get(&path))).await;
    let tags: std::collections::HashSet<_> = answers.iter().map(|answer| answer.header("etag").to_owned()).collect();
    assert_eq!(tags.len(), 1);
    service.stored(before + 1).await;
    client.delete(&format!("/songs/{}", id(&song))).await.data();
    service.stored(0).await;
}

#[tokio::test]
async fn head_headers_match_get() {
    let (_service, client, song) = split("Für Elise / Teil 1").await;
    for file in ["vocals.mp3", "song.mp3", "vocals.wav"] {
        let path = format!("/songs/{}/{file}", id(&song));
        let whole = client.get(&path).await;
        let head = Browser::send(client.request(Method::HEAD, &path)).await;
        assert_eq!((head.status, head.bytes.len()), (200, 0));
        assert_eq!(head.header("content-length"), whole.bytes.len().to_string());
        for name in ["content-type", "etag", "content-disposition", "accept-ranges", "cache-control"] {
            assert_eq!(head.header(name), whole.header(name), "{name}");
        }
        assert_eq!(whole.header("accept-ranges"), "bytes");
        assert_eq!(whole.header("cache-control"), "private, no-cache");
        assert_eq!(whole.header("x-content-type-options"), "nosniff");
    }
    let vocals = client.get(&format!("/songs/{}/vocals.mp3?download", id(&song))).await;
    assert_eq!(
        vocals.header("content-disposition"),
        "attachment; filename=\"F_r Elise _ Teil 1 (vocals).mp3\"; \
         filename*=UTF-8''F%C3%BCr%20Elise%20_%20Teil%201%20%28vocals%29.mp3"
    );
}

#[tokio::test]
async fn matching_etag_returns_304() {
    let (_service, client, song) = split("x").await;
    let path = format!("/songs/{}/vocals.mp3", id(&song));
    let etag = client.get(&path).await.header("etag").to_owned();
    assert!(etag.starts_with('"') && etag.ends_with('"') && etag.len() > 4, "{etag}");
    let ask = |tags: String| Browser::send(client.request(Method::GET, &path).header("if-none-match", tags));
    for tags in [etag.clone(), format!("W/{etag}"), format!("\"x\", {etag}"), "*".to_owned()] {
        let answer = ask(tags.clone()).await;
        assert_eq!((answer.status, answer.bytes.len(), answer.header("etag")), (304, 0, etag.as_str()), "{tags}");
    }
    assert_eq!(ask("\"another\"".to_owned()).await.status, 200);
}

#[tokio::test]
async fn if_range_mismatch_returns_whole_file() {
    let (_service, client, song) = split("x").await;
    let path = format!("/songs/{}/vocals.mp3", id(&song));
    let whole = client.get(&path).await;
    let ask = |tag: &str| {
        Browser::send(client.request(Method::GET, &path).header("range", "bytes=10-19").header("if-range", tag))
    };
    let part = ask(whole.header("etag")).await;
    assert_eq!((part.status, &part.bytes[..]), (206, &whole.bytes[10..20]));
    assert_eq!(part.header("content-range"), format!("bytes 10-19/{}", whole.bytes.len()));
    for tag in ["\"older\"", "Wed, 21 Oct 2015 07:28:00 GMT"] {
        assert_eq!((ask(tag).await.status, ask(tag).await.bytes), (200, whole.bytes.clone()), "{tag}");
    }
}

#[tokio::test]
async fn pending_stem_is_a_conflict_with_retry_after() {
    let service = Service::idle().await;
    let client = Browser::new(&service);
    let waiting = client.upload("x", &song(1)).await;
    for file in ["vocals.mp3", "accompaniment.flac", "stems.zip"] {
        let answer = client.get(&format!("/songs/{}/{file}", id(&waiting))).await;
        answer.refused(409, "not_ready");
        assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0);
    }
    assert_eq!(
        client.get(&format!("/songs/{}/song.mp3", id(&waiting))).await.bytes,
        song(1),
        "the source is available at once"
    );
}

#[tokio::test]
async fn stems_download_as_zip() {
    let (_service, client, song) = split("My song").await;
    let answer = client.get(&format!("/songs/{}/stems.zip", id(&song))).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/zip"));
    assert_eq!(answer.header("content-disposition"), "attachment; filename=\"My song (stems, MP3).zip\"");
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(answer.bytes)).unwrap();
    for (number, stem) in ["drums", "bass", "other", "vocals"].into_iter().enumerate() {
        let mut bytes = Vec::new();
        zip.by_name(&format!("My song ({stem}).mp3")).unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, mp3(u32::try_from(number).unwrap()), "{stem}");
    }
    assert_eq!(zip.len(), 4);
}

#[tokio::test]
async fn chosen_stems_download_with_numbers_and_tempo() {
    let (_service, client, song) = split("Ada: First Light").await;
    let at = format!("/songs/{}", id(&song));
    let answer = client.get(&format!("{at}/stems.zip?stems=vocals,drums,drums&format=wav&numbered&tempo=120")).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/zip"));
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(answer.bytes)).unwrap();
    assert_eq!(zip.len(), 2);
    for name in ["01 Ada_ First Light (drums) 120 BPM.wav", "04 Ada_ First Light (vocals) 120 BPM.wav"] {
        let mut bytes = Vec::new();
        zip.by_name(name).unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(decode(&bytes), ("wav", 4410), "{name}");
    }
    let part = client.get(&format!("{at}/vocals.mp3?download&numbered")).await;
    assert_eq!(part.header("content-disposition"), "attachment; filename=\"04 Ada_ First Light (vocals).mp3\"");
    // The name is no part of the file: ranges and tags stay as they are.
    let plain = client.get(&format!("{at}/vocals.mp3")).await;
    assert_eq!((part.header("etag"), &part.bytes), (plain.header("etag"), &plain.bytes));
    let range = client.request(Method::GET, &format!("{at}/vocals.mp3?numbered")).header("Range", "bytes=0-9");
    let range = Browser::send(range).await;
    assert_eq!((range.status, &range.bytes[..]), (206, &plain.bytes[..10]));
    for wrong in ["stems=kick", "stems=", "stems=vocals,", "stems=song"] {
        client.get(&format!("{at}/stems.zip?{wrong}")).await.refused_field(422, "invalid", "stems");
    }
    client.get(&format!("{at}/stems.zip?numbered&tempo=0")).await.refused_field(422, "invalid", "tempo");
}

#[tokio::test]
async fn stems_download_as_tar_in_requested_format() {
    let (_service, client, song) = split("My song").await;
    let answer = client.get(&format!("/songs/{}/stems.tar?format=flac", id(&song))).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/x-tar"));
    let mut tar = tar::Archive::new(&answer.bytes[..]);
    let mut names = Vec::new();
    for entry in tar.entries().unwrap() {
        let mut entry = entry.unwrap();
        names.push(entry.path().unwrap().to_string_lossy().into_owned());
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        assert_eq!(decode(&bytes), ("flac", 4410));
    }
    assert_eq!(names, ["drums", "bass", "other", "vocals"].map(|stem| format!("My song ({stem}).flac")));
    let odd = client.get(&format!("/songs/{}/stems.tar?format=ogg", id(&song))).await;
    odd.refused_field(422, "invalid", "format");
}
