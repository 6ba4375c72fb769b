//! Checks for every [`Coordination`].

#![expect(missing_docs, reason = "each check is named after the guarantee it tests")]

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{Either, join_all, select};
use time::OffsetDateTime;

use super::support::{POLLS, at_us, hash, interrupt};
use vocalizer_core::ports::{Coordination, ProgressReport};

/// How long to wait before concluding that a lock is not granted.
const SHORT_WAIT: Duration = Duration::from_millis(100);

/// A separate shared state for one test.
#[async_trait]
pub trait CoordinationPlace: Send + Sync {
    /// Opens the shared state: empty the first time, and each time like another server of the installation, if there
    /// can be several.
    async fn coordination(&self) -> Arc<dyn Coordination>;

    /// Waits or advances the clock by `span`.
    async fn pass(&self, span: Duration);
}

fn report(percent: u8, at: OffsetDateTime) -> ProgressReport {
    ProgressReport { percent, at }
}

pub async fn hash_lock_is_exclusive(place: &impl CoordinationPlace) {
    let (one, other) = (place.coordination().await, place.coordination().await);
    for coordination in [&one, &other] {
        let held = one.lock(&hash("a")).await.unwrap();
        let (name, another) = (hash("a"), hash("b"));
        let mut waits = pin!(coordination.lock(&name));
        match select(waits.as_mut(), pin!(place.pass(SHORT_WAIT))).await {
            Either::Left(_) => panic!("the lock was granted twice"),
            Either::Right(_) => drop(coordination.lock(&another).await.unwrap()),
        }
        drop(held);
        drop(waits.await.unwrap());
    }
}

pub async fn all_waiters_get_hash_lock(place: &impl CoordinationPlace) {
    let servers = [place.coordination().await, place.coordination().await];
    let inside = std::sync::atomic::AtomicU32::new(0);
    let waiters = (0..40).map(|waiter| {
        let (coordination, inside) = (&servers[waiter % 2], &inside);
        async move {
            let held = coordination.lock(&hash("a")).await.unwrap();
            assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0, "the lock is held twice");
            place.pass(Duration::from_millis(1)).await;
            inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
            drop(held);
        }
    });
    join_all(waiters).await;
}

pub async fn dropped_wait_holds_no_lock(place: &impl CoordinationPlace) {
    let (one, other) = (place.coordination().await, place.coordination().await);
    for polls in POLLS {
        let held = one.lock(&hash("a")).await.unwrap();
        interrupt(other.lock(&hash("a")), polls.min(1_000)).await;
        drop(held);
        interrupt(other.lock(&hash("a")), polls.min(1_000)).await;
    }
    drop(one.lock(&hash("a")).await.unwrap());
}

pub async fn released_sweep_lock_is_available(place: &impl CoordinationPlace) {
    let coordination = place.coordination().await;
    let held = coordination.lock_sweep().await.unwrap();
    assert!(held.is_some());
    drop(held);
    // A released lock may take a moment to become available.
    while place.coordination().await.lock_sweep().await.unwrap().is_none() {
        place.pass(SHORT_WAIT).await;
    }
}

pub async fn last_progress_report_is_returned(place: &impl CoordinationPlace) {
    let (one, other) = (place.coordination().await, place.coordination().await);
    assert_eq!(one.progress(&hash("a")).await.unwrap(), None);
    for (percent, at) in [(0, 10), (40, 20), (40, 30), (0, 40)] {
        one.record_progress(&hash("a"), report(percent, at_us(at))).await.unwrap();
        assert_eq!(one.progress(&hash("a")).await.unwrap(), Some(report(percent, at_us(at))));
    }
    other.record_progress(&hash("b"), report(7, at_us(1))).await.unwrap();
    assert_eq!(other.progress(&hash("b")).await.unwrap(), Some(report(7, at_us(1))));
    one.clear_progress(&hash("a")).await.unwrap();
    one.clear_progress(&hash("a")).await.unwrap();
    assert_eq!(one.progress(&hash("a")).await.unwrap(), None);
    assert!(other.progress(&hash("b")).await.unwrap().is_some());
}

pub async fn deletion_of_last_song_is_recorded(place: &impl CoordinationPlace) {
    let coordination = place.coordination().await;
    coordination.record_progress(&hash("a"), report(50, at_us(0))).await.unwrap();
    assert!(!coordination.was_deleted(&hash("a")).await.unwrap());
    for _ in 0..2 {
        coordination.record_deletion(&hash("a"), at_us(1)).await.unwrap();
    }
    assert!(coordination.was_deleted(&hash("a")).await.unwrap());
    assert!(!coordination.was_deleted(&hash("b")).await.unwrap());
    assert_eq!(coordination.progress(&hash("a")).await.unwrap(), None);
    coordination.forget_old_deletions(at_us(2)).await.unwrap();
    assert!(coordination.was_deleted(&hash("a")).await.unwrap(), "the deletion is still recorded");
}
