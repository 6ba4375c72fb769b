//! A separator without a model.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use vocalizer_core::ports::{AudioError, Blob, Progress, Separator, StemSet};

use super::support::stems;

/// A fake separator that returns [`stems`] at once, unless a test sets it otherwise.
#[derive(Default)]
pub(crate) struct FakeSeparator {
    /// Number of attempts that fail before one succeeds.
    pub(crate) failures: AtomicU32,
    /// Duration of each song in milliseconds.
    pub(crate) takes_ms: AtomicU32,
    /// Number of started separations.
    pub(crate) begun: AtomicU32,
    /// Number of separations dropped before their end.
    pub(crate) cancelled: Arc<AtomicU32>,
}

impl FakeSeparator {
    fn takes(&self) -> Duration {
        Duration::from_millis(self.takes_ms.load(Ordering::SeqCst).into())
    }
}

struct CancelCounter(Arc<AtomicU32>, bool);

impl Drop for CancelCounter {
    fn drop(&mut self) {
        if !self.1 {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[async_trait]
impl Separator for FakeSeparator {
    async fn separate(&self, mut song: Blob, progress: Arc<dyn Progress>) -> Result<Box<dyn StemSet>, AudioError> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let mut ended = CancelCounter(Arc::clone(&self.cancelled), false);
        let mut head = Vec::new();
        while let Some(chunk) = song.next_chunk().await.map_err(|e| AudioError::Failed(e.into()))? {
            head.extend_from_slice(&chunk[..chunk.len().min(64)]);
        }
        for step in 0..10 {
            progress.report(step * 10);
            let began = Instant::now();
            loop {
                // A test may change the duration while a separation runs.
                let left = (self.takes() / 10).saturating_sub(began.elapsed());
                tokio::time::sleep(left.min(Duration::from_millis(10))).await;
                if began.elapsed() >= self.takes() / 10 {
                    break;
                }
            }
        }
        ended.1 = true;
        if self.failures.load(Ordering::SeqCst) > 0 {
            self.failures.fetch_sub(1, Ordering::SeqCst);
            return Err(AudioError::Failed("the fake separator is set to fail".into()));
        }
        progress.report(100);
        Ok(Box::new(stems()))
    }
}
