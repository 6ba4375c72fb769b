//! Await points, at which other tasks run, time passes, calls fail and processes crash.

use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::kernel::{Component, Kernel, OUTSIDE};
use super::plan::SECOND;

/// Why a call failed.
#[derive(Debug)]
pub(crate) struct CallError(pub(crate) &'static str);

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for CallError {}

impl Kernel {
    pub(crate) fn sleep(&self, for_us: u64) -> Sleep<'_> {
        Sleep { kernel: self, until_us: self.now_us().saturating_add(for_us), timer: None }
    }

    /// An await point: other tasks run, time may pass, and the process may crash.
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
                // Often no time passes, so that concurrent operations collide.
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
                self.cover("crash at an await point");
                self.kill(self.current().1);
                std::future::pending().await
            }
        }
    }

    /// Calls an external component. The call may be refused, or take effect without a response.
    pub(crate) async fn call<T>(&self, component: Component, effect: impl FnOnce() -> T) -> Result<T, CallError> {
        self.pause().await;
        if self.is_unavailable(component) || self.fault(self.plan.rates.refused) {
            return Err(CallError("refused"));
        }
        let done = effect();
        if self.one_in(2) {
            self.pause().await;
        }
        if self.is_unavailable(component) || self.fault(self.plan.rates.no_response) {
            self.cover("effect without response");
            return Err(CallError("no response"));
        }
        Ok(done)
    }
}

/// Sleeps in virtual time.
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

/// Yields to other tasks.
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
