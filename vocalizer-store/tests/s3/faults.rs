use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use hyper::Method;
use vocalizer_core::causes::chain;
use vocalizer_core::part::Stem;
use vocalizer_core::ports::{Blob, BlobError, BlobKey, BlobStore};
use vocalizer_core::song::SongHash;

use super::server::{Fault, Server, bytes, get, put, read_rest};

const SHORT: Duration = Duration::from_millis(400);
const LONG: Duration = Duration::from_secs(30);

fn key() -> BlobKey {
    BlobKey::Source(SongHash::of(b"a"))
}

/// Applies a fault to the first requests; later ones succeed.
fn first_requests(times: u32, fault: Fault) -> impl Fn(&Method, &hyper::Uri) -> Fault {
    let left = AtomicU32::new(times);
    move |_, _| match left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)) {
        Ok(_) => fault,
        Err(_) => Fault::None,
    }
}

#[tokio::test]
async fn throttled_request_is_retried() {
    let server = Server::start();
    let blobs = server.blobs(LONG).await;
    let whole = bytes(1_000_003, 1);
    let throttle = || server.set_faults(first_requests(3, Fault::Error(503, "SlowDown")));
    throttle();
    put(&blobs, &key(), &whole).await;
    throttle();
    assert_eq!(blobs.size_bytes(&key()).await.unwrap(), Some(1_000_003));
    throttle();
    assert_eq!(get(&blobs, &key()).await, Some(whole));
    throttle();
    assert_eq!(blobs.hashes().await.unwrap(), [*key().hash()]);
    throttle();
    blobs.delete_all(key().hash()).await.unwrap();
    assert_eq!(blobs.size_bytes(&key()).await.unwrap(), None);
}

#[tokio::test]
async fn constant_throttling_is_unavailable_after_the_retry_time() {
    let server = Server::start();
    let blobs = server.blobs(SHORT).await;
    put(&blobs, &key(), &bytes(1_000, 1)).await;
    server.set_faults(|_, _| Fault::Error(503, "SlowDown"));
    for stem in [false, true] {
        let key = if stem { BlobKey::Stem(*key().hash(), Stem::BASS) } else { key() };
        let began = Instant::now();
        let mut writer = blobs.begin().await.unwrap();
        writer.write(bytes(1_000, 2)).await.unwrap();
        let errors = [
            writer.commit(&key).await.unwrap_err(),
            blobs.open(&key, None).await.err().unwrap(),
            blobs.open(&key, Some(0..10)).await.err().unwrap(),
            blobs.size_bytes(&key).await.unwrap_err(),
            blobs.delete_all(key.hash()).await.unwrap_err(),
            blobs.hashes().await.unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error, BlobError::Unavailable(_)), "{error:?}");
            // Responses to `HEAD` have no body.
            assert!(chain(&error).contains("SlowDown") || chain(&error).contains("503"), "{}", chain(&error));
        }
        assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    }
    server.set_faults(|_, _| Fault::None);
    assert_eq!(get(&blobs, &key()).await, Some(bytes(1_000, 1)), "the blob must be unchanged");
}

#[tokio::test]
async fn full_endpoint_is_reported_as_full() {
    let server = Server::start();
    let blobs = server.blobs(SHORT).await;
    for (status, code) in [(507, "XMinioStorageFull"), (403, "QuotaExceeded")] {
        server.set_faults(move |method, _| match *method {
            Method::PUT => Fault::Error(status, code),
            _ => Fault::None,
        });
        let mut writer = blobs.begin().await.unwrap();
        writer.write(bytes(1_000, 2)).await.unwrap();
        let error = writer.commit(&key()).await.unwrap_err();
        assert!(matches!(error, BlobError::Full), "{error:?}");
    }
    assert_eq!(blobs.hashes().await.unwrap(), []);
}

#[tokio::test]
async fn expired_credentials_are_unavailable() {
    let server = Server::start();
    let blobs = server.blobs(SHORT).await;
    server.set_faults(|_, _| Fault::Error(403, "AccessDenied"));
    let error = blobs.open(&key(), None).await.err().unwrap();
    assert_eq!(chain(&error), "the blob store is unavailable: AccessDenied: simulated error");
}

#[tokio::test]
async fn blob_in_a_missing_bucket_is_unavailable_rather_than_missing() {
    let server = Server::start();
    let blobs = server.blobs(SHORT).await;
    for (code, is_there) in [("NoSuchKey", true), ("NoSuchBucket", false)] {
        server.set_faults(move |_, _| Fault::Error(404, code));
        for range in [None, Some(0..10)] {
            match blobs.open(&key(), range).await {
                Ok(found) => assert!(found.is_none() && is_there, "{code}"),
                Err(error) => assert!(matches!(error, BlobError::Unavailable(_)) && !is_there, "{error:?}"),
            }
        }
    }
}

/// Truncates every response to a request for a blob.
fn cut(method: &Method, _: &hyper::Uri) -> Fault {
    if method == Method::GET { Fault::Cut(100_000) } else { Fault::None }
}

#[tokio::test]
async fn reader_resumes_after_a_truncated_response() {
    let server = Server::start();
    // Also when the retry time is long over, as for a listener who pauses.
    for patience in [Duration::ZERO, LONG] {
        let blobs = server.blobs(patience).await;
        let whole = bytes(1_000_003, 1);
        put(&blobs, &key(), &whole).await;
        server.set_faults(cut);
        for range in [None, Some(5..1_000_001)] {
            server.requests();
            let mut reader = blobs.open(&key(), range.clone()).await.unwrap().unwrap();
            let found = read_rest(&mut reader).await;
            let expected = range.map_or(whole.clone(), |_| whole.slice(5..1_000_001));
            assert_eq!(found.len(), expected.len());
            assert!(found == expected, "not the same bytes");
            assert!(server.requests().len() > 9, "each response must be truncated");
            assert!(reader.next_chunk().await.unwrap().is_none(), "the end must be final");
        }
        server.set_faults(|_, _| Fault::None);
    }
}

#[tokio::test]
async fn repeated_empty_responses_are_an_error() {
    let server = Server::start();
    let blobs = server.blobs(Duration::ZERO).await;
    put(&blobs, &key(), &bytes(1_000_003, 1)).await;
    let mut reader = blobs.open(&key(), None).await.unwrap().unwrap();
    server.set_faults(|_, _| Fault::Cut(0));
    let mut cut_short = blobs.open(&key(), None).await.unwrap().unwrap();
    server.requests();
    for _ in 0..2 {
        assert!(matches!(cut_short.next_chunk().await, Err(BlobError::Unavailable(_))));
    }
    assert!((2..10).contains(&server.requests().len()));
    server.set_faults(|_, _| Fault::None);
    assert!(read_rest(&mut reader).await == bytes(1_000_003, 1), "another reader must not be affected");
}

async fn cut_once(server: &Server, patience: Duration) -> (impl BlobStore, Blob) {
    let blobs = server.blobs(patience).await;
    put(&blobs, &key(), &bytes(1_000_003, 1)).await;
    server.set_faults(cut);
    let reader = blobs.open(&key(), None).await.unwrap().unwrap();
    server.set_faults(|_, _| Fault::None);
    (blobs, reader)
}

#[tokio::test]
async fn reader_never_continues_with_a_replaced_blob() {
    let server = Server::start();
    for patience in [Duration::ZERO, LONG] {
        for delete in [false, true] {
            let (blobs, mut reader) = cut_once(&server, patience).await;
            blobs.delete_all(key().hash()).await.unwrap();
            if !delete {
                put(&server.blobs(LONG).await, &key(), &bytes(1_000_003, 2)).await;
            }
            let mut found = Vec::new();
            let error = loop {
                match reader.next_chunk().await {
                    Ok(Some(chunk)) => found.extend_from_slice(&chunk),
                    Ok(None) => panic!("the reader reported the end of a lost blob"),
                    Err(error) => break error,
                }
            };
            assert!(matches!(error, BlobError::Unavailable(_)), "{error:?}");
            assert!(found.len() < 1_000_003 && bytes(1_000_003, 1).starts_with(&found));
            assert!(reader.next_chunk().await.is_err(), "the error must be final");
        }
    }
}

#[tokio::test]
async fn cancelled_read_loses_no_bytes() {
    let server = Server::start();
    let (_blobs, mut reader) = cut_once(&server, Duration::ZERO).await;
    let mut found = Vec::new();
    loop {
        match tokio::time::timeout(Duration::from_micros(300), reader.next_chunk()).await {
            Ok(Ok(Some(chunk))) => found.extend_from_slice(&chunk),
            Ok(Ok(None)) => break,
            Ok(Err(error)) => panic!("{error:?}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
    assert!(found == bytes(1_000_003, 1));
}

#[tokio::test]
async fn etags_are_converted_to_tags() {
    let server = Server::start();
    let blobs = server.blobs(SHORT).await;
    put(&blobs, &key(), &bytes(1_000, 1)).await;
    for (e_tag, expected) in [
        ("\"0123456789abcdef-2\"", "0123456789abcdef-2"),
        ("W/\"a b\"", "x.572f22612062"),
        ("\"a_b\"", "x.615f62"),
        ("\"x.615f62\"", "x.782e363135663632"),
        ("\"\"", "x."),
    ] {
        server.set_faults(move |_, _| Fault::Tagged(Some(e_tag)));
        let reader = blobs.open(&key(), None).await.unwrap().unwrap();
        assert_eq!(reader.tag(), expected, "{e_tag}");
    }
    server.set_faults(|_, _| Fault::Tagged(None));
    assert!(matches!(blobs.open(&key(), None).await.err(), Some(BlobError::Unavailable(_))));
}
