#![expect(missing_docs, reason = "each is named for the promise that it holds the store to")]

use super::place::{BlobsPlace, bytes, get, keys, put};
use crate::conformance::support::hash;
use crate::ports::{BlobKey, MadeBlob};

pub async fn deleted_blobs_are_gone_and_those_of_other_hashes_are_not(place: &impl BlobsPlace) {
    let blobs = place.blobs().await;
    for key in keys(hash("a")).iter().chain(&keys(hash("b"))) {
        put(&blobs, key, &bytes(1_000, 1)).await;
    }
    blobs.delete_all(&hash("a")).await.unwrap();
    for blobs in [blobs, place.blobs().await] {
        for key in keys(hash("a")) {
            assert_eq!(get(&blobs, &key).await, None, "{key}");
        }
        for key in keys(hash("b")) {
            assert_eq!(get(&blobs, &key).await, Some(bytes(1_000, 1)), "{key}");
        }
    }
}

pub async fn deleting_twice_or_nothing_is_a_success(place: &impl BlobsPlace) {
    let blobs = place.blobs().await;
    let key = BlobKey::Source(hash("a"));
    blobs.delete_all(key.hash()).await.unwrap();
    put(&blobs, &key, &bytes(10, 1)).await;
    blobs.delete_all(key.hash()).await.unwrap();
    blobs.delete_all(key.hash()).await.unwrap();
    assert_eq!(get(&blobs, &key).await, None);
    // The name is free again.
    put(&blobs, &key, &bytes(20, 2)).await;
    assert_eq!(get(&blobs, &key).await, Some(bytes(20, 2)));
}

pub async fn what_was_made_is_listed_with_its_size(place: &impl BlobsPlace) {
    let blobs = place.blobs().await;
    assert_eq!(blobs.made().await.unwrap(), []);
    let mut expected = Vec::new();
    for name in ["a", "b"] {
        for (at, key) in keys(hash(name)).into_iter().enumerate() {
            put(&blobs, &key, &bytes(10 + at, 1)).await;
            if key.is_made() {
                expected.push((key, 10 + at as u64));
            }
        }
    }
    expected.sort_unstable();
    for blobs in [blobs, place.blobs().await] {
        let found = blobs.made().await.unwrap();
        let mut found: Vec<_> = found.into_iter().map(|MadeBlob { key, size_bytes, .. }| (key, size_bytes)).collect();
        found.sort_unstable();
        assert_eq!(found, expected);
    }
}

pub async fn one_blob_is_deleted_and_no_other(place: &impl BlobsPlace) {
    let blobs = place.blobs().await;
    let keys = keys(hash("a"));
    for key in &keys {
        put(&blobs, key, &bytes(10, 1)).await;
    }
    let gone = keys[3];
    for _ in 0..2 {
        blobs.delete(&gone).await.unwrap();
        for key in keys {
            assert_eq!(get(&blobs, &key).await.is_none(), key == gone, "{key}");
        }
    }
    assert!(blobs.made().await.unwrap().iter().all(|made| made.key != gone));
    put(&blobs, &gone, &bytes(20, 2)).await;
    assert_eq!(get(&blobs, &gone).await, Some(bytes(20, 2)));
}

pub async fn hashes_are_listed_once(place: &impl BlobsPlace) {
    let blobs = place.blobs().await;
    assert_eq!(blobs.hashes().await.unwrap(), []);
    let mut expected = Vec::new();
    for name in ["a", "b", "c"] {
        for key in keys(hash(name)) {
            put(&blobs, &key, &bytes(10, 1)).await;
        }
        expected.push(hash(name));
    }
    // One that has nothing but what was made of it.
    put(&blobs, &keys(hash("d"))[4], &bytes(10, 1)).await;
    expected.push(hash("d"));
    blobs.delete_all(&hash("b")).await.unwrap();
    expected.remove(1);
    expected.sort_unstable();
    let mut found = place.blobs().await.hashes().await.unwrap();
    found.sort_unstable();
    assert_eq!(found, expected);
}

pub async fn a_sweep_leaves_what_is_being_written(place: &impl BlobsPlace) {
    let blobs = place.blobs().await;
    let key = BlobKey::Source(hash("a"));
    let mut writer = blobs.begin().await.unwrap();
    assert_eq!(blobs.sweep().await.unwrap(), 0);
    writer.write(bytes(1_000_000, 1)).await.unwrap();
    assert_eq!(blobs.sweep().await.unwrap(), 0);
    writer.commit(&key).await.unwrap();
    assert_eq!(blobs.sweep().await.unwrap(), 0);
    assert_eq!(get(&blobs, &key).await, Some(bytes(1_000_000, 1)));
}

pub async fn what_dead_writers_left_is_swept_up(place: &impl BlobsPlace) {
    let before = place.blobs().await;
    put(&before, &BlobKey::Source(hash("a")), &bytes(10, 1)).await;
    for _ in 0..2 {
        let mut writer = before.begin().await.unwrap();
        writer.write(bytes(1_000_000, 2)).await.unwrap();
        // As a process does that is killed.
        std::mem::forget(writer);
    }
    let blobs = place.blobs().await;
    let mut live = blobs.begin().await.unwrap();
    live.write(bytes(1_000_000, 3)).await.unwrap();
    // A store that keeps nothing of its writers has nothing to sweep.
    assert!(matches!(blobs.sweep().await.unwrap(), 0 | 2));
    assert_eq!(blobs.sweep().await.unwrap(), 0, "once is enough");
    live.commit(&BlobKey::Source(hash("b"))).await.unwrap();
    for (name, expected) in [("a", bytes(10, 1)), ("b", bytes(1_000_000, 3))] {
        assert_eq!(get(&blobs, &BlobKey::Source(hash(name))).await, Some(expected));
    }
}
