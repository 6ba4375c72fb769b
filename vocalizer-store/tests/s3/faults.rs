use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use hyper::Method;
use vocalizer_core::causes::chain;
use vocalizer_core::part::Stem;
use vocalizer_core::ports::{Blob, BlobError, BlobKey, BlobStore};
use vocalizer_core::song::SongHash;

use super::server::{Fate, Server, bytes, get, put, rest};

const SHORT: Duration = Duration::from_millis(400);
const LONG: Duration = Duration::from_secs(30);

fn key() -> BlobKey {
    BlobKey::Source(SongHash::of(b"a"))
}

/// A fate for the first requests, after which all are answered.
fn at_first(times: u32, fate: Fate) -> impl Fn(&Method, &hyper::Uri) -> Fate {
    let left = AtomicU32::new(times);
    move |_, _| match left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)) {
        Ok(_) => fate,
        Err(_) => Fate::Answered,
    }
}

#[tokio::test]
async fn a_request_that_there_is_no_time_for_is_repeated() {
    let server = Server::start();
    let blobs = server.blobs(LONG).await;
    let whole = bytes(1_000_003, 1);
    let slow = || server.set_fates(at_first(3, Fate::Refused(503, "SlowDown")));
    slow();
    put(&blobs, &key(), &whole).await;
    slow();
    assert_eq!(blobs.size_bytes(&key()).await.unwrap(), Some(1_000_003));
    slow();
    assert_eq!(get(&blobs, &key()).await, Some(whole));
    slow();
    assert_eq!(blobs.hashes().await.unwrap(), [*key().hash()]);
    slow();
    blobs.delete_all(key().hash()).await.unwrap();
    assert_eq!(blobs.size_bytes(&key()).await.unwrap(), None);
}

#[tokio::test]
async fn an_endpoint_that_never_has_time_is_unavailable_soon() {
    let server = Server::start();
    let blobs = server.blobs(SHORT).await;
    put(&blobs, &key(), &bytes(1_000, 1)).await;
    server.set_fates(|_, _| Fate::Refused(503, "SlowDown"));
    for stem in [false, true] {
        let key = if stem { BlobKey::Stem(*key().hash(), Stem::Bass) } else { key() };
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
            // What answers to `HEAD` say has no body.
            assert!(chain(&error).contains("SlowDown") || chain(&error).contains("503"), "{}", chain(&error));
        }
        assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    }
    server.set_fates(|_, _| Fate::Answered);
    assert_eq!(get(&blobs, &key()).await, Some(bytes(1_000, 1)), "nothing was harmed");
}

#[tokio::test]
async fn an_endpoint_without_room_is_full() {
    let server = Server::start();
    let blobs = server.blobs(SHORT).await;
    for (status, code) in [(507, "XMinioStorageFull"), (403, "QuotaExceeded")] {
        server.set_fates(move |method, _| match *method {
            Method::PUT => Fate::Refused(status, code),
            _ => Fate::Answered,
        });
        let mut writer = blobs.begin().await.unwrap();
        writer.write(bytes(1_000, 2)).await.unwrap();
        let error = writer.commit(&key()).await.unwrap_err();
        assert!(matches!(error, BlobError::Full), "{error:?}");
    }
    assert_eq!(blobs.hashes().await.unwrap(), []);
}

#[tokio::test]
async fn credentials_that_run_out_are_unavailable() {
    let server = Server::start();
    let blobs = server.blobs(SHORT).await;
    server.set_fates(|_, _| Fate::Refused(403, "AccessDenied"));
    let error = blobs.open(&key(), None).await.err().unwrap();
    assert_eq!(chain(&error), "the blob store is unavailable: AccessDenied: as the test wants it");
}

#[tokio::test]
async fn a_blob_of_a_bucket_that_went_away_is_not_missing_but_unavailable() {
    let server = Server::start();
    let blobs = server.blobs(SHORT).await;
    for (code, is_there) in [("NoSuchKey", true), ("NoSuchBucket", false)] {
        server.set_fates(move |_, _| Fate::Refused(404, code));
        for range in [None, Some(0..10)] {
            match blobs.open(&key(), range).await {
                Ok(found) => assert!(found.is_none() && is_there, "{code}"),
                Err(error) => assert!(matches!(error, BlobError::Unavailable(_)) && !is_there, "{error:?}"),
            }
        }
    }
}

/// Breaks off every answer to a request for a blob.
fn cut(method: &Method, _: &hyper::Uri) -> Fate {
    if method == Method::GET { Fate::Cut(100_000) } else { Fate::Answered }
}

#[tokio::test]
async fn a_reader_goes_on_where_an_answer_broke_off() {
    let server = Server::start();
    // Once the time in which requests are repeated is long over, as for a listener who pauses.
    for patience in [Duration::ZERO, LONG] {
        let blobs = server.blobs(patience).await;
        let whole = bytes(1_000_003, 1);
        put(&blobs, &key(), &whole).await;
        server.set_fates(cut);
        for range in [None, Some(5..1_000_001)] {
            server.heard();
            let mut reader = blobs.open(&key(), range.clone()).await.unwrap().unwrap();
            let found = rest(&mut reader).await;
            let expected = range.map_or(whole.clone(), |_| whole.slice(5..1_000_001));
            assert_eq!(found.len(), expected.len());
            assert!(found == expected, "not the same bytes");
            assert!(server.heard().len() > 9, "an answer at a time");
            assert!(reader.next_chunk().await.unwrap().is_none(), "the end stays the end");
        }
        server.set_fates(|_, _| Fate::Answered);
    }
}

#[tokio::test]
async fn an_answer_that_brings_no_bytes_again_and_again_is_an_error() {
    let server = Server::start();
    let blobs = server.blobs(Duration::ZERO).await;
    put(&blobs, &key(), &bytes(1_000_003, 1)).await;
    let mut reader = blobs.open(&key(), None).await.unwrap().unwrap();
    server.set_fates(|_, _| Fate::Cut(0));
    let mut cut_short = blobs.open(&key(), None).await.unwrap().unwrap();
    server.heard();
    for _ in 0..2 {
        assert!(matches!(cut_short.next_chunk().await, Err(BlobError::Unavailable(_))));
    }
    assert!((2..10).contains(&server.heard().len()));
    server.set_fates(|_, _| Fate::Answered);
    assert!(rest(&mut reader).await == bytes(1_000_003, 1), "another reader has nothing to do with it");
}

async fn cut_once(server: &Server, patience: Duration) -> (impl BlobStore, Blob) {
    let blobs = server.blobs(patience).await;
    put(&blobs, &key(), &bytes(1_000_003, 1)).await;
    server.set_fates(cut);
    let reader = blobs.open(&key(), None).await.unwrap().unwrap();
    server.set_fates(|_, _| Fate::Answered);
    (blobs, reader)
}

#[tokio::test]
async fn a_reader_never_goes_on_with_another_blob() {
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
                    Ok(None) => panic!("there is no more of it"),
                    Err(error) => break error,
                }
            };
            assert!(matches!(error, BlobError::Unavailable(_)), "{error:?}");
            assert!(found.len() < 1_000_003 && bytes(1_000_003, 1).starts_with(&found));
            assert!(reader.next_chunk().await.is_err(), "and stays so");
        }
    }
}

#[tokio::test]
async fn a_dropped_call_for_the_rest_loses_no_bytes() {
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
async fn every_etag_becomes_a_tag() {
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
        server.set_fates(move |_, _| Fate::Tagged(Some(e_tag)));
        let reader = blobs.open(&key(), None).await.unwrap().unwrap();
        assert_eq!(reader.tag(), expected, "{e_tag}");
    }
    server.set_fates(|_, _| Fate::Tagged(None));
    assert!(matches!(blobs.open(&key(), None).await.err(), Some(BlobError::Unavailable(_))));
}
