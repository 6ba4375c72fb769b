#![expect(missing_docs, reason = "each is named for the promise that it holds the repository to")]

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;

use super::place::{SongsPlace, admitted, failed, wishes};
use crate::conformance::support::{at_us, hash};
use crate::ports::Pending;

pub async fn wishes_come_oldest_first_and_no_more_than_asked_for(place: &impl SongsPlace) {
    let songs = place.songs().await;
    let names = ["c", "a", "b"];
    for name in names {
        admitted(&songs, name).await;
    }
    for limit in 0..=4 {
        let found: Vec<_> = songs.pending(limit).await.unwrap().iter().map(|wish| wish.hash).collect();
        assert_eq!(found, names.iter().take(limit as usize).map(|name| hash(name)).collect::<Vec<_>>());
    }
    let [c, _, b]: [Pending; 3] = songs.pending(10).await.unwrap().try_into().unwrap();
    songs.published(c.number).await.unwrap();
    songs.published(b.number).await.unwrap();
    assert_eq!(wishes(&place.songs().await).await, [hash("a")], "after a restart");
    // Repeats, and numbers of nothing.
    for number in [c.number, b.number, -1, i64::MAX] {
        songs.published(number).await.unwrap();
    }
    assert_eq!(wishes(&songs).await, [hash("a")]);
}

pub async fn a_hash_is_requested_where_it_is_not_there_yet(place: &impl SongsPlace) {
    let songs = place.songs().await;
    songs.request(&hash("a")).await.unwrap();
    let asked = songs.pending(10).await.unwrap();
    songs.request(&hash("a")).await.unwrap();
    assert_eq!(songs.pending(10).await.unwrap(), asked);
    assert_eq!(wishes(&place.songs().await).await, [hash("a")], "after a restart");
}

pub async fn an_old_number_crosses_off_no_newer_wish(place: &impl SongsPlace) {
    let songs = place.songs().await;
    songs.request(&hash("a")).await.unwrap();
    let old = songs.pending(1).await.unwrap()[0];
    songs.published(old.number).await.unwrap();
    songs.request(&hash("a")).await.unwrap();
    songs.published(old.number).await.unwrap();
    assert_eq!(wishes(&songs).await, [hash("a")]);
}

pub async fn a_wish_made_anew_is_not_crossed_off_with_the_old_one(place: &impl SongsPlace) {
    let songs = place.songs().await;
    failed(&songs, "a").await;
    let deleted = admitted(&songs, "a").await;
    let old = songs.pending(1).await.unwrap()[0];
    // Its job goes to the queue, and a worker drops it, since nobody waits: all before the wish is crossed off.
    songs.remove(deleted.id()).await.unwrap();
    admitted(&songs, "a").await;
    songs.published(old.number).await.unwrap();
    assert_eq!(wishes(&songs).await, [hash("a")], "the last one would wait for ever");
}

pub async fn a_number_is_never_used_twice(place: &impl SongsPlace) {
    let mut seen = BTreeSet::new();
    for round in 0..3 {
        let songs = place.songs().await;
        for name in ["a", "b"] {
            songs.request(&hash(name)).await.unwrap();
        }
        for wish in songs.pending(10).await.unwrap() {
            assert!(seen.insert(wish.number), "in round {round}");
            songs.published(wish.number).await.unwrap();
        }
    }
}

pub async fn a_claimed_wish_is_nobody_else_s(place: &impl SongsPlace) {
    const LASTS: Duration = Duration::from_secs(60);
    let songs = place.songs().await;
    for name in ["a", "b", "c"] {
        songs.request(&hash(name)).await.unwrap();
    }
    let claim = async |limit, now| -> Vec<_> {
        let claimed = songs.claim(limit, LASTS, at_us(now)).await.unwrap();
        claimed.into_iter().map(|wish| (wish.number, wish.hash)).collect()
    };
    let first = claim(2, 0).await;
    assert_eq!(first.iter().map(|(_, hash)| *hash).collect::<Vec<_>>(), [hash("a"), hash("b")], "oldest first");
    assert_eq!(claim(10, 1).await.iter().map(|(_, hash)| *hash).collect::<Vec<_>>(), [hash("c")]);
    assert_eq!(claim(10, 2).await, []);
    assert_eq!(wishes(&songs).await.len(), 3, "claimed is not crossed off");

    songs.release(first[1].0).await.unwrap();
    songs.release(first[1].0).await.unwrap();
    assert_eq!(claim(10, 3).await, first[1..], "what was let go");
    songs.published(first[0].0).await.unwrap();
    assert_eq!(claim(10, 59_000_000).await, [], "claims hold");
    assert_eq!(claim(10, 61_000_000).await.len(), 2, "claims run out");
    // A wish made anew is a new one.
    admitted(&songs, "b").await;
    assert_eq!(claim(10, 62_000_000).await.len(), 1);
}

pub async fn wishes_claimed_at_once_are_claimed_by_one(place: &impl SongsPlace) {
    let songs = place.songs().await;
    for name in 0..20 {
        songs.request(&hash(&name.to_string())).await.unwrap();
    }
    let claims = join_all((0..10).map(|_| songs.claim(3, Duration::from_secs(60), at_us(0)))).await;
    let numbers: Vec<_> = claims.into_iter().flat_map(|claim| claim.unwrap()).map(|wish| wish.number).collect();
    assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), numbers.len(), "one was claimed twice");
    assert!(numbers.len() <= 20);
}
