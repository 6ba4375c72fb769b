//! Await points: where others run, time passes, calls are refused, and processes die.

use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::kernel::{Kernel, OUTSIDE, Place};
use super::plan::SECOND;

/// Why a call came to nothing.
#[derive(Debug)]
pub(crate) struct Away(pub(crate) &'static str);

impl fmt::Display for Away {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Away {}

impl Kernel {
    pub(crate) fn sleep(&self, for_us: u64) -> Sleep<'_> {
        Sleep { kernel: self, until_us: self.now_us().saturating_add(for_us), timer: None }
    }

    /// An await point: others run meanwhile, time may pass, and the process may die here.
    pub(crate) async fn pause(&self) {
        let delay_us = {
            let mut state = self.state();
            let (calm, process) = (state.calm, state.current.1);
            let rates = &self.plan.rates;
            if !calm && process != OUTSIDE && state.crashes > 0 && state.chance.per_mille(rates.crash) {
                state.crashes -= 1;
                None
            } else if !calm && state.chance.per_mille(rates.slow) {
                Some(state.chance.between(1, 10 * SECOND))
            } else {
                // Mostly no time passes at all, so that what is together also collides.
                Some(match state.chance.below(8) {
                    0..=3 => 0,
                    4..=6 => state.chance.between(1, 2000),
                    _ => state.chance.between(1, 200_000),
                })
            }
        };
        match delay_us {
            Some(0) => Yield(false).await,
            Some(delay_us) => self.sleep(delay_us).await,
            None => {
                self.met("crash at an await point");
                self.kill(self.current().1);
                std::future::pending().await
            }
        }
    }

    /// A call to something outside the process. It may be refused, and it may be done and not answered.
    pub(crate) async fn call<T>(&self, place: Place, effect: impl FnOnce() -> T) -> Result<T, Away> {
        self.pause().await;
        if self.is_away(place) || self.fault(self.plan.rates.refused) {
            return Err(Away("refused"));
        }
        let done = effect();
        if self.one_in(2) {
            self.pause().await;
        }
        if self.is_away(place) || self.fault(self.plan.rates.unanswered) {
            self.met("done and not answered");
            return Err(Away("done, and not answered"));
        }
        Ok(done)
    }
}

/// Waits for virtual time.
pub(crate) struct Sleep<'a> {
    kernel: &'a Kernel,
    until_us: u64,
    timer: Option<(u64, u64)>,
}

impl Future for Sleep<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.kernel.state();
        if state.now_us >= self.until_us {
            return Poll::Ready(());
        }
        let key = self.timer.unwrap_or_else(|| {
            state.numbers += 1;
            (self.until_us, state.numbers)
        });
        state.timers.insert(key, context.waker().clone());
        drop(state);
        self.timer = Some(key);
        Poll::Pending
    }
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.timer {
            self.kernel.state().timers.remove(&key);
        }
    }
}

/// Lets others run.
struct Yield(bool);

impl Future for Yield {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
