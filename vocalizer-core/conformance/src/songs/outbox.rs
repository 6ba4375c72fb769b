#![expect(missing_docs, reason = "each check is named after the guarantee it tests")]

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;

use super::place::{SongsPlace, admit_song, failed_song, outbox};
use crate::support::{at_us, hash};
use vocalizer_core::ports::Pending;
use vocalizer_core::trace::{TraceContext, within};

pub async fn outbox_is_oldest_first_and_limited(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let names = ["c", "a", "b"];
    for name in names {
        admit_song(&songs, name).await;
    }
    for limit in 0..=4 {
        let found: Vec<_> = songs.pending(limit).await.unwrap().iter().map(|entry| entry.hash).collect();
        assert_eq!(found, names.iter().take(limit as usize).map(|name| hash(name)).collect::<Vec<_>>());
    }
    let [c, _, b]: [Pending; 3] = songs.pending(10).await.unwrap().try_into().unwrap();
    songs.published(c.number).await.unwrap();
    songs.published(b.number).await.unwrap();
    assert_eq!(outbox(&place.songs().await).await, [hash("a")], "after a restart");
    // Repeats and unknown numbers.
    for number in [c.number, b.number, -1, i64::MAX] {
        songs.published(number).await.unwrap();
    }
    assert_eq!(outbox(&songs).await, [hash("a")]);
}

pub async fn hash_is_requested_once(place: &impl SongsPlace) {
    let songs = place.songs().await;
    songs.request(&hash("a")).await.unwrap();
    let asked = songs.pending(10).await.unwrap();
    songs.request(&hash("a")).await.unwrap();
    assert_eq!(songs.pending(10).await.unwrap(), asked);
    assert_eq!(outbox(&place.songs().await).await, [hash("a")], "after a restart");
}

pub async fn stale_number_removes_no_newer_entry(place: &impl SongsPlace) {
    let songs = place.songs().await;
    songs.request(&hash("a")).await.unwrap();
    let old = songs.pending(1).await.unwrap()[0];
    songs.published(old.number).await.unwrap();
    songs.request(&hash("a")).await.unwrap();
    songs.published(old.number).await.unwrap();
    assert_eq!(outbox(&songs).await, [hash("a")]);
}

pub async fn new_song_replaces_outbox_entry(place: &impl SongsPlace) {
    let songs = place.songs().await;
    failed_song(&songs, "a").await;
    let deleted = admit_song(&songs, "a").await;
    let old = songs.pending(1).await.unwrap()[0];
    // The job is published and dropped by a worker, because no song waits, before the old entry is removed.
    songs.remove(deleted.id()).await.unwrap();
    admit_song(&songs, "a").await;
    songs.published(old.number).await.unwrap();
    assert_eq!(outbox(&songs).await, [hash("a")], "the new song would wait forever");
}

pub async fn outbox_number_is_never_reused(place: &impl SongsPlace) {
    let mut seen = BTreeSet::new();
    for round in 0..3 {
        let songs = place.songs().await;
        for name in ["a", "b"] {
            songs.request(&hash(name)).await.unwrap();
        }
        for entry in songs.pending(10).await.unwrap() {
            assert!(seen.insert(entry.number), "in round {round}");
            songs.published(entry.number).await.unwrap();
        }
    }
}

pub async fn claimed_entry_is_exclusive_until_expiry(place: &impl SongsPlace) {
    const LASTS: Duration = Duration::from_secs(60);
    let songs = place.songs().await;
    for name in ["a", "b", "c"] {
        songs.request(&hash(name)).await.unwrap();
    }
    let claim = async |limit, now| -> Vec<_> {
        let claimed = songs.claim(limit, LASTS, at_us(now)).await.unwrap();
        claimed.into_iter().map(|entry| (entry.number, entry.hash)).collect()
    };
    let first = claim(2, 0).await;
    assert_eq!(first.iter().map(|(_, hash)| *hash).collect::<Vec<_>>(), [hash("a"), hash("b")], "oldest first");
    assert_eq!(claim(10, 1).await.iter().map(|(_, hash)| *hash).collect::<Vec<_>>(), [hash("c")]);
    assert_eq!(claim(10, 2).await, []);
    assert_eq!(outbox(&songs).await.len(), 3, "claimed entries stay in the outbox");

    songs.release(first[1].0).await.unwrap();
    songs.release(first[1].0).await.unwrap();
    assert_eq!(claim(10, 3).await, first[1..], "a released entry is available");
    songs.published(first[0].0).await.unwrap();
    assert_eq!(claim(10, 59_000_000).await, [], "claims are valid for 60 s");
    assert_eq!(claim(10, 61_000_000).await.len(), 2, "claims expire");
    // A replaced entry is not claimed.
    admit_song(&songs, "b").await;
    assert_eq!(claim(10, 62_000_000).await.len(), 1);
}

pub async fn concurrent_claims_are_disjoint(place: &impl SongsPlace) {
    let songs = place.songs().await;
    for name in 0..20 {
        songs.request(&hash(&name.to_string())).await.unwrap();
    }
    let claims = join_all((0..10).map(|_| songs.claim(3, Duration::from_secs(60), at_us(0)))).await;
    let numbers: Vec<_> = claims.into_iter().flat_map(|claim| claim.unwrap()).map(|entry| entry.number).collect();
    assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), numbers.len(), "an entry was claimed twice");
    assert!(numbers.len() <= 20);
}

pub async fn outbox_keeps_the_trace(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let caller: TraceContext = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().unwrap();
    within(Some(caller), admit_song(&songs, "a")).await;
    admit_song(&songs, "b").await;
    let traces = async || {
        let entries = place.songs().await.pending(10).await.unwrap();
        entries.iter().map(|entry| entry.trace).collect::<Vec<_>>()
    };
    assert_eq!(traces().await, [Some(caller), None]);
    let claimed = songs.claim(1, Duration::from_secs(60), at_us(0)).await.unwrap();
    assert_eq!(claimed[0].trace, Some(caller));
    // A newer request has its own trace.
    failed_song(&songs, "c").await;
    within(Some(caller.child()), admit_song(&songs, "c")).await;
    assert!(traces().await.last().unwrap().is_some_and(|trace| trace != caller));
}
