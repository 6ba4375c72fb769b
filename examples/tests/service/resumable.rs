//! Resumable uploads: the protocol, its bounds and bad input.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, RequestBuilder};
use vocalizer::service::Policy;
use vocalizer_core::limits::Limits;
use vocalizer_core::quota::Quota;
use vocalizer_core::service::{PIECE_BYTES, ResumableSettings};

use super::support::{Answer, Browser, Service, Settings, id, song, wav};
use super::wire::Raw;

const KIND: &str = "application/offset+octet-stream";

const MIB: usize = 1024 * 1024;

/// A song of several pieces.
pub(super) fn large(number: u32) -> Vec<u8> {
    wav(number, 5_000_000)
}

pub(super) fn settings() -> Settings {
    let limits = Limits { max_upload_bytes: 64 * MIB as u64, ..Limits::default() };
    Settings { workers: 0, limits, ..Settings::default() }
}

fn tus(browser: &Browser, method: Method, path: &str) -> RequestBuilder {
    browser.request(method, path).header("Tus-Resumable", "1.0.0")
}

fn metadata(fields: &[(&str, &str)]) -> String {
    let pairs = fields.iter().map(|(name, value)| format!("{name} {}", STANDARD.encode(value)));
    pairs.collect::<Vec<_>>().join(",")
}

pub(super) fn create_request(browser: &Browser, size_bytes: usize, fields: &[(&str, &str)]) -> RequestBuilder {
    tus(browser, Method::POST, "/songs/uploads")
        .header("Upload-Length", size_bytes)
        .header("Upload-Metadata", metadata(fields))
}

/// Creates an upload and returns its path.
pub(super) async fn create(browser: &Browser, size_bytes: usize, fields: &[(&str, &str)]) -> String {
    let answer = Browser::send(create_request(browser, size_bytes, fields)).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    format!("/songs/{}", answer.header("location"))
}

pub(super) fn patch_request(browser: &Browser, path: &str, offset: usize, bytes: Vec<u8>) -> RequestBuilder {
    let request = tus(browser, Method::PATCH, path).header("Upload-Offset", offset);
    request.header("Content-Type", KIND).body(bytes)
}

pub(super) async fn patch(browser: &Browser, path: &str, offset: usize, bytes: &[u8]) -> Answer {
    Browser::send(patch_request(browser, path, offset, bytes.to_vec())).await
}

async fn head(browser: &Browser, path: &str) -> Answer {
    Browser::send(tus(browser, Method::HEAD, path)).await
}

pub(super) async fn offset(browser: &Browser, path: &str) -> usize {
    let answer = head(browser, path).await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"), "{answer:?}");
    answer.header("upload-offset").parse().unwrap()
}

/// Waits until an upload has so many bytes, or no longer exists.
async fn until(browser: &Browser, path: &str, expected: Option<usize>) {
    for _ in 0..1000 {
        let answer = head(browser, path).await;
        let found = (answer.status == 200).then(|| answer.header("upload-offset").parse().unwrap());
        if found == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{expected:?}: {:?}", head(browser, path).await);
}

/// The head and the first bytes of a `PATCH` that is not completed.
fn unfinished(path: &str, offset: usize, declared: usize, bytes: &[u8]) -> Vec<u8> {
    let head = format!(
        "PATCH {path} HTTP/1.1\r\nHost: localhost\r\nTus-Resumable: 1.0.0\r\nContent-Type: {KIND}\r\n\
         Upload-Offset: {offset}\r\nContent-Length: {declared}\r\n\r\n"
    );
    [head.as_bytes(), bytes].concat()
}

pub(super) async fn assert_bytes(browser: &Browser, song: &str, bytes: &[u8]) {
    let stored = browser.get(&format!("/songs/{song}/song.mp3")).await;
    assert!(stored.status == 200 && stored.bytes == bytes, "the stored song differs: {stored:?}");
}

#[tokio::test]
async fn parts_of_any_size_make_one_song() {
    let service = Service::with(settings()).await;
    let browser = Browser::registered(&service, "ada").await;
    let whole = large(1);
    let path = create(&browser, whole.len(), &[("title", "Clair de lune 🌙"), ("extra", "")]).await;
    let piece = usize::try_from(PIECE_BYTES).unwrap();
    let mut at = 0;
    for end in [1, 1, 3 * MIB, piece, piece + 5, 2 * piece - 1, 2 * piece + 1, whole.len() - 1] {
        let answer = patch(&browser, &path, at, &whole[at..end]).await;
        assert_eq!((answer.status, answer.header("tus-resumable")), (204, "1.0.0"), "{answer:?}");
        assert_eq!(answer.header("upload-offset"), end.to_string());
        assert!(answer.header("upload-expires").ends_with(" GMT"), "{answer:?}");
        at = end;
        assert_eq!(offset(&browser, &path).await, at);
    }
    assert_eq!(browser.get("/songs/").await.data()["songs"].as_array().unwrap().len(), 0, "not yet complete");
    let last = patch(&browser, &path, at, &whole[at..]).await;
    let song = last.header("song-id").to_owned();
    assert_eq!((last.status, last.bytes.len()), (204, 0), "{last:?}");
    let found = browser.get(&format!("/songs/{song}")).await.data()["song"].clone();
    assert_eq!((found["title"].as_str(), found["uploader_id"].is_string()), (Some("Clair de lune 🌙"), true));
    assert_bytes(&browser, &song, &whole).await;
    assert_eq!((service.stored(1).await.len(), service.temporary_files()), (1, 0), "the pieces are gone");

    // The answer was lost.
    let repeated =
        Browser::send(patch_request(&browser, &path, whole.len(), Vec::new()).header("Accept", "application/json"))
            .await;
    let data = repeated.data();
    assert_eq!((id(&data["song"]), data["upload"]["song_id"].as_str()), (&*song, Some(&*song)));
    assert_eq!(head(&browser, &path).await.header("song-id"), song);
    browser.delete(&format!("/songs/{song}")).await.data();
    patch(&browser, &path, whole.len(), &[]).await.refused(410, "gone");
}

#[tokio::test]
async fn upload_can_begin_with_bytes_and_choose_its_id() {
    let service = Service::with(settings()).await;
    let browser = Browser::registered(&service, "ada").await;
    let whole = song(1);
    let chosen = "0d5b1e1c-7a3f-4e55-9c11-2f6f0a8b9c01";
    let fields = [("filename", "music/Nocturne No. 2.flac"), ("id", chosen), ("duplicates", "refuse")];
    let request = create_request(&browser, whole.len(), &fields).header("Content-Type", KIND);
    let answer = Browser::send(request.body(whole.clone())).await;
    assert_eq!((answer.status, answer.header("song-id")), (201, chosen), "{answer:?}");
    assert_eq!(answer.json()["data"]["song"]["title"], "Nocturne No. 2");
    assert_bytes(&browser, chosen, &whole).await;

    // The same rules as for the form.
    let again = create(&browser, whole.len(), &[("title", "x"), ("duplicates", "refuse")]).await;
    let refused = patch(&browser, &again, 0, &whole).await;
    refused.refused(409, "duplicate");
    assert_eq!(refused.json()["errors"][0]["song_id"], chosen);
    assert_eq!(head(&browser, &again).await.status, 404, "a repeat cannot succeed");
    let other = create(&browser, whole.len(), &[("title", "x"), ("id", chosen)]).await;
    patch(&browser, &other, 0, &song(2)).await.refused_field(409, "conflict", "id");
    let noise = create(&browser, 5, &[("title", "x")]).await;
    patch(&browser, &noise, 0, b"noise").await.refused_field(422, "invalid", "file");
    assert_eq!(service.stored(1).await.len(), 1);

    let keyed = |bytes: Vec<u8>| {
        let request = create_request(&browser, bytes.len(), &[("title", "x")]).header("Idempotency-Key", "row 7");
        request.header("Content-Type", KIND).body(bytes)
    };
    let first = Browser::send(keyed(song(3))).await;
    assert_eq!(Browser::send(keyed(song(3))).await.header("song-id"), first.header("song-id"));
    Browser::send(keyed(song(4))).await.refused_field(422, "invalid", "Idempotency-Key");
}

#[tokio::test]
async fn bad_requests_are_refused() {
    let service = Service::with(settings()).await;
    let browser = Browser::new(&service);
    let options = Browser::send(browser.request(Method::OPTIONS, "/songs/uploads")).await;
    assert_eq!((options.status, options.header("tus-version")), (204, "1.0.0"));
    assert_eq!(options.header("tus-extension"), "creation,creation-with-upload,expiration,termination");
    assert_eq!(options.header("tus-max-size"), (64 * MIB).to_string());

    let post = |headers: &[(&'static str, &str)]| {
        let request = tus(&browser, Method::POST, "/songs/uploads");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        Browser::send(request)
    };
    let title = ("Upload-Metadata", "title eA==");
    for length in ["", "-1", "+5", "1e3", "0x10", "5 5", "18446744073709551616", "NaN"] {
        post(&[title, ("Upload-Length", length)]).await.refused(400, "malformed");
    }
    post(&[title]).await.refused(400, "malformed");
    assert!(post(&[title, ("Upload-Defer-Length", "1")]).await.refused(400, "malformed").contains("Upload-Length"));
    post(&[title, ("Upload-Length", "5"), ("Upload-Length", "6")]).await.refused(400, "malformed");
    post(&[title, ("Upload-Length", "5"), ("Upload-Concat", "partial")]).await.refused(400, "malformed");
    post(&[title, ("Upload-Length", "0")]).await.refused_field(422, "invalid", "file");
    for length in [64 * MIB as u64 + 1, u64::MAX] {
        post(&[title, ("Upload-Length", &length.to_string())]).await.refused(413, "too_large");
    }
    let many = (0..40).map(|number| format!("k{number} eA==")).collect::<Vec<_>>().join(",");
    for metadata in ["title !", "title eA==,title eA==", "title /w==", &many] {
        post(&[("Upload-Length", "5"), ("Upload-Metadata", metadata)]).await.refused(400, "malformed");
    }
    for (metadata, field) in
        [("", "title"), ("title", "title"), ("title eA==,id eA==", "id"), ("title eA==,duplicates eA==", "duplicates")]
    {
        let answer = post(&[("Upload-Length", "5"), ("Upload-Metadata", metadata)]).await;
        answer.refused_field(422, "invalid", field);
    }
    let no_version = browser.request(Method::POST, "/songs/uploads").header("Upload-Length", 5);
    let refused = Browser::send(no_version).await;
    assert_eq!((refused.status, refused.header("tus-version")), (412, "1.0.0"), "{refused:?}");
    let typed = create_request(&browser, 5, &[("title", "x")]).header("Content-Type", "text/plain").body("hello");
    Browser::send(typed).await.refused(415, "unsupported");
    assert_eq!(service.songs.unfinished_uploads().await.unwrap().uploads, 0, "none was created");

    let path = create(&browser, 10, &[("title", "x")]).await;
    let unknown = "/songs/uploads/0d5b1e1c-7a3f-4e55-9c11-2f6f0a8b9c01";
    for path in [unknown, "/songs/uploads/x", "/songs/uploads/"] {
        assert_eq!(head(&browser, path).await.status, 404, "{path}");
        assert_eq!(patch(&browser, path, 0, b"x").await.status, 404, "{path}");
        assert_eq!(Browser::send(tus(&browser, Method::DELETE, path)).await.status, 404, "{path}");
    }
    let request = tus(&browser, Method::PATCH, &path).header("Upload-Offset", 0).body("x");
    Browser::send(request).await.refused(415, "unsupported");
    let request = tus(&browser, Method::PATCH, &path).header("Content-Type", KIND).body("x");
    Browser::send(request).await.refused(400, "malformed");
    let request = browser.request(Method::PATCH, &path).header("Tus-Resumable", "0.2.2").body("x");
    assert_eq!(Browser::send(request).await.status, 412);
    assert_eq!(patch(&browser, &path, 0, b"12345").await.status, 204);
    for wrong in [0, 4, 6, 10, 11] {
        let refused = patch(&browser, &path, wrong, b"x").await;
        refused.refused(409, "conflict");
        assert_eq!(refused.header("upload-offset"), "5", "a client learns where to continue");
    }
    patch(&browser, &path, 5, b"123456").await.refused(413, "too_large");
    let chunked = reqwest::Body::wrap_stream(futures_util::stream::iter([Ok::<_, std::io::Error>("123456")]));
    let request = tus(&browser, Method::PATCH, &path).header("Upload-Offset", 5).header("Content-Type", KIND);
    Browser::send(request.body(chunked)).await.refused(413, "too_large");
    assert_eq!(offset(&browser, &path).await, 5, "nothing of these was stored");
}

#[tokio::test]
async fn unknown_model_and_stems_are_refused_before_the_first_byte() {
    let models = "htdemucs,mine:vocals+instrumental".parse().unwrap();
    let service = Service::with(Settings { models, ..settings() }).await;
    let browser = Browser::new(&service);
    let refused = async |fields: &[(&str, &str)], field: &str, right: &str| {
        let fields: Vec<_> = [("title", "x")].iter().chain(fields).copied().collect();
        let answer = Browser::send(create_request(&browser, 100, &fields)).await;
        let message = answer.refused_field(422, "invalid", field);
        assert!(message.contains(right), "{message}");
        assert_eq!(answer.header("location"), "", "{answer:?}");
    };
    refused(&[("model", "best")], "model", "this server has htdemucs, mine").await;
    refused(&[("model", "mine"), ("stems", "vocals,piano")], "stems", "it has vocals, instrumental").await;
    refused(&[("stems", "instrumental")], "stems", "it has drums, bass, other, vocals").await;
    assert_eq!(service.songs.unfinished_uploads().await.unwrap().uploads, 0);

    // Those that are right are kept until the end.
    let bytes = song(1);
    let path = create(&browser, bytes.len(), &[("title", "x"), ("model", "mine"), ("stems", "vocals")]).await;
    let answer = patch(&browser, &path, 0, &bytes).await;
    let made = browser.get(&format!("/songs/{}?details", answer.header("song-id"))).await.data()["song"].clone();
    assert_eq!(made["model"], "mine");
}

#[tokio::test]
async fn uploads_of_users_are_private() {
    let service = Service::with(settings()).await;
    let (ada, bob) = (Browser::registered(&service, "ada").await, Browser::registered(&service, "bob").await);
    let anonymous = Browser::new(&service);
    let path = create(&ada, 10, &[("title", "x")]).await;
    for other in [&bob, &anonymous] {
        assert_eq!(head(other, &path).await.status, 404);
        patch(other, &path, 0, b"x").await.refused(404, "not_found");
        Browser::send(tus(other, Method::DELETE, &path)).await.refused(404, "not_found");
    }
    assert_eq!(offset(&ada, &path).await, 0);
    // Anyone who has the address of an anonymous upload continues it.
    let whole = song(1);
    let path = create(&anonymous, whole.len(), &[("title", "x")]).await;
    assert_eq!(patch(&anonymous, &path, 0, &whole[..9]).await.status, 204);
    let last = patch(&bob, &path, 9, &whole[9..]).await;
    let found = anonymous.get(&format!("/songs/{}", last.header("song-id"))).await.data()["song"].clone();
    assert!(found["uploader_id"].is_null(), "the song stays anonymous: {found}");
}

#[tokio::test]
async fn bytes_of_a_cut_connection_count() {
    let service = Service::with(settings()).await;
    let browser = Browser::new(&service);
    let whole = large(2);
    let path = create(&browser, whole.len(), &[("title", "x")]).await;
    let mut at = 0;
    for end in [1_000, 9 * MIB, 9 * MIB + 1, 17 * MIB] {
        drop(Raw::connect(&service).await.send(unfinished(&path, at, whole.len() - at, &whole[at..end])).await);
        until(&browser, &path, Some(end)).await;
        at = end;
    }
    let last = patch(&browser, &path, at, &whole[at..]).await;
    assert_bytes(&browser, last.header("song-id"), &whole).await;
}

#[tokio::test]
async fn newer_request_interrupts_an_older_one() {
    let service = Service::with(settings()).await;
    let browser = Browser::new(&service);
    let whole = large(3);
    let path = create(&browser, whole.len(), &[("title", "x")]).await;
    // Its client has lost its network, but the server does not know yet.
    let mut hanging = Raw::connect(&service).await.send(unfinished(&path, 0, whole.len(), &whole[..9 * MIB])).await;
    until(&browser, &path, Some(8 * MIB)).await;
    let newer = patch(&browser, &path, 8 * MIB, &whole[8 * MIB..]).await;
    let stored: usize = newer.header("upload-offset").parse().unwrap();
    newer.refused(409, "conflict");
    assert!((8 * MIB + 1..=9 * MIB).contains(&stored), "what had arrived counts: {stored}");
    hanging.answer().await.refused(409, "conflict");
    // Many at once: one of them may win, none damages the file.
    let racing = (0..6).map(|_| patch(&browser, &path, stored, &whole[stored..stored + 3 * MIB]));
    futures_util::future::join_all(racing).await;
    let at = offset(&browser, &path).await;
    let last = patch(&browser, &path, at, &whole[at..]).await;
    assert_bytes(&browser, last.header("song-id"), &whole).await;
}

#[tokio::test]
async fn finishing_twice_at_once_makes_one_song() {
    let service = Service::with(settings()).await;
    let browser = Browser::new(&service);
    let whole = large(4);
    let path = create(&browser, whole.len(), &[("title", "x")]).await;
    let end = whole.len() - 1;
    assert_eq!(patch(&browser, &path, 0, &whole[..end]).await.status, 204);
    let last = patch(&browser, &path, end, &whole[end..]).await;
    let repeats = (0..5).map(|_| patch(&browser, &path, whole.len(), &[]));
    for repeat in futures_util::future::join_all(repeats).await {
        assert!(repeat.header("song-id") == last.header("song-id") || repeat.status == 409, "{repeat:?}");
    }
    assert_eq!(browser.get("/songs/").await.data()["songs"].as_array().unwrap().len(), 1);
    assert_eq!(service.songs.upload_counts().finished, 1);
}

#[tokio::test]
async fn terminated_upload_leaves_nothing() {
    let service = Service::with(settings()).await;
    let browser = Browser::new(&service);
    let whole = large(5);
    let path = create(&browser, whole.len(), &[("title", "x")]).await;
    let mut running = Raw::connect(&service).await.send(unfinished(&path, 0, whole.len(), &whole[..9 * MIB])).await;
    until(&browser, &path, Some(8 * MIB)).await;
    let terminated = Browser::send(tus(&browser, Method::DELETE, &path)).await;
    assert_eq!((terminated.status, terminated.bytes.len()), (204, 0));
    running.answer().await.refused(409, "conflict");
    assert_eq!(head(&browser, &path).await.status, 404);
    assert_eq!(service.stored(0).await.len(), 0);
    // The song of a finished upload stays.
    let path = create(&browser, song(1).len(), &[("title", "x")]).await;
    let last = patch(&browser, &path, 0, &song(1)).await;
    assert_eq!(Browser::send(tus(&browser, Method::DELETE, &path)).await.status, 204);
    assert_bytes(&browser, last.header("song-id"), &song(1)).await;
}

#[tokio::test]
async fn unfinished_upload_expires() {
    let resumable = ResumableSettings { expires_after: Duration::from_millis(500), ..ResumableSettings::default() };
    let service = Service::with(Settings { resumable, ..settings() }).await;
    let browser = Browser::new(&service);
    let path = create(&browser, 10 * MIB, &[("title", "x")]).await;
    patch(&browser, &path, 0, &[0; 1_000]).await;
    until(&browser, &path, None).await;
    patch(&browser, &path, 1_000, b"x").await.refused(404, "not_found");
    assert_eq!(service.stored_files().len(), 1);
    assert_eq!(service.songs.sweep().await.unwrap().uploads, 1);
    assert_eq!((service.stored_files().len(), service.temporary_files()), (0, 0));
    assert_eq!(service.songs.unfinished_uploads().await.unwrap().uploads, 0);
    let counted = service.songs.upload_counts();
    assert_eq!((counted.expired, counted.expired_bytes, counted.finished), (1, 1_000, 0));
}

#[tokio::test]
async fn sweep_keeps_the_pieces_of_unfinished_uploads() {
    let service = Service::with(settings()).await;
    let browser = Browser::new(&service);
    browser.upload("x", &song(1)).await;
    let whole = song(2);
    let path = create(&browser, whole.len(), &[("title", "x")]).await;
    patch(&browser, &path, 0, &whole[..100]).await;
    for file in service.stored_files() {
        let file = std::fs::File::options().write(true).open(file).unwrap();
        file.set_modified(std::time::SystemTime::now() - Duration::from_secs(40 * 24 * 60 * 60)).unwrap();
    }
    let (swept, stored) = (service.songs.sweep().await.unwrap(), service.stored_files().len());
    assert_eq!((swept.orphans, swept.uploads, stored), (0, 0, 2));
    assert_eq!(patch(&browser, &path, 100, &whole[100..]).await.status, 204);
}

#[tokio::test]
async fn unfinished_uploads_are_bounded() {
    let resumable = ResumableSettings { max_per_uploader: 2, max_total: 3, ..ResumableSettings::default() };
    let service = Service::with(Settings { resumable, ..settings() }).await;
    let (ada, bob) = (Browser::registered(&service, "ada").await, Browser::registered(&service, "bob").await);
    let first = create(&ada, 10, &[("title", "x")]).await;
    create(&ada, 10, &[("title", "x")]).await;
    Browser::send(create_request(&ada, 10, &[("title", "x")])).await.refused(403, "quota_exceeded");
    create(&bob, 10, &[("title", "x")]).await;
    let full = Browser::send(create_request(&bob, 10, &[("title", "x")])).await;
    full.refused(503, "unavailable");
    assert_eq!(full.header("retry-after"), "60");
    Browser::send(tus(&ada, Method::DELETE, &first)).await;
    create(&bob, 10, &[("title", "x")]).await;
    let metrics = String::from_utf8(ada.get("/metrics").await.bytes.to_vec()).unwrap();
    assert!(metrics.contains("vocalizer_unfinished_uploads 3\n"), "{metrics}");
    assert!(metrics.contains("vocalizer_unfinished_upload_bytes 30\n"), "{metrics}");
    assert_eq!(ada.get("/limits").await.data()["limits"]["resumable_uploads"], true);
}

#[tokio::test]
async fn quota_counts_declared_lengths_and_applies_at_the_end() {
    let quota = Quota { max_songs: Some(2), max_bytes: Some(30_000), ..Quota::default() };
    let policy = Policy { per_user: quota, ..Policy::default() };
    let service = Service::with(Settings { policy, ..settings() }).await;
    let browser = Browser::registered(&service, "ada").await;
    let whole = song(1);
    let path = create(&browser, whole.len(), &[("title", "x")]).await;
    for size_bytes in [30_001 - whole.len(), 40_000] {
        let refused = Browser::send(create_request(&browser, size_bytes, &[("title", "x")])).await;
        refused.refused(403, "quota_exceeded");
    }
    patch(&browser, &path, 0, &whole[..100]).await;
    let (one, _) = (browser.upload("one", &song(2)).await, browser.upload("two", &song(3)).await);
    // The last bytes are stored, but the song has no room.
    patch(&browser, &path, 100, &whole[100..]).await.refused(403, "quota_exceeded");
    assert_eq!(offset(&browser, &path).await, whole.len());
    browser.delete(&format!("/songs/{}", id(&one))).await.data();
    let last = patch(&browser, &path, whole.len(), &[]).await;
    assert_bytes(&browser, last.header("song-id"), &whole).await;
}

#[tokio::test]
async fn disk_reserve_is_respected() {
    let service = Service::with(Settings { min_free_bytes: Some(u64::MAX), ..settings() }).await;
    let browser = Browser::new(&service);
    Browser::send(create_request(&browser, 10, &[("title", "x")])).await.refused(507, "storage_full");
}

#[tokio::test]
async fn resumable_uploads_can_be_off() {
    let resumable = ResumableSettings { max_total: 0, ..ResumableSettings::default() };
    let policy = Policy { anonymous_uploads: false, ..Policy::default() };
    let service = Service::with(Settings { resumable, policy, ..settings() }).await;
    let browser = Browser::new(&service);
    Browser::send(create_request(&browser, 10, &[("title", "x")])).await.refused(401, "unauthenticated");
    assert_eq!(browser.get("/limits").await.data()["limits"]["resumable_uploads"], false);
    browser.register("ada", "correct horse").await.data();
    Browser::send(create_request(&browser, 10, &[("title", "x")])).await.refused(503, "unavailable");
}

#[tokio::test]
async fn stopping_server_keeps_what_arrived() {
    let service = Service::with(settings()).await;
    let browser = Browser::new(&service);
    let whole = large(6);
    let path = create(&browser, whole.len(), &[("title", "x")]).await;
    let mut running = Raw::connect(&service).await.send(unfinished(&path, 0, whole.len(), &whole[..9 * MIB])).await;
    until(&browser, &path, Some(8 * MIB)).await;
    let (dir, answer) = tokio::join!(service.stop(), running.answer());
    answer.refused(503, "unavailable");
    let service = Service::over(dir, settings()).await;
    let browser = Browser::new(&service);
    let at = offset(&browser, &path).await;
    assert!(at > 8 * MIB, "{at}");
    let last = patch(&browser, &path, at, &whole[at..]).await;
    assert_bytes(&browser, last.header("song-id"), &whole).await;
}
