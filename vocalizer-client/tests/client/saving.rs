//! Downloads that continue in another process, parts of files, and what is known without a download.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Barrier;
use tokio::time::timeout;
use vocalizer_client::{Client, Error, ErrorCode, Format, Gains, Part, SongFile, SongId, Stem, Upload};

use super::{backend, canned};

const WHOLE: &str = "0123456789";

/// Returns a response with a file, or the range of it.
fn file(status: &str, etag: &str, range: &str, len: usize, bytes: &str) -> String {
    let etag = if etag.is_empty() { String::new() } else { format!("ETag: {etag}\r\n") };
    let range = if range.is_empty() { String::new() } else { format!("Content-Range: bytes {range}\r\n") };
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: audio/mpeg\r\n{etag}{range}Content-Length: {len}\r\n\
         Connection: close\r\n\r\n{bytes}"
    )
}

fn whole(etag: &str, bytes: &str) -> String {
    file("200 OK", etag, "", bytes.len(), bytes)
}

/// The first four of ten bytes.
fn cut(etag: &str) -> String {
    file("200 OK", etag, "", 10, "0123")
}

fn rest(range: &str, len: usize, bytes: &str) -> String {
    file("206 Partial Content", "\"a\"", range, len, bytes)
}

fn refusal(status: &str, code: &str) -> String {
    let body = format!(r#"{{"ok":false,"errors":[{{"code":"{code}","message":"x"}}],"data":null}}"#);
    canned::answer(status, "application/json", &body)
}

/// A client that does not retry, as if the process ended with the first failure.
fn without_retries(address: &str) -> Client {
    Client::builder(address).with_retries(0, Duration::ZERO).build().unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn ranges(requests: &[String]) -> Vec<Option<String>> {
    requests.iter().map(|request| canned::header(request, "range")).collect()
}

#[tokio::test]
async fn resumable_download_continues_in_a_new_client() {
    let answers = vec![cut("\"a\""), rest("4-9/10", 6, "45"), rest("6-9/10", 4, "6789")];
    let (address, requests) = canned::script(answers).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vocals.mp3");
    std::fs::write(&path, "before").unwrap();
    let id = SongId::random();
    for kept in ["0123", "012345"] {
        let download = without_retries(&address).download_to(id, Part::Vocals, &path).resumable();
        let error = download.await.unwrap_err();
        assert!(matches!(error, Error::Transport(_)), "{error:?}");
        assert_eq!(names(folder.path()), ["vocals.mp3", "vocals.mp3.part", "vocals.mp3.part.etag"]);
        assert_eq!(std::fs::read_to_string(folder.path().join("vocals.mp3.part")).unwrap(), kept);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "before");
    }
    let reported = Arc::<Mutex<Vec<_>>>::default();
    let sink = Arc::clone(&reported);
    let download = without_retries(&address).download_to(id, Part::Vocals, &path).resumable();
    download.with_progress(move |bytes, size_bytes| sink.lock().unwrap().push((bytes, size_bytes))).await.unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), WHOLE);
    assert_eq!(names(folder.path()), ["vocals.mp3"]);
    assert_eq!(reported.lock().unwrap().last(), Some(&(10, Some(10))), "the bytes from before count");

    let requests = requests.lock().unwrap();
    assert_eq!(ranges(&requests), [None, Some("bytes=4-".to_owned()), Some("bytes=6-".to_owned())]);
    let conditions: Vec<_> = requests.iter().map(|request| canned::header(request, "if-range")).collect();
    assert_eq!(conditions, [None, Some("\"a\"".to_owned()), Some("\"a\"".to_owned())]);
}

#[tokio::test]
async fn resumable_download_restarts_if_the_file_changed() {
    let changed = [
        whole("\"b\"", "abcdefghij"),
        file("206 Partial Content", "\"b\"", "4-9/10", 6, "efghij"),
        refusal("416 Range Not Satisfiable", "range_not_satisfiable"),
    ];
    for answer in changed {
        let (address, requests) = canned::script(vec![cut("\"a\""), answer, whole("\"b\"", "abcdefghij")]).await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vocals.mp3");
        let id = SongId::random();
        without_retries(&address).download_to(id, Part::Vocals, &path).resumable().await.unwrap_err();
        without_retries(&address).download_to(id, Part::Vocals, &path).resumable().await.unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "abcdefghij");
        assert_eq!(names(folder.path()), ["vocals.mp3"]);
        assert_eq!(ranges(&requests.lock().unwrap()), [None, Some("bytes=4-".to_owned()), None]);
    }
}

#[tokio::test]
async fn resumable_download_continues_if_the_server_ignores_ranges() {
    let (address, _) = canned::script(vec![cut("\"a\""), whole("\"a\"", WHOLE)]).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vocals.mp3");
    let id = SongId::random();
    without_retries(&address).download_to(id, Part::Vocals, &path).resumable().await.unwrap_err();
    without_retries(&address).download_to(id, Part::Vocals, &path).resumable().await.unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), WHOLE);
}

/// Otherwise bytes of two versions could be mixed.
#[tokio::test]
async fn bytes_without_etag_are_not_kept_beside_an_earlier_etag() {
    let (address, _) = canned::script(vec![cut("\"a\""), whole("", "abcdefghij"), cut("")]).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vocals.mp3");
    let id = SongId::random();
    without_retries(&address).download_to(id, Part::Vocals, &path).resumable().await.unwrap_err();
    assert_eq!(names(folder.path()).len(), 2);
    without_retries(&address).download_to(id, Part::Vocals, &path).resumable().await.unwrap_err();
    assert_eq!(names(folder.path()), [""; 0]);
}

#[tokio::test]
async fn kept_bytes_survive_while_the_server_is_unavailable() {
    let away = refusal("503 Service Unavailable", "unavailable");
    let (address, _) = canned::script(vec![cut("\"a\""), away, rest("4-9/10", 6, "456789")]).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vocals.mp3");
    let id = SongId::random();
    without_retries(&address).download_to(id, Part::Vocals, &path).resumable().await.unwrap_err();
    let error = without_retries(&address).download_to(id, Part::Vocals, &path).resumable().await.unwrap_err();
    assert!(error.has_code(ErrorCode::Unavailable), "{error:?}");
    without_retries(&address).download_to(id, Part::Vocals, &path).resumable().await.unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), WHOLE);
}

#[tokio::test]
async fn failed_download_that_is_not_resumable_leaves_nothing() {
    let (address, requests) = canned::script(vec![cut("\"a\""), whole("\"a\"", WHOLE)]).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vocals.mp3");
    let id = SongId::random();
    without_retries(&address).download_to(id, Part::Vocals, &path).await.unwrap_err();
    assert_eq!(names(folder.path()), [""; 0]);
    without_retries(&address).download_to(id, Part::Vocals, &path).resumable().await.unwrap();
    assert_eq!(names(folder.path()), ["vocals.mp3"]);
    assert_eq!(ranges(&requests.lock().unwrap()), [None, None]);
}

#[tokio::test]
async fn download_resumes_at_an_offset_with_its_etag() {
    let answers = vec![whole("\"a\"", WHOLE), rest("4-9/10", 6, "456789")];
    let (address, requests) = canned::script(answers).await;
    let (client, id) = (without_retries(&address), SongId::random());
    let etag = client.download(id, Part::Vocals).await.unwrap().etag().unwrap().to_owned();
    let mut download = client.resume(id, Part::Vocals, 4, &etag).await.unwrap();
    assert_eq!((download.position(), download.size_bytes()), (4, Some(10)));
    assert_eq!((download.etag(), download.content_type()), (Some("\"a\""), Some("audio/mpeg")));
    let mut bytes = Vec::new();
    while let Some(chunk) = download.next_chunk().await.unwrap() {
        bytes.extend_from_slice(&chunk);
    }
    assert_eq!((bytes, download.position()), (b"456789".to_vec(), 10));
    let requests = requests.lock().unwrap();
    assert_eq!(canned::header(&requests[1], "range").unwrap(), "bytes=4-");
    assert_eq!(canned::header(&requests[1], "if-range").unwrap(), "\"a\"");
}

#[tokio::test]
async fn resuming_a_changed_file_fails() {
    for answer in [
        whole("\"b\"", WHOLE),
        // The whole file is shorter than the offset.
        whole("\"a\"", "0"),
        file("206 Partial Content", "\"b\"", "4-9/10", 6, "456789"),
        refusal("416 Range Not Satisfiable", "range_not_satisfiable"),
    ] {
        let (address, requests) = canned::script(vec![answer]).await;
        let error = backend::client(&address).resume(SongId::random(), Part::Song, 4, "\"a\"").await.unwrap_err();
        assert!(matches!(error, Error::Changed), "{error:?}");
        assert_eq!(requests.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn file_info_needs_no_download() {
    // A response to HEAD has no body.
    let (address, requests) = canned::script(vec![file("200 OK", "\"a\"", "", 10, "")]).await;
    let info = without_retries(&address).file_info(SongId::random(), (Part::Song, Format::Flac)).await.unwrap();
    assert_eq!(info.size_bytes, Some(10));
    assert_eq!((info.content_type.as_deref(), info.etag.as_deref()), (Some("audio/mpeg"), Some("\"a\"")));
    let request = canned::line(&requests.lock().unwrap()[0]);
    assert!(request.starts_with("HEAD /songs/"), "{request}");

    let unmade = "HTTP/1.1 200 OK\r\nContent-Type: audio/flac\r\nConnection: close\r\n\r\n".to_owned();
    let (address, _) = canned::script(vec![unmade]).await;
    let info = without_retries(&address).file_info(SongId::random(), (Part::Song, Format::Flac)).await.unwrap();
    assert_eq!((info.size_bytes, info.content_type.as_deref(), info.etag), (None, Some("audio/flac"), None));
}

#[tokio::test]
async fn file_info_of_a_missing_song_has_the_servers_error() {
    let (_, client) = backend::start().await;
    let error = client.file_info(SongId::random(), Part::Song).await.unwrap_err();
    assert!(error.has_code(ErrorCode::NotFound), "{error:?}");
}

#[tokio::test]
async fn range_of_a_file_can_be_downloaded() {
    let answers = vec![
        rest("2-5/10", 4, "2345"),
        rest("8-9/10", 2, "89"),
        // The server is unavailable, or the connection ends within the range.
        refusal("503 Service Unavailable", "unavailable"),
        rest("2-5/10", 4, "23"),
        rest("2-5/10", 4, "2345"),
    ];
    let (address, requests) = canned::script(answers).await;
    let (client, id) = (backend::client(&address), SongId::random());
    assert_eq!(client.download_range(id, Part::Song, 2..6).await.unwrap(), "2345");
    assert_eq!(client.download_range(id, Part::Song, 8..100).await.unwrap(), "89", "the file ends there");
    assert_eq!(client.download_range(id, Part::Song, 2..6).await.unwrap(), "2345");
    assert_eq!(client.download_range(id, Part::Song, 7..7).await.unwrap(), "");
    let expected = ["2-5", "8-99", "2-5", "2-5", "2-5"].map(|range| Some(format!("bytes={range}")));
    assert_eq!(ranges(&requests.lock().unwrap()), expected, "an empty range is not requested");
}

#[tokio::test]
async fn wrong_range_is_not_returned() {
    for answer in [
        // A server that ignores ranges.
        whole("\"a\"", WHOLE),
        rest("0-3/10", 4, "0123"),
        rest("3-5/10", 3, "345"),
        rest("2-6/10", 5, "23456"),
        rest("5-2/10", 4, "2345"),
        rest("2-5/10", 3, "234"),
        rest("", 4, "2345"),
        rest("nonsense", 4, "2345"),
    ] {
        let (address, requests) = canned::script(vec![answer.clone()]).await;
        let error = backend::client(&address).download_range(SongId::random(), Part::Song, 2..6).await.unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{answer}: {error:?}");
        assert_eq!(requests.lock().unwrap().len(), 1);
    }
    let (address, _) = canned::script(vec![rest("2-5/10", 6, "234567")]).await;
    let error = backend::client(&address).download_range(SongId::random(), Part::Song, 2..6).await.unwrap_err();
    assert!(matches!(error, Error::Limit { max_bytes: 4 }), "{error:?}");
    let past = refusal("416 Range Not Satisfiable", "range_not_satisfiable");
    let (address, _) = canned::script(vec![past]).await;
    let error = backend::client(&address).download_range(SongId::random(), Part::Song, 20..26).await.unwrap_err();
    assert!(error.has_code(ErrorCode::RangeNotSatisfiable), "{error:?}");
}

async fn split_song() -> (backend::Shared, Client, SongId) {
    let (backend, client) = backend::start().await;
    let song = client.upload(Upload::from_bytes("x", "x.mp3", "the whole song")).await.unwrap();
    client.wait(song.id).await.unwrap();
    (backend, client, song.id)
}

#[tokio::test]
async fn four_stems_are_downloaded_at_a_time_with_progress() {
    let (backend, client, id) = split_song().await;
    // The backend sends none before all four are requested.
    backend.lock().unwrap().together = Some(Arc::new(Barrier::new(4)));
    let folder = tempfile::tempdir().unwrap();
    let reported = Arc::<Mutex<Vec<_>>>::default();
    let sink = Arc::clone(&reported);
    let stems = client.download_stems(id, Format::Wav, folder.path()).with_concurrency(4);
    let stems = stems.with_progress(move |stem, bytes, size| sink.lock().unwrap().push((stem, bytes, size)));
    let paths = timeout(Duration::from_secs(60), stems.into_future()).await.unwrap().unwrap();
    let texts: Vec<_> = paths.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let expected = Stem::FOUR.map(|stem| format!("the {} as wav", stem.name()));
    assert_eq!(texts, expected, "in the order of the stems");
    let reported = reported.lock().unwrap();
    for (stem, text) in Stem::FOUR.into_iter().zip(expected) {
        let size = text.len() as u64;
        let last = reported.iter().rev().find(|(of, ..)| *of == stem);
        assert_eq!(last, Some(&(stem, size, Some(size))), "{reported:?}");
    }
}

#[tokio::test]
async fn mix_is_requested_with_its_gains() {
    let (_, client, id) = split_song().await;
    let gains = Gains::new().with(Stem::DRUMS, 0.0).with(Stem::VOCALS, 0.5).with(Stem::BASS, 1.25);
    let mix = client.download_bytes(id, SongFile::mix(gains, Format::Flac), 100).await.unwrap();
    assert_eq!(mix, "mix.flac: drums 0, bass 1.25, other 1, vocals 0.5");
    let mix = client.download_bytes(id, SongFile::mix(Gains::default(), Format::Mp3), 100).await.unwrap();
    assert_eq!(mix, "mix.mp3: drums 1, bass 1, other 1, vocals 1");
}

#[tokio::test]
async fn peaks_of_a_part_can_be_read() {
    let (_, client, id) = split_song().await;
    let peaks = client.peaks(id, Part::Drums).await.unwrap();
    assert_eq!((peaks.rate_hz, peaks.frames, peaks.frames_per_value), (44_100, 3000, 2000));
    assert_eq!(peaks.values, [0, 255]);
    assert_eq!(client.peaks(id, Part::Vocals).await.unwrap().values, [7, 7]);
    let range = Duration::from_millis(40)..Duration::from_millis(65);
    let peaks = client.peaks_between(id, Part::Drums, range, 9).await.unwrap();
    assert_eq!((peaks.first_frame, peaks.values), (2000, vec![255]));
}
