#![expect(missing_docs, reason = "each check is named after the guarantee it tests")]

use super::place::{BlobsPlace, bytes, keys, read, write};
use crate::support::hash;
use vocalizer_core::ports::{BlobKey, MadeBlob};

pub async fn deletion_removes_blobs_of_one_hash(place: &impl BlobsPlace) {
    let blobs = place.blobs().await;
    for key in keys(hash("a")).iter().chain(&keys(hash("b"))) {
        write(&blobs, key, &bytes(1_000, 1)).await;
    }
    blobs.delete_all(&hash("a")).await.unwrap();
    for blobs in [blobs, place.blobs().await] {
        for key in keys(hash("a")) {
            assert_eq!(read(&blobs, &key).await, None, "{key}");
        }
        for key in keys(hash("b")) {
            assert_eq!(read(&blobs, &key).await, Some(bytes(1_000, 1)), "{key}");
        }
    }
}

pub async fn deletion_is_idempotent(place: &impl BlobsPlace) {
    let blobs = place.blobs().await;
    let key = BlobKey::Source(hash("a"));
    blobs.delete_all(key.hash()).await.unwrap();
    write(&blobs, &key, &bytes(10, 1)).await;
    blobs.delete_all(key.hash()).await.unwrap();
    blobs.delete_all(key.hash()).await.unwrap();
    assert_eq!(read(&blobs, &key).await, None);
    // The key can be used again.
    write(&blobs, &key, &bytes(20, 2)).await;
    assert_eq!(read(&blobs, &key).await, Some(bytes(20, 2)));
}

pub async fn derived_blobs_are_listed_with_size(place: &impl BlobsPlace) {
    let blobs = place.blobs().await;
    assert_eq!(blobs.made().await.unwrap(), []);
    let mut expected = Vec::new();
    for name in ["a", "b"] {
        for (at, key) in keys(hash(name)).into_iter().enumerate() {
            write(&blobs, &key, &bytes(10 + at, 1)).await;
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

pub async fn single_blob_is_deleted(place: &impl BlobsPlace) {
    let blobs = place.blobs().await;
    let keys = keys(hash("a"));
    for key in &keys {
        write(&blobs, key, &bytes(10, 1)).await;
    }
    let deleted = keys[3];
    for _ in 0..2 {
        blobs.delete(&deleted).await.unwrap();
        for key in keys {
            assert_eq!(read(&blobs, &key).await.is_none(), key == deleted, "{key}");
        }
    }
    assert!(blobs.made().await.unwrap().iter().all(|made| made.key != deleted));
    write(&blobs, &deleted, &bytes(20, 2)).await;
    assert_eq!(read(&blobs, &deleted).await, Some(bytes(20, 2)));
}

pub async fn hashes_are_listed_once(place: &impl BlobsPlace) {
    let blobs = place.blobs().await;
    assert_eq!(blobs.hashes().await.unwrap(), []);
    let mut expected = Vec::new();
    for name in ["a", "b", "c"] {
        for key in keys(hash(name)) {
            write(&blobs, &key, &bytes(10, 1)).await;
        }
        expected.push(hash(name));
    }
    // A hash with only a derived blob.
    write(&blobs, &keys(hash("d"))[4], &bytes(10, 1)).await;
    expected.push(hash("d"));
    blobs.delete_all(&hash("b")).await.unwrap();
    expected.remove(1);
    expected.sort_unstable();
    let mut found = place.blobs().await.hashes().await.unwrap();
    found.sort_unstable();
    assert_eq!(found, expected);
}

pub async fn sweep_keeps_blobs_being_written(place: &impl BlobsPlace) {
    let blobs = place.blobs().await;
    let key = BlobKey::Source(hash("a"));
    let mut writer = blobs.begin().await.unwrap();
    assert_eq!(blobs.sweep().await.unwrap(), 0);
    writer.write(bytes(1_000_000, 1)).await.unwrap();
    assert_eq!(blobs.sweep().await.unwrap(), 0);
    writer.commit(&key).await.unwrap();
    assert_eq!(blobs.sweep().await.unwrap(), 0);
    assert_eq!(read(&blobs, &key).await, Some(bytes(1_000_000, 1)));
}

pub async fn sweep_removes_leftovers_of_dead_writers(place: &impl BlobsPlace) {
    let before = place.blobs().await;
    write(&before, &BlobKey::Source(hash("a")), &bytes(10, 1)).await;
    for _ in 0..2 {
        let mut writer = before.begin().await.unwrap();
        writer.write(bytes(1_000_000, 2)).await.unwrap();
        // Like a killed process.
        std::mem::forget(writer);
    }
    let blobs = place.blobs().await;
    let mut live = blobs.begin().await.unwrap();
    live.write(bytes(1_000_000, 3)).await.unwrap();
    // A store without leftovers of writers sweeps none.
    assert!(matches!(blobs.sweep().await.unwrap(), 0 | 2));
    assert_eq!(blobs.sweep().await.unwrap(), 0, "the second sweep finds nothing");
    live.commit(&BlobKey::Source(hash("b"))).await.unwrap();
    for (name, expected) in [("a", bytes(10, 1)), ("b", bytes(1_000_000, 3))] {
        assert_eq!(read(&blobs, &BlobKey::Source(hash(name))).await, Some(expected));
    }
}
