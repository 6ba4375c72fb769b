//! Who may send a result, for which song, and how often.

use bytes::Bytes;
use reqwest::Method;
use serde_json::Value;
use vocalizer_core::ports::Stems;

use super::results::{NAMES, finished, four, path, unchanged, waiting};
use super::support::{Answer, Browser, Service, Settings, WORKER_TOKEN, archive, id, mp3, stems};

#[tokio::test]
async fn result_upload_needs_worker_token() {
    let service = Service::idle().await;
    let (somebody, waiting) = waiting(&service).await;
    let before = service.stored_files();
    let ada = Browser::registered(&service, "ada").await;
    let users = ada.post("/auth/tokens", &[("name", "x")]).await.data()["secret"].as_str().unwrap().to_owned();
    let nowhere = format!("/songs/{}/upload_result", "0".repeat(64));
    for path in [path(&waiting), nowhere] {
        let post = |browser: &Browser| browser.request(Method::POST, &path).body(archive());
        for (what, request) in [
            ("none", post(&somebody)),
            ("a session's", post(&ada)),
            ("a user's", post(&somebody).bearer_auth(&users)),
            ("another", post(&somebody).bearer_auth("the-token-of-another-worker")),
            ("an empty one", post(&somebody).bearer_auth("")),
            ("the beginning", post(&somebody).bearer_auth(&WORKER_TOKEN[..WORKER_TOKEN.len() - 1])),
            ("more", post(&somebody).bearer_auth(format!("{WORKER_TOKEN}x"))),
            ("in capitals", post(&somebody).bearer_auth(WORKER_TOKEN.to_uppercase())),
            ("as a password", post(&somebody).basic_auth("worker", Some(WORKER_TOKEN))),
            ("without a scheme", post(&somebody).header("authorization", WORKER_TOKEN)),
            ("in a cookie", post(&somebody).header("cookie", format!("session={WORKER_TOKEN}"))),
            ("a long one", post(&somebody).bearer_auth("x".repeat(10_000))),
            ("bytes", post(&somebody).header("authorization", &b"Bearer \xff\xfe"[..])),
        ] {
            let answer = Browser::send(request).await;
            assert_eq!(answer.status, 401, "{what}: {answer:?}");
            answer.refused(401, "unauthenticated");
            assert_eq!(answer.header("www-authenticate"), "Bearer", "{what}");
        }
    }
    unchanged(&service, &(somebody.clone(), waiting.clone()), &before, "after all of them").await;
    let scheme = format!("bearer {WORKER_TOKEN}");
    let request = somebody.request(Method::POST, &path(&waiting)).header("authorization", scheme).body(archive());
    assert_eq!(Browser::send(request).await.data(), Value::Null);
}

#[tokio::test]
async fn without_configured_tokens_every_token_is_rejected() {
    let service = Service::with(Settings { workers: 0, worker_tokens: Vec::new(), ..Settings::default() }).await;
    let (somebody, waiting) = waiting(&service).await;
    for token in ["", "x", WORKER_TOKEN] {
        let request = somebody.request(Method::POST, &path(&waiting)).bearer_auth(token).body(archive());
        Browser::send(request).await.refused(401, "unauthenticated");
    }
}

#[tokio::test]
async fn revoked_worker_token_is_rejected_and_new_one_accepted() {
    let service = Service::idle().await;
    let (_, waiting) = waiting(&service).await;
    let dir = service.stop().await;
    let worker_tokens = vec!["the-token-after-the-first".to_owned(), "and-one-for-a-second-worker".to_owned()];
    let service = Service::over(dir, Settings { workers: 0, worker_tokens, ..Settings::default() }).await;
    let somebody = Browser::new(&service);
    somebody.result(&waiting, archive()).await.refused(401, "unauthenticated");
    for token in ["the-token-after-the-first", "and-one-for-a-second-worker"] {
        let request = somebody.request(Method::POST, &path(&waiting)).bearer_auth(token).body(archive());
        assert_eq!(Browser::send(request).await.data(), Value::Null);
    }
    somebody.until(&waiting, "SPLIT").await;
}

#[tokio::test]
async fn result_for_unknown_hash_returns_404() {
    let service = Service::idle().await;
    let somebody = Browser::new(&service);
    for hash in ["0".repeat(64), "f".repeat(64)] {
        let song = serde_json::json!({"hash": hash});
        somebody.result(&song, archive()).await.refused(404, "not_found");
        somebody.result(&song, b"not even an archive".to_vec()).await.refused(404, "not_found");
    }
    assert!(service.stored_files().is_empty());
}

/// What is there of a song: its parts, with their tags.
async fn kept(browser: &Browser, song: &Value) -> Vec<(String, Bytes)> {
    let mut kept = Vec::new();
    for name in NAMES {
        let Answer { headers, bytes, .. } = browser.get(&format!("/songs/{}/{name}", id(song))).await;
        kept.push((headers["etag"].to_str().unwrap().to_owned(), bytes));
    }
    kept
}

#[tokio::test]
async fn repeated_result_succeeds_without_changes() {
    let service = Service::idle().await;
    let (somebody, waiting) = waiting(&service).await;
    assert_eq!(somebody.result(&waiting, archive()).await.data(), Value::Null);
    let (before, files) = (kept(&somebody, &waiting).await, service.stored(5).await);
    let song_before = somebody.get(&format!("/songs/{}", id(&waiting))).await.data();
    let others = Stems { drums: mp3(10), bass: mp3(11), other: mp3(12), vocals: mp3(13) };
    let others = vocalizer_store::archive::write(&others, Vec::new()).unwrap();
    for (what, tar) in [("the same", archive()), ("in another order", finished(&four())), ("other bytes", others)] {
        assert_eq!(somebody.result(&waiting, tar).await.data(), Value::Null, "{what}");
        assert_eq!(kept(&somebody, &waiting).await, before, "{what}");
        assert_eq!(service.stored(5).await, files, "{what}");
    }
    // What is no result is none, done or not.
    somebody.result(&waiting, b"rubbish".to_vec()).await.refused_field(422, "invalid", "result");
    assert_eq!(kept(&somebody, &waiting).await, before);
    assert_eq!(somebody.get(&format!("/songs/{}", id(&waiting))).await.data(), song_before);
}

#[tokio::test]
async fn concurrent_results_store_one_completely() {
    let service = Service::idle().await;
    let (somebody, waiting) = waiting(&service).await;
    let others = Stems { drums: mp3(10), bass: mp3(11), other: mp3(12), vocals: mp3(13) };
    let second = vocalizer_store::archive::write(&others, Vec::new()).unwrap();
    let (a, b) = tokio::join!(somebody.result(&waiting, archive()), somebody.result(&waiting, second));
    assert_eq!((a.data(), b.data()), (Value::Null, Value::Null));
    let kept: Vec<_> = kept(&somebody, &waiting).await.into_iter().map(|(_, bytes)| bytes).collect();
    let of = |Stems { drums, bass, other, vocals }: Stems| vec![bass, drums, other, vocals];
    assert!(kept == of(stems()) || kept == of(others), "four of one result");
    service.stored(5).await;
}
