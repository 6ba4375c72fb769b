//! Helpers shared by the suites.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration as StdDuration;

use time::{Duration, OffsetDateTime};

use bytes::Bytes;
use vocalizer_core::api::Provenance;
use vocalizer_core::ports::{Blob, BlobError};
use vocalizer_core::song::SongHash;

/// How often a future is polled before it is dropped. What it has done by then depends on the machine.
pub(super) const POLLS: [u32; 6] = [0, 1, 3, 30, 1_000, 30_000];

/// Polls a future at most `polls` times, then drops it.
pub(super) async fn interrupt<T>(future: impl Future<Output = T>, polls: u32) {
    let mut future = pin!(future);
    for _ in 0..polls {
        if poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await {
            return;
        }
        // Yield to the runtime.
        let mut yielded = false;
        poll_fn(|context| {
            context.waker().wake_by_ref();
            if std::mem::replace(&mut yielded, true) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// Returns a time `micros` microseconds after a fixed moment in 2023.
pub(super) fn at_us(micros: i64) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::seconds(1_700_000_000) + Duration::microseconds(micros)
}

/// Reads a whole blob, which must have the announced size.
pub(super) async fn read(mut blob: Blob) -> Result<Bytes, BlobError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = blob.next_chunk().await? {
        bytes.extend_from_slice(&chunk);
    }
    assert_eq!(bytes.len() as u64, blob.size_bytes(), "the announced size");
    Ok(bytes.into())
}

/// Returns a provenance with every field.
pub(super) fn provenance() -> Provenance {
    let mut provenance = Provenance::new("htdemucs „fine“");
    provenance.weights = Some("0123456789abcdef".repeat(4));
    provenance.device = Some("cuda:0,cuda:1".to_owned());
    provenance.precision = Some("f16".to_owned());
    provenance.program = Some("conformance 1".to_owned());
    provenance.measure(StdDuration::from_millis(240_123), StdDuration::from_millis(12_345));
    provenance
}

/// Returns the hash of a text.
pub(super) fn hash(bytes: &str) -> SongHash {
    SongHash::of(bytes.as_bytes())
}
