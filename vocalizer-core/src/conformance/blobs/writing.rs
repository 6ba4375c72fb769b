#![expect(missing_docs, reason = "each is named for the promise that it holds the store to")]

use bytes::Bytes;
use futures_util::future::{join, join_all};

use super::place::{BlobsPlace, bytes, get, keys, put, rest};
use crate::conformance::support::{POLLS, hash, interrupt};
use crate::ports::BlobKey;

pub async fn a_blob_is_read_back_as_it_was_written(place: &impl BlobsPlace) {
    let blobs = place.blobs().await;
    let key = BlobKey::Source(hash("a"));
    assert_eq!(get(&blobs, &key).await, None);
    for len in [0, 1, 65_535, 262_144, 1_000_003] {
        let whole = bytes(len, 7);
        // The pieces in which it comes make no difference.
        for piece in [1_000_003, 262_144, 65_537, 1 + len / 3] {
            let mut writer = blobs.begin().await.unwrap();
            let mut left = whole.clone();
            while !left.is_empty() {
                writer.write(left.split_to(piece.min(left.len()))).await.unwrap();
                writer.write(Bytes::new()).await.unwrap();
            }
            assert_eq!(writer.commit(&key).await.unwrap(), len as u64);
            assert_eq!(get(&blobs, &key).await.as_ref(), Some(&whole), "{len} bytes, {piece} at a time");
        }
        assert_eq!(get(&place.blobs().await, &key).await, Some(whole), "after a restart");
    }
}

pub async fn keys_do_not_get_in_each_other_s_way(place: &impl BlobsPlace) {
    let blobs = place.blobs().await;
    let keys: Vec<_> = keys(hash("a")).into_iter().chain(keys(hash("b"))).collect();
    for (seed, key) in (0..).zip(&keys) {
        put(&blobs, key, &bytes(100, seed)).await;
    }
    for (seed, key) in (0..).zip(&keys) {
        assert_eq!(get(&blobs, key).await, Some(bytes(100, seed)), "{key}");
    }
}

pub async fn nothing_is_there_before_it_is_committed(place: &impl BlobsPlace) {
    let blobs = place.blobs().await;
    let key = BlobKey::Source(hash("a"));
    let mut writer = blobs.begin().await.unwrap();
    writer.write(bytes(1_000_000, 1)).await.unwrap();
    assert_eq!(blobs.hashes().await.unwrap(), []);
    assert_eq!(get(&blobs, &key).await, None);
    writer.commit(&key).await.unwrap();
    assert_eq!(blobs.hashes().await.unwrap(), [hash("a")]);
}

pub async fn a_dropped_writer_leaves_nothing(place: &impl BlobsPlace) {
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

pub async fn a_blob_committed_again_is_replaced(place: &impl BlobsPlace) {
    let blobs = place.blobs().await;
    for key in keys(hash("a")) {
        for (len, seed) in [(1_000, 1), (1_000, 1), (10, 2), (100_000, 3)] {
            put(&blobs, &key, &bytes(len, seed)).await;
            assert_eq!(get(&blobs, &key).await, Some(bytes(len, seed)), "{key}");
        }
    }
    assert_eq!(blobs.hashes().await.unwrap(), [hash("a")]);
}

pub async fn a_blob_committed_by_two_at_once_is_one_of_theirs(place: &impl BlobsPlace) {
    let blobs = place.blobs().await;
    for round in 0..8 {
        let key = BlobKey::Source(hash(&round.to_string()));
        let theirs = [0, 1, 2, 3].map(|seed| bytes(300_000, seed));
        join_all(theirs.iter().map(|bytes| put(&blobs, &key, bytes))).await;
        assert!(theirs.contains(&get(&blobs, &key).await.unwrap()));
    }
}

pub async fn nobody_meets_half_of_a_blob(place: &impl BlobsPlace) {
    let blobs = place.blobs().await;
    let key = BlobKey::Source(hash("a"));
    put(&blobs, &key, &bytes(300_000, 0)).await;
    let writer = async {
        for seed in 1..20 {
            put(&blobs, &key, &bytes(300_000, seed)).await;
        }
    };
    let reader = async {
        for _ in 0..20 {
            let reader = blobs.open(&key, None).await.unwrap().expect("there is always one");
            let found = rest(reader).await;
            assert_eq!(found, bytes(300_000, found[0]));
        }
    };
    join(writer, reader).await;
}

pub async fn a_dropped_commit_is_the_whole_blob_or_nothing(place: &impl BlobsPlace) {
    let blobs = place.blobs().await;
    for polls in POLLS {
        let key = BlobKey::Source(hash(&polls.to_string()));
        let mut writer = blobs.begin().await.unwrap();
        writer.write(bytes(1_000_000, 1)).await.unwrap();
        interrupt(writer.commit(&key), polls).await;
        // It may come in at any time from now on, but whole.
        if let Some(reader) = blobs.open(&key, None).await.unwrap() {
            assert_eq!(rest(reader).await, bytes(1_000_000, 1), "after {polls} polls");
        }
    }
}
