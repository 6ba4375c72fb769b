#![expect(missing_docs, reason = "each check is named after the guarantee it tests")]

use std::collections::BTreeSet;
use std::ops::Range;

use futures_util::future::join_all;

use super::place::{BlobsPlace, bytes, read, read_rest, write};
use crate::support::{POLLS, hash, interrupt};
use vocalizer_core::ports::{BlobError, BlobKey};

pub async fn range_returns_its_bytes(place: &impl BlobsPlace) {
    let blobs = place.blobs().await;
    let key = BlobKey::Source(hash("a"));
    let whole = bytes(1_000_003, 5);
    write(&blobs, &key, &whole).await;
    for range in [0..1, 0..1_000_003, 1_000_002..1_000_003, 65_535..65_537, 1..999_999, 131_072..262_144] {
        let reader = blobs.open(&key, Some(range.clone())).await.unwrap().unwrap();
        assert_eq!(reader.size_bytes(), range.end - range.start);
        let Range { start, end } = range;
        let expected = whole.slice(usize::try_from(start).unwrap()..usize::try_from(end).unwrap());
        assert_eq!(read_rest(reader).await, expected, "{start}..{end}");
    }
}

pub async fn range_outside_blob_is_an_error(place: &impl BlobsPlace) {
    let blobs = place.blobs().await;
    let (key, empty) = (BlobKey::Source(hash("a")), BlobKey::Source(hash("empty")));
    write(&blobs, &key, &bytes(100, 1)).await;
    write(&blobs, &empty, &bytes(0, 1)).await;
    let reversed = Range { start: 7, end: 3 };
    for range in [0..101, 100..101, 100..100, 0..0, 5..5, reversed, 0..u64::MAX, u64::MAX..u64::MAX, 101..102] {
        let opened = blobs.open(&key, Some(range.clone())).await;
        assert!(matches!(opened.err(), Some(BlobError::Range { size_bytes: 100 })), "{range:?}");
        let opened = blobs.open(&empty, Some(range.clone())).await;
        assert!(matches!(opened.err(), Some(BlobError::Range { size_bytes: 0 })), "{range:?} of an empty blob");
        let missing = blobs.open(&BlobKey::Source(hash("unknown")), Some(range)).await;
        assert!(missing.unwrap().is_none());
    }
}

pub async fn open_reader_survives_deletion_and_replacement(place: &impl BlobsPlace) {
    let blobs = place.blobs().await;
    let key = BlobKey::Source(hash("a"));
    let whole = bytes(1_000_003, 1);
    for delete in [false, true] {
        write(&blobs, &key, &whole).await;
        let mut reader = blobs.open(&key, None).await.unwrap().unwrap();
        let mut found = reader.next_chunk().await.unwrap().unwrap().to_vec();
        if delete {
            blobs.delete_all(key.hash()).await.unwrap();
        } else {
            write(&blobs, &key, &bytes(1_000_003, 2)).await;
        }
        // It continues or fails; it never yields other bytes, and never fewer without an error.
        loop {
            match reader.next_chunk().await {
                Ok(Some(chunk)) => found.extend_from_slice(&chunk),
                Ok(None) => break assert_eq!(found, whole),
                Err(error) => break assert!(matches!(error, BlobError::Unavailable(_)), "{error:?}"),
            }
        }
    }
}

pub async fn tag_changes_with_bytes(place: &impl BlobsPlace) {
    let blobs = place.blobs().await;
    let key = BlobKey::Source(hash("a"));
    let mut seen = BTreeSet::new();
    for seed in 0..20 {
        // Same size, written immediately after the previous blob.
        write(&blobs, &key, &bytes(1_000, seed)).await;
        let tag = blobs.open(&key, None).await.unwrap().unwrap().tag().to_owned();
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        assert!(!tag.is_empty() && tag.chars().all(legal), "{tag:?}");
        assert!(seen.insert(tag.clone()), "tag {tag} was used for other bytes");
        let again = place.blobs().await;
        for range in [None, Some(5..10)] {
            assert_eq!(
                again.open(&key, range).await.unwrap().unwrap().tag(),
                tag,
                "the tag changed for the same bytes"
            );
        }
    }
}

pub async fn blob_has_concurrent_readers(place: &impl BlobsPlace) {
    let blobs = place.blobs().await;
    let key = BlobKey::Source(hash("a"));
    let whole = bytes(700_001, 9);
    write(&blobs, &key, &whole).await;
    for found in join_all((0..16).map(|_| read(&blobs, &key))).await {
        assert_eq!(found.as_ref(), Some(&whole));
    }
}

pub async fn dropped_chunk_call_loses_no_bytes(place: &impl BlobsPlace) {
    let blobs = place.blobs().await;
    let key = BlobKey::Source(hash("a"));
    let whole = bytes(1_000_003, 3);
    write(&blobs, &key, &whole).await;
    for polls in POLLS {
        let mut reader = blobs.open(&key, None).await.unwrap().unwrap();
        let mut found = Vec::new();
        // A call that completed before the drop has returned its bytes; keep them.
        let chunk = std::cell::RefCell::new(None);
        interrupt(async { *chunk.borrow_mut() = reader.next_chunk().await.unwrap() }, polls).await;
        found.extend(chunk.into_inner().into_iter().flatten());
        while let Some(chunk) = reader.next_chunk().await.unwrap() {
            found.extend_from_slice(&chunk);
        }
        assert_eq!(found, whole, "after {polls} polls");
    }
}
