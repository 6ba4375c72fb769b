//! Worker authentication for results, and repeated results.

use bytes::Bytes;
use reqwest::Method;
use serde_json::Value;
use vocalizer_core::ports::Stems;

use super::results::{NAMES, assert_unchanged, finished, four, path, waiting};
use super::support::{Answer, Browser, Service, Settings, WORKER_TOKEN, archive, id, mp3, stems};

#[tokio::test]
async fn result_upload_needs_worker_token() {
    let service = Service::idle().await;
    let (client, waiting) = waiting(&service).await;
    let before = service.stored_files();
    let ada = Browser::registered(&service, "ada").await;
    let users = ada.post("/auth/tokens", &[("name", "x")]).await.data()["secret"].as_str().unwrap().to_owned();
    let nowhere = format!("/songs/{}/upload_result", "0".repeat(64));
    for path in [path(&waiting), nowhere] {
        let post = |browser: &Browser| browser.request(Method::POST, &path).body(archive());
        for (what, request) in [
            ("none", post(&client)),
            ("a session's", post(&ada)),
            ("a user's", post(&client).bearer_auth(&users)),
            ("another", post(&client).bearer_auth("the-token-of-another-worker")),
            ("an empty one", post(&client).bearer_auth("")),
            ("the beginning", post(&client).bearer_auth(&WORKER_TOKEN[..WORKER_TOKEN.len() - 1])),
            ("more", post(&client).bearer_auth(format!("{WORKER_TOKEN}x"))),
            ("in capitals", post(&client).bearer_auth(WORKER_TOKEN.to_uppercase())),
            ("as a password", post(&client).basic_auth("worker", Some(WORKER_TOKEN))),
            ("without a scheme", post(&client).header("authorization", WORKER_TOKEN)),
            ("in a cookie", post(&client).header("cookie", format!("session={WORKER_TOKEN}"))),
            ("a long one", post(&client).bearer_auth("x".repeat(10_000))),
            ("bytes", post(&client).header("authorization", &b"Bearer \xff\xfe"[..])),
        ] {
            let answer = Browser::send(request).await;
            assert_eq!(answer.status, 401, "{what}: {answer:?}");
            answer.refused(401, "unauthenticated");
            assert_eq!(answer.header("www-authenticate"), "Bearer", "{what}");
        }
    }
    assert_unchanged(&service, &(client.clone(), waiting.clone()), &before, "after all cases").await;
    let scheme = format!("bearer {WORKER_TOKEN}");
    let request = client.request(Method::POST, &path(&waiting)).header("authorization", scheme).body(archive());
    assert_eq!(Browser::send(request).await.data(), Value::Null);
}

#[tokio::test]
async fn without_configured_tokens_every_token_is_rejected() {
    let service = Service::with(Settings { workers: 0, worker_tokens: Vec::new(), ..Settings::default() }).await;
    let (client, waiting) = waiting(&service).await;
    for token in ["", "x", WORKER_TOKEN] {
        let request = client.request(Method::POST, &path(&waiting)).bearer_auth(token).body(archive());
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
    let client = Browser::new(&service);
    client.result(&waiting, archive()).await.refused(401, "unauthenticated");
    for token in ["the-token-after-the-first", "and-one-for-a-second-worker"] {
        let request = client.request(Method::POST, &path(&waiting)).bearer_auth(token).body(archive());
        assert_eq!(Browser::send(request).await.data(), Value::Null);
    }
    client.until(&waiting, "SPLIT").await;
}

#[tokio::test]
async fn result_for_unknown_hash_returns_404() {
    let service = Service::idle().await;
    let client = Browser::new(&service);
    for hash in ["0".repeat(64), "f".repeat(64)] {
        let song = serde_json::json!({"hash": hash});
        client.result(&song, archive()).await.refused(404, "not_found");
        client.result(&song, b"not even an archive".to_vec()).await.refused(404, "not_found");
    }
    assert!(service.stored_files().is_empty());
}

/// Downloads a song's stems with their tags.
async fn downloaded_stems(browser: &Browser, song: &Value) -> Vec<(String, Bytes)> {
    let mut downloaded_stems = Vec::new();
    for name in NAMES {
        let Answer { headers, bytes, .. } = browser.get(&format!("/songs/{}/{name}", id(song))).await;
        downloaded_stems.push((headers["etag"].to_str().unwrap().to_owned(), bytes));
    }
    downloaded_stems
}

#[tokio::test]
async fn repeated_result_succeeds_without_changes() {
    let service = Service::idle().await;
    let (client, waiting) = waiting(&service).await;
    assert_eq!(client.result(&waiting, archive()).await.data(), Value::Null);
    let (before, files) = (downloaded_stems(&client, &waiting).await, service.stored(5).await);
    let song_before = client.get(&format!("/songs/{}", id(&waiting))).await.data();
    let others = Stems { drums: mp3(10), bass: mp3(11), other: mp3(12), vocals: mp3(13) };
    let others = vocalizer_store::archive::write(&others, Vec::new()).unwrap();
    for (what, tar) in [("the same", archive()), ("in another order", finished(&four())), ("other bytes", others)] {
        assert_eq!(client.result(&waiting, tar).await.data(), Value::Null, "{what}");
        assert_eq!(downloaded_stems(&client, &waiting).await, before, "{what}");
        assert_eq!(service.stored(5).await, files, "{what}");
    }
    // An invalid result is rejected even if the song is split.
    client.result(&waiting, b"rubbish".to_vec()).await.refused_field(422, "invalid", "result");
    assert_eq!(downloaded_stems(&client, &waiting).await, before);
    assert_eq!(client.get(&format!("/songs/{}", id(&waiting))).await.data(), song_before);
}

#[tokio::test]
async fn concurrent_results_store_one_completely() {
    let service = Service::idle().await;
    let (client, waiting) = waiting(&service).await;
    let others = Stems { drums: mp3(10), bass: mp3(11), other: mp3(12), vocals: mp3(13) };
    let second = vocalizer_store::archive::write(&others, Vec::new()).unwrap();
    let (a, b) = tokio::join!(client.result(&waiting, archive()), client.result(&waiting, second));
    assert_eq!((a.data(), b.data()), (Value::Null, Value::Null));
    let downloaded_stems: Vec<_> =
        downloaded_stems(&client, &waiting).await.into_iter().map(|(_, bytes)| bytes).collect();
    let of = |Stems { drums, bass, other, vocals }: Stems| vec![bass, drums, other, vocals];
    assert!(downloaded_stems == of(stems()) || downloaded_stems == of(others), "all four stems of one result");
    service.stored(5).await;
}
