//! Checks for every [`Commons`].

#![expect(missing_docs, reason = "each check is named after the guarantee it tests")]

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{Either, join_all, select};
use time::OffsetDateTime;

use super::support::{POLLS, at_us, hash, interrupt};
use vocalizer_core::ports::{Commons, Heard};

/// How long to wait before concluding that a lock is not granted.
const SHORT_WAIT: Duration = Duration::from_millis(100);

/// A separate shared state for one test.
#[async_trait]
pub trait CommonsPlace: Send + Sync {
    /// Opens the shared state: empty the first time, and each time like another server of the installation, if there
    /// can be several.
    async fn commons(&self) -> Arc<dyn Commons>;

    /// Waits or advances the clock by `span`.
    async fn pass(&self, span: Duration);
}

fn report(percent: u8, at: OffsetDateTime) -> Heard {
    Heard { percent, at }
}

pub async fn hash_lock_is_exclusive(place: &impl CommonsPlace) {
    let (one, other) = (place.commons().await, place.commons().await);
    for commons in [&one, &other] {
        let held = one.lock(&hash("a")).await.unwrap();
        let (name, another) = (hash("a"), hash("b"));
        let mut waits = pin!(commons.lock(&name));
        match select(waits.as_mut(), pin!(place.pass(SHORT_WAIT))).await {
            Either::Left(_) => panic!("the lock was granted twice"),
            Either::Right(_) => drop(commons.lock(&another).await.unwrap()),
        }
        drop(held);
        drop(waits.await.unwrap());
    }
}

pub async fn all_waiters_get_hash_lock(place: &impl CommonsPlace) {
    let servers = [place.commons().await, place.commons().await];
    let inside = std::sync::atomic::AtomicU32::new(0);
    let waiters = (0..40).map(|waiter| {
        let (commons, inside) = (&servers[waiter % 2], &inside);
        async move {
            let held = commons.lock(&hash("a")).await.unwrap();
            assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0, "the lock is held twice");
            place.pass(Duration::from_millis(1)).await;
            inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
            drop(held);
        }
    });
    join_all(waiters).await;
}

pub async fn dropped_wait_holds_no_lock(place: &impl CommonsPlace) {
    let (one, other) = (place.commons().await, place.commons().await);
    for polls in POLLS {
        let held = one.lock(&hash("a")).await.unwrap();
        interrupt(other.lock(&hash("a")), polls.min(1_000)).await;
        drop(held);
        interrupt(other.lock(&hash("a")), polls.min(1_000)).await;
    }
    drop(one.lock(&hash("a")).await.unwrap());
}

pub async fn released_sweep_lock_is_available(place: &impl CommonsPlace) {
    let commons = place.commons().await;
    let held = commons.lock_sweep().await.unwrap();
    assert!(held.is_some());
    drop(held);
    // A released lock may take a moment to become available.
    while place.commons().await.lock_sweep().await.unwrap().is_none() {
        place.pass(SHORT_WAIT).await;
    }
}

pub async fn last_progress_report_is_returned(place: &impl CommonsPlace) {
    let (one, other) = (place.commons().await, place.commons().await);
    assert_eq!(one.heard(&hash("a")).await.unwrap(), None);
    for (percent, at) in [(0, 10), (40, 20), (40, 30), (0, 40)] {
        one.hear(&hash("a"), report(percent, at_us(at))).await.unwrap();
        assert_eq!(one.heard(&hash("a")).await.unwrap(), Some(report(percent, at_us(at))));
    }
    other.hear(&hash("b"), report(7, at_us(1))).await.unwrap();
    assert_eq!(other.heard(&hash("b")).await.unwrap(), Some(report(7, at_us(1))));
    one.rest(&hash("a")).await.unwrap();
    one.rest(&hash("a")).await.unwrap();
    assert_eq!(one.heard(&hash("a")).await.unwrap(), None);
    assert!(other.heard(&hash("b")).await.unwrap().is_some());
}

pub async fn deletion_of_last_song_is_recorded(place: &impl CommonsPlace) {
    let commons = place.commons().await;
    commons.hear(&hash("a"), report(50, at_us(0))).await.unwrap();
    assert!(!commons.was_there(&hash("a")).await.unwrap());
    for _ in 0..2 {
        commons.bury(&hash("a"), at_us(1)).await.unwrap();
    }
    assert!(commons.was_there(&hash("a")).await.unwrap());
    assert!(!commons.was_there(&hash("b")).await.unwrap());
    assert_eq!(commons.heard(&hash("a")).await.unwrap(), None);
    commons.tidy(at_us(2)).await.unwrap();
    assert!(commons.was_there(&hash("a")).await.unwrap(), "the deletion is still recorded");
}
