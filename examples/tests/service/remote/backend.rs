//! Workers fetch songs only from their backend.

use std::io;
use std::net::TcpListener;

use vocalizer_core::ports::{Backend as _, BackendError, Blob, Job, JobPayload};
use vocalizer_core::secret::Secret;
use vocalizer_core::song::SongHash;

use super::place::backend;
use crate::support::{Browser, Service, song};

async fn all(mut song: Blob) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(chunk) = song.next_chunk().await.unwrap() {
        all.extend_from_slice(&chunk);
    }
    assert_eq!(all.len() as u64, song.size_bytes());
    all
}

fn claim(hash: SongHash, location: String) -> Job {
    Job::new(hash, JobPayload::Claim(Secret::new(location)))
}

#[tokio::test]
async fn source_is_fetched_by_hash_or_claim_location() {
    let service = Service::idle().await;
    let bytes = song(1);
    Browser::new(&service).upload("x", &bytes).await;
    let (hash, backend) = (SongHash::of(&bytes), backend(service.address));
    let path = format!("/songs/{hash}/source");
    for job in [
        Job::new(hash, JobPayload::Stored),
        Job::new(hash, JobPayload::Inline(bytes.clone().into())),
        claim(hash, path.clone()),
        claim(hash, path[1..].to_owned()),
        claim(hash, service.url(&path)),
    ] {
        let fetched = backend.source(&job).await.unwrap().unwrap();
        assert!(all(fetched).await == bytes, "{job:?}");
    }
    let unknown = SongHash::of(b"never there");
    assert!(backend.source(&Job::new(unknown, JobPayload::Stored)).await.unwrap().is_none());
}

#[tokio::test]
async fn claim_to_another_host_is_rejected_without_request() {
    let service = Service::idle().await;
    let bytes = song(1);
    Browser::new(&service).upload("x", &bytes).await;
    let (hash, backend) = (SongHash::of(&bytes), backend(service.address));
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    other.set_nonblocking(true).unwrap();
    let (elsewhere, here) = (other.local_addr().unwrap(), service.address);
    for location in [
        format!("http://{elsewhere}/songs/{hash}/source"),
        format!("//{elsewhere}/songs/{hash}/source"),
        format!("\\\\{elsewhere}\\songs"),
        format!("https://{here}/songs/{hash}/source"),
        format!("http://localhost:{}/songs/{hash}/source", here.port()),
        format!("http://{here}@{elsewhere}/songs/{hash}/source"),
        format!("http://ada:secret@{here}/songs/{hash}/source"),
        "file:///etc/passwd".to_owned(),
        "http://".to_owned(),
    ] {
        let refused = backend.source(&claim(hash, location.clone())).await.map(|_| ());
        let Err(BackendError::Refused { why }) = refused else { panic!("{location}: {refused:?}") };
        assert!(!why.contains("secret") && !why.contains(&elsewhere.to_string()), "{why}");
    }
    assert_eq!(other.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock, "the other host received a connection");
}
