//! What workers say and hear about songs, on the wire.

use serde_json::{Value, json};
use vocalizer_core::account::Viewer;
use vocalizer_core::dedupe::Advance;
use vocalizer_core::song::SongHash;

use super::support::{Service, worker};

const HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";
const LEASE: &str = "00000000-0000-4000-8000-000000000000";

/// Every endpoint that is for workers alone.
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
async fn without_a_workers_token_nothing_is_said_even_where_results_are_taken_from_anybody() {
    for open_upload_result in [false, true] {
        let service = Service::with(open_upload_result);
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
                let answer = service.ask(method, &path, &shown, "").await;
                assert_eq!((answer.status, answer.header("www-authenticate")), (401, "Bearer"), "{path} {shown}");
                if method != "HEAD" {
                    answer.refused(401, "unauthenticated", None);
                }
            }
        }
        assert_eq!((service.queue.waiting(), service.queue.settled().len()), (1, 0));
    }
}

#[tokio::test]
async fn the_address_is_there_for_its_method_alone() {
    let service = Service::new();
    for (method, path) in endpoints() {
        let other = if method == "POST" { "GET" } else { "POST" };
        let answer = service.ask(other, &path, &worker(), "").await;
        answer.refused(405, "method_not_allowed", None);
    }
}

#[tokio::test]
async fn what_is_no_hash_names_nothing() {
    let service = Service::new();
    for hash in ["x", &HASH[1..], &HASH.replace('0', "A"), "00000000-0000-4000-8000-000000000000"] {
        for what in ["begin", "progress", "hand_back", "fail"] {
            service.post(&format!("/songs/{hash}/{what}"), "percent=1&reason=x").await.refused(404, "not_found", None);
        }
        service.ask("GET", &format!("/songs/{hash}/source"), &worker(), "").await.refused(404, "not_found", None);
    }
}

#[tokio::test]
async fn a_worker_hears_whether_anybody_waits() {
    let service = Service::new();
    let (hash, id) = service.song(b"a song").await;
    let said = async |what: &str| service.post(&format!("/songs/{hash}/{what}"), "percent=42").await.data();
    assert_eq!(said("begin").await, json!({"wanted": "yes"}));
    assert_eq!(service.view(id).await["status"], "SPLITTING");
    assert_eq!(said("progress").await, json!({"wanted": "yes"}));
    assert_eq!(service.view(id).await["progress"], 42);
    assert_eq!(said("hand_back").await, Value::Null);
    assert_eq!(service.view(id).await["status"], "UPLOADED");
    said("begin").await;
    service.songs.repository().advance(&hash, &Advance::Finish).await.unwrap();
    for what in ["begin", "progress"] {
        assert_eq!(said(what).await, json!({"wanted": "done"}));
    }
    service.songs.delete(Viewer::Anonymous, id).await.unwrap();
    for what in ["begin", "progress"] {
        assert_eq!(said(what).await, json!({"wanted": "gone"}), "deleted");
    }
    for what in ["begin", "progress"] {
        let unheard_of = service.post(&format!("/songs/{HASH}/{what}"), "percent=42").await;
        assert_eq!(unheard_of.data(), json!({"wanted": "gone"}), "never there");
    }
    assert_eq!(said("hand_back").await, Value::Null, "of nothing, and no harm");
}

#[tokio::test]
async fn a_percentage_is_a_whole_number_up_to_a_hundred() {
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
        service.post(&path, bad).await.refused(422, "invalid", Some("percent"));
    }
    service.post(&path, "percent=1&percent=2").await.refused(400, "malformed", None);
    service.ask("POST", &path, &worker(), "percent=1").await.refused(415, "unsupported", None);
    assert_eq!(service.view(id).await["progress"], 0);
    for good in ["percent=0", "percent=100", "percent=007"] {
        service.post(&path, good).await.data();
    }
    let headers = format!("{}Content-Type: application/json\r\n", worker());
    service.ask("POST", &path, &headers, "{\"percent\": 33}").await.data();
    assert_eq!(service.view(id).await["progress"], 33);
}

#[tokio::test]
async fn a_failure_s_reason_is_one_line_of_bounded_length() {
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
    service.post(&format!("/songs/{HASH}/fail"), &endless).await.refused(413, "too_large", None);
    service.post(&format!("/songs/{HASH}/fail"), "reason=x").await.data();
}

#[tokio::test]
async fn a_song_is_fetched_whole_in_pieces_or_not_again() {
    let service = Service::new();
    let (hash, _) = service.song(b"0123456789").await;
    let path = format!("/songs/{hash}/source");
    let whole = service.ask("GET", &path, &worker(), "").await;
    assert_eq!((whole.status, whole.body.as_slice()), (200, &b"0123456789"[..]));
    assert_eq!((whole.header("content-length"), whole.header("content-type")), ("10", "application/octet-stream"));
    assert_eq!((whole.header("accept-ranges"), whole.header("cache-control")), ("bytes", "private, no-cache"));
    let etag = whole.header("etag");
    assert!(etag.starts_with('"'), "{etag}");

    let asked = async |more: &str| service.ask("GET", &path, &format!("{}{more}\r\n", worker()), "").await;
    let piece = asked(&format!("Range: bytes=4-\r\nIf-Range: {etag}")).await;
    assert_eq!((piece.status, piece.body.as_slice()), (206, &b"456789"[..]));
    assert_eq!((piece.header("content-range"), piece.header("etag")), ("bytes 4-9/10", etag));
    let changed = asked("Range: bytes=4-\r\nIf-Range: \"another\"").await;
    assert_eq!((changed.status, changed.body.len()), (200, 10));
    asked("Range: bytes=10-").await.refused(416, "range_not_satisfiable", None);
    let same = asked(&format!("If-None-Match: {etag}")).await;
    assert_eq!((same.status, same.body.len()), (304, 0));
    let head = service.ask("HEAD", &path, &worker(), "").await;
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, "10", 0));
}

#[tokio::test]
async fn a_song_that_is_not_there_cannot_be_fetched() {
    let service = Service::new();
    let (hash, id) = service.song(b"a song").await;
    let never = SongHash::of(b"another");
    service.ask("GET", &format!("/songs/{never}/source"), &worker(), "").await.refused(404, "not_found", None);
    service.songs.delete(Viewer::Anonymous, id).await.unwrap();
    service.ask("GET", &format!("/songs/{hash}/source"), &worker(), "").await.refused(410, "gone", None);
}
