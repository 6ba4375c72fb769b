//! A clock that runs by itself and can be set forward.

use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use vocalizer_core::ports::Clock;

/// The real time plus an offset.
pub(crate) struct TestClock {
    began: Instant,
    offset: watch::Sender<Duration>,
}

impl TestClock {
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), offset: watch::Sender::new(Duration::ZERO) }
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.offset.send_modify(|offset| *offset = offset.saturating_add(by));
    }
}

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc() + *self.offset.borrow()
    }

    fn elapsed(&self) -> Duration {
        self.began.elapsed() + *self.offset.borrow()
    }

    async fn sleep(&self, duration: Duration) {
        let until = self.elapsed().saturating_add(duration);
        let mut offset = self.offset.subscribe();
        loop {
            offset.mark_unchanged();
            let left = until.saturating_sub(self.elapsed());
            if left.is_zero() {
                return;
            }
            tokio::select! {
                () = sleep(left) => {}
                _ = offset.changed() => {}
            }
        }
    }
}
