#![expect(missing_docs, reason = "each check is named after the guarantee it tests")]

use bytes::Bytes;
use futures_util::future::{join, join_all};

use super::place::{BlobsPlace, bytes, keys, read, read_rest, write};
use crate::support::{POLLS, hash, interrupt};
use vocalizer_core::ports::BlobKey;

pub async fn blob_round_trips(place: &impl BlobsPlace) {
    let blobs = place.blobs().await;
    let key = BlobKey::Source(hash("a"));
    assert_eq!(read(&blobs, &key).await, None);
    for len in [0, 1, 65_535, 262_144, 1_000_003] {
        let whole = bytes(len, 7);
        // The chunk size makes no difference.
        for chunk in [1_000_003, 262_144, 65_537, 1 + len / 3] {
            let mut writer = blobs.begin().await.unwrap();
            let mut left = whole.clone();
            while !left.is_empty() {
                writer.write(left.split_to(chunk.min(left.len()))).await.unwrap();
                writer.write(Bytes::new()).await.unwrap();
            }
            assert_eq!(writer.commit(&key).await.unwrap(), len as u64);
            assert_eq!(read(&blobs, &key).await.as_ref(), Some(&whole), "{len} bytes in chunks of {chunk}");
        }
        assert_eq!(read(&place.blobs().await, &key).await, Some(whole), "after a restart");
    }
}

pub async fn keys_are_independent(place: &impl BlobsPlace) {
    let blobs = place.blobs().await;
    let keys: Vec<_> = keys(hash("a")).into_iter().chain(keys(hash("b"))).collect();
    for (seed, key) in (0..).zip(&keys) {
        write(&blobs, key, &bytes(100, seed)).await;
    }
    for (seed, key) in (0..).zip(&keys) {
        assert_eq!(read(&blobs, key).await, Some(bytes(100, seed)), "{key}");
    }
}

pub async fn uncommitted_blob_is_invisible(place: &impl BlobsPlace) {
    let blobs = place.blobs().await;
    let key = BlobKey::Source(hash("a"));
    let mut writer = blobs.begin().await.unwrap();
    writer.write(bytes(1_000_000, 1)).await.unwrap();
    assert_eq!(blobs.hashes().await.unwrap(), []);
    assert_eq!(read(&blobs, &key).await, None);
    writer.commit(&key).await.unwrap();
    assert_eq!(blobs.hashes().await.unwrap(), [hash("a")]);
}

pub async fn dropped_writer_leaves_nothing(place: &impl BlobsPlace) {
    let blobs = place.blobs().await;
    for len in [0, 10, 1_000_000] {
        let mut writer = blobs.begin().await.unwrap();
        writer.write(bytes(len, 1)).await.unwrap();
        drop(writer);
    }
    for polls in POLLS {
        interrupt(blobs.begin(), polls).await;
        let mut writer = blobs.begin().await.unwrap();
        interrupt(writer.write(bytes(1_000_000, 1)), polls).await;
    }
    assert_eq!(blobs.hashes().await.unwrap(), []);
    let blobs = place.blobs().await;
    blobs.sweep().await.unwrap();
    assert_eq!(blobs.hashes().await.unwrap(), []);
}

pub async fn second_commit_replaces_blob(place: &impl BlobsPlace) {
    let blobs = place.blobs().await;
    for key in keys(hash("a")) {
        for (len, seed) in [(1_000, 1), (1_000, 1), (10, 2), (100_000, 3)] {
            write(&blobs, &key, &bytes(len, seed)).await;
            assert_eq!(read(&blobs, &key).await, Some(bytes(len, seed)), "{key}");
        }
    }
    assert_eq!(blobs.hashes().await.unwrap(), [hash("a")]);
}

pub async fn concurrent_commits_store_one_blob(place: &impl BlobsPlace) {
    let blobs = place.blobs().await;
    for round in 0..8 {
        let key = BlobKey::Source(hash(&round.to_string()));
        let candidates = [0, 1, 2, 3].map(|seed| bytes(300_000, seed));
        join_all(candidates.iter().map(|bytes| write(&blobs, &key, bytes))).await;
        assert!(candidates.contains(&read(&blobs, &key).await.unwrap()));
    }
}

pub async fn reader_never_sees_partial_blob(place: &impl BlobsPlace) {
    let blobs = place.blobs().await;
    let key = BlobKey::Source(hash("a"));
    write(&blobs, &key, &bytes(300_000, 0)).await;
    let writer = async {
        for seed in 1..20 {
            write(&blobs, &key, &bytes(300_000, seed)).await;
        }
    };
    let reader = async {
        for _ in 0..20 {
            let reader = blobs.open(&key, None).await.unwrap().expect("the blob is always there");
            let found = read_rest(reader).await;
            assert_eq!(found, bytes(300_000, found[0]));
        }
    };
    join(writer, reader).await;
}

pub async fn dropped_commit_is_atomic(place: &impl BlobsPlace) {
    let blobs = place.blobs().await;
    for polls in POLLS {
        let key = BlobKey::Source(hash(&polls.to_string()));
        let mut writer = blobs.begin().await.unwrap();
        writer.write(bytes(1_000_000, 1)).await.unwrap();
        interrupt(writer.commit(&key), polls).await;
        // It may appear at any time from now on, but only as a whole.
        if let Some(reader) = blobs.open(&key, None).await.unwrap() {
            assert_eq!(read_rest(reader).await, bytes(1_000_000, 1), "after {polls} polls");
        }
    }
}
