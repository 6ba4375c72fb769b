//! What every [`Commons`] promises.

#![expect(missing_docs, reason = "each is named for the promise that it holds the servers' common knowledge to")]

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{Either, join_all, select};
use time::OffsetDateTime;

use super::support::{POLLS, at_us, hash, interrupt};
use crate::ports::{Commons, Heard};

/// How long somebody who must not get a lock is waited for.
const MOMENT: Duration = Duration::from_millis(100);

/// What the servers of one installation have in common, for one test.
#[async_trait]
pub trait CommonsPlace: Send + Sync {
    /// Opens it: the first time empty, and each time as another server of the installation does, where there can be
    /// more than one.
    async fn commons(&self) -> Arc<dyn Commons>;

    /// Lets time pass.
    async fn pass(&self, span: Duration);
}

fn heard(percent: u8, at: OffsetDateTime) -> Heard {
    Heard { percent, at }
}

pub async fn one_at_a_time_is_at_the_bytes_of_a_hash(place: &impl CommonsPlace) {
    let (one, other) = (place.commons().await, place.commons().await);
    for commons in [&one, &other] {
        let held = one.lock(&hash("a")).await.unwrap();
        let (name, another) = (hash("a"), hash("b"));
        let mut waits = pin!(commons.lock(&name));
        match select(waits.as_mut(), pin!(place.pass(MOMENT))).await {
            Either::Left(_) => panic!("two have the same lock"),
            Either::Right(_) => drop(commons.lock(&another).await.unwrap()),
        }
        drop(held);
        drop(waits.await.unwrap());
    }
}

pub async fn many_who_wait_all_get_their_turn(place: &impl CommonsPlace) {
    let servers = [place.commons().await, place.commons().await];
    let inside = std::sync::atomic::AtomicU32::new(0);
    let turns = (0..40).map(|turn| {
        let (commons, inside) = (&servers[turn % 2], &inside);
        async move {
            let held = commons.lock(&hash("a")).await.unwrap();
            assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0, "two are at it");
            place.pass(Duration::from_millis(1)).await;
            inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
            drop(held);
        }
    });
    join_all(turns).await;
}

pub async fn a_wait_that_was_given_up_holds_nothing(place: &impl CommonsPlace) {
    let (one, other) = (place.commons().await, place.commons().await);
    for polls in POLLS {
        let held = one.lock(&hash("a")).await.unwrap();
        interrupt(other.lock(&hash("a")), polls.min(1_000)).await;
        drop(held);
        interrupt(other.lock(&hash("a")), polls.min(1_000)).await;
    }
    drop(one.lock(&hash("a")).await.unwrap());
}

pub async fn one_at_a_time_sweeps(place: &impl CommonsPlace) {
    let commons = place.commons().await;
    let held = commons.lock_sweep().await.unwrap();
    assert!(held.is_some());
    drop(held);
    // What was let go is free at the latest after a moment.
    while place.commons().await.lock_sweep().await.unwrap().is_none() {
        place.pass(MOMENT).await;
    }
}

pub async fn what_was_heard_last_counts(place: &impl CommonsPlace) {
    let (one, other) = (place.commons().await, place.commons().await);
    assert_eq!(one.heard(&hash("a")).await.unwrap(), None);
    for (percent, at) in [(0, 10), (40, 20), (40, 30), (0, 40)] {
        one.hear(&hash("a"), heard(percent, at_us(at))).await.unwrap();
        assert_eq!(one.heard(&hash("a")).await.unwrap(), Some(heard(percent, at_us(at))));
    }
    other.hear(&hash("b"), heard(7, at_us(1))).await.unwrap();
    assert_eq!(other.heard(&hash("b")).await.unwrap(), Some(heard(7, at_us(1))));
    one.rest(&hash("a")).await.unwrap();
    one.rest(&hash("a")).await.unwrap();
    assert_eq!(one.heard(&hash("a")).await.unwrap(), None);
    assert!(other.heard(&hash("b")).await.unwrap().is_some());
}

pub async fn the_last_song_s_end_is_remembered(place: &impl CommonsPlace) {
    let commons = place.commons().await;
    commons.hear(&hash("a"), heard(50, at_us(0))).await.unwrap();
    assert!(!commons.was_there(&hash("a")).await.unwrap());
    for _ in 0..2 {
        commons.bury(&hash("a"), at_us(1)).await.unwrap();
    }
    assert!(commons.was_there(&hash("a")).await.unwrap());
    assert!(!commons.was_there(&hash("b")).await.unwrap());
    assert_eq!(commons.heard(&hash("a")).await.unwrap(), None);
    commons.tidy(at_us(2)).await.unwrap();
    assert!(commons.was_there(&hash("a")).await.unwrap(), "not yet forgotten");
}
