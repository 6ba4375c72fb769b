//! The song API of workers.

use serde_json::{Value, json};
use vocalizer_core::account::Viewer;
use vocalizer_core::dedupe::Advance;
use vocalizer_core::song::SongHash;

use super::support::{Service, worker};

const HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";
const LEASE: &str = "00000000-0000-4000-8000-000000000000";

/// All endpoints that require a worker token.
fn endpoints() -> Vec<(&'static str, String)> {
    let songs = ["begin", "progress", "hand_back", "fail"].map(|what| ("POST", format!("/songs/{HASH}/{what}")));
    let jobs = ["extend", "acknowledge", "fail"].map(|what| ("POST", format!("/jobs/{LEASE}/{what}")));
    let others = [
        ("GET", format!("/songs/{HASH}/source")),
        ("HEAD", format!("/songs/{HASH}/source")),
        ("POST", "/jobs/lease".to_owned()),
    ];
    songs.into_iter().chain(jobs).chain(others).collect()
}

#[tokio::test]
async fn worker_api_requires_token_even_with_open_results() {
    for open_upload_result in [false, true] {
        let service = Service::with_open_results(open_upload_result);
        let (session, token) = service.user().await;
        service.song(b"a song").await;
        for (method, path) in endpoints() {
            for shown in [
                String::new(),
                "Authorization: Bearer the-token-of-another-worker\r\n".to_owned(),
                "Authorization: Bearer \r\n".to_owned(),
                "Authorization: Basic d29ya2VyOng=\r\n".to_owned(),
                format!("Authorization: Bearer {token}\r\n"),
                format!("Cookie: session={session}\r\n"),
                format!("{}x\r\n", worker().trim_end()),
            ] {
                let answer = service.send(method, &path, &shown, "").await;
                assert_eq!((answer.status, answer.header("www-authenticate")), (401, "Bearer"), "{path} {shown}");
                if method != "HEAD" {
                    answer.assert_error(401, "unauthenticated", None);
                }
            }
        }
        assert_eq!((service.queue.waiting(), service.queue.settled().len()), (1, 0));
    }
}

#[tokio::test]
async fn wrong_method_returns_405() {
    let service = Service::new();
    for (method, path) in endpoints() {
        let other = if method == "POST" { "GET" } else { "POST" };
        let answer = service.send(other, &path, &worker(), "").await;
        answer.assert_error(405, "method_not_allowed", None);
    }
}

#[tokio::test]
async fn invalid_hash_returns_404() {
    let service = Service::new();
    for hash in ["x", &HASH[1..], &HASH.replace('0', "A"), "00000000-0000-4000-8000-000000000000"] {
        for what in ["begin", "progress", "hand_back", "fail"] {
            service.post(&format!("/songs/{hash}/{what}"), "percent=1&reason=x").await.assert_error(
                404,
                "not_found",
                None,
            );
        }
        service.send("GET", &format!("/songs/{hash}/source"), &worker(), "").await.assert_error(404, "not_found", None);
    }
}

#[tokio::test]
async fn reports_return_whether_stems_are_needed() {
    let service = Service::new();
    let (hash, id) = service.song(b"a song").await;
    let report = async |what: &str| service.post(&format!("/songs/{hash}/{what}"), "percent=42").await.data();
    assert_eq!(report("begin").await, json!({"wanted": "yes", "lossless": true}));
    assert_eq!(service.view(id).await["status"], "SPLITTING");
    assert_eq!(report("progress").await, json!({"wanted": "yes", "lossless": true}));
    assert_eq!(service.view(id).await["progress"], 42);
    assert_eq!(report("hand_back").await, Value::Null);
    assert_eq!(service.view(id).await["status"], "UPLOADED");
    report("begin").await;
    service.songs.repository().advance(&hash, &Advance::FINISH_MP3).await.unwrap();
    for what in ["begin", "progress"] {
        assert_eq!(report(what).await, json!({"wanted": "done", "lossless": true}));
    }
    service.songs.delete(Viewer::Anonymous, id).await.unwrap();
    for what in ["begin", "progress"] {
        assert_eq!(report(what).await, json!({"wanted": "gone", "lossless": true}), "deleted");
    }
    for what in ["begin", "progress"] {
        let unknown = service.post(&format!("/songs/{HASH}/{what}"), "percent=42").await;
        assert_eq!(unknown.data(), json!({"wanted": "gone", "lossless": true}), "never existed");
    }
    assert_eq!(report("hand_back").await, Value::Null, "handing back a deleted song is harmless");
}

#[tokio::test]
async fn percent_must_be_whole_number_up_to_100() {
    let service = Service::new();
    let (hash, id) = service.song(b"a song").await;
    let path = format!("/songs/{hash}/progress");
    service.post(&format!("/songs/{hash}/begin"), "").await.data();
    for bad in [
        "",
        "percent=",
        "percent=101",
        "percent=-1",
        "percent=1.5",
        "percent=x",
        "percent=%205",
        "percent=1e1",
        "percent=99999999999999999999",
        "percents=1",
    ] {
        service.post(&path, bad).await.assert_error(422, "invalid", Some("percent"));
    }
    service.post(&path, "percent=1&percent=2").await.assert_error(400, "malformed", None);
    service.send("POST", &path, &worker(), "percent=1").await.assert_error(415, "unsupported", None);
    assert_eq!(service.view(id).await["progress"], 0);
    for good in ["percent=0", "percent=100", "percent=007"] {
        service.post(&path, good).await.data();
    }
    let headers = format!("{}Content-Type: application/json\r\n", worker());
    service.send("POST", &path, &headers, "{\"percent\": 33}").await.data();
    assert_eq!(service.view(id).await["progress"], 33);
}

#[tokio::test]
async fn failure_reason_is_sanitized_and_truncated() {
    for (form, reason) in [
        ("reason=it+is+no+song", "it is no song".to_owned()),
        ("reason=%1b%5b31mred%0a%0dline%00", "[31mred line".to_owned()),
        ("", "no reason was given".to_owned()),
        (&format!("reason={}", "x".repeat(10_000)), "x".repeat(500)),
    ] {
        let service = Service::new();
        let (hash, id) = service.song(b"a song").await;
        service.post(&format!("/songs/{hash}/begin"), "").await.data();
        assert_eq!(service.post(&format!("/songs/{hash}/fail"), form).await.data(), Value::Null);
        let view = service.view(id).await;
        assert_eq!((&view["status"], &view["failure_reason"]), (&json!("FAILED"), &json!(reason)));
    }
    let service = Service::new();
    let endless = format!("reason={}", "x".repeat(70_000));
    service.post(&format!("/songs/{HASH}/fail"), &endless).await.assert_error(413, "too_large", None);
    service.post(&format!("/songs/{HASH}/fail"), "reason=x").await.data();
}

#[tokio::test]
async fn source_supports_ranges_and_not_modified() {
    let service = Service::new();
    let (hash, _) = service.song(b"0123456789").await;
    let path = format!("/songs/{hash}/source");
    let whole = service.send("GET", &path, &worker(), "").await;
    assert_eq!((whole.status, whole.body.as_slice()), (200, &b"0123456789"[..]));
    assert_eq!((whole.header("content-length"), whole.header("content-type")), ("10", "application/octet-stream"));
    assert_eq!((whole.header("accept-ranges"), whole.header("cache-control")), ("bytes", "private, no-cache"));
    let etag = whole.header("etag");
    assert!(etag.starts_with('"'), "{etag}");

    let get = async |more: &str| service.send("GET", &path, &format!("{}{more}\r\n", worker()), "").await;
    let piece = get(&format!("Range: bytes=4-\r\nIf-Range: {etag}")).await;
    assert_eq!((piece.status, piece.body.as_slice()), (206, &b"456789"[..]));
    assert_eq!((piece.header("content-range"), piece.header("etag")), ("bytes 4-9/10", etag));
    let changed = get("Range: bytes=4-\r\nIf-Range: \"another\"").await;
    assert_eq!((changed.status, changed.body.len()), (200, 10));
    get("Range: bytes=10-").await.assert_error(416, "range_not_satisfiable", None);
    let same = get(&format!("If-None-Match: {etag}")).await;
    assert_eq!((same.status, same.body.len()), (304, 0));
    let head = service.send("HEAD", &path, &worker(), "").await;
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, "10", 0));
}

#[tokio::test]
async fn missing_source_returns_404_or_410() {
    let service = Service::new();
    let (hash, id) = service.song(b"a song").await;
    let never = SongHash::of(b"another");
    service.send("GET", &format!("/songs/{never}/source"), &worker(), "").await.assert_error(404, "not_found", None);
    service.songs.delete(Viewer::Anonymous, id).await.unwrap();
    service.send("GET", &format!("/songs/{hash}/source"), &worker(), "").await.assert_error(410, "gone", None);
}
