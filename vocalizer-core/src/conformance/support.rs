//! What the suites have in common.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use time::{Duration, OffsetDateTime};

use crate::song::SongHash;

/// How often a future is polled before it is dropped; what it has done by then depends on the machine, as in life.
pub(super) const POLLS: [u32; 6] = [0, 1, 3, 30, 1_000, 30_000];

/// Polls a future so often, unless it ends before, and drops it.
pub(super) async fn interrupt<T>(future: impl Future<Output = T>, polls: u32) {
    let mut future = pin!(future);
    for _ in 0..polls {
        if poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await {
            return;
        }
        // Lets the runtime do other things.
        let mut yielded = false;
        poll_fn(|context| {
            context.waker().wake_by_ref();
            if std::mem::replace(&mut yielded, true) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// So many microseconds after some moment of 2023.
pub(super) fn at_us(micros: i64) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::seconds(1_700_000_000) + Duration::microseconds(micros)
}

/// The hash of some bytes.
pub(super) fn hash(bytes: &str) -> SongHash {
    SongHash::of(bytes.as_bytes())
}
