//! The [`Lease`] of an AMQP job.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use vocalizer_core::ports::{Failure, Job, Lease, QueueError};

use super::delivery::HeldDelivery;
use super::topology::{dead_name, delay_queue};
use super::wire::Message;
use crate::finish::run_to_completion;

pub(super) struct AmqpLease {
    hold: Arc<HeldDelivery>,
    watch: AbortHandle,
    runtime: Handle,
    settling: bool,
}

impl AmqpLease {
    pub(super) fn new(hold: HeldDelivery) -> Self {
        let (hold, runtime) = (Arc::new(hold), Handle::current());
        let watch = runtime.spawn(Arc::clone(&hold).watch()).abort_handle();
        Self { hold, watch, runtime, settling: false }
    }

    async fn settle(mut self: Box<Self>, copy: Option<(String, Message)>) -> Result<(), QueueError> {
        self.settling = true;
        let (hold, watch) = (Arc::clone(&self.hold), self.watch.clone());
        run_to_completion(async move {
            hold.settle(copy).await?;
            watch.abort();
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl Lease for AmqpLease {
    fn job(&self) -> &Job {
        &self.hold.job
    }

    fn attempt(&self) -> u32 {
        self.hold.attempt
    }

    fn visibility(&self) -> Duration {
        self.hold.broker.settings.visibility
    }

    async fn extend(&mut self) -> Result<(), QueueError> {
        run_to_completion(Arc::clone(&self.hold).extend()).await
    }

    async fn acknowledge(self: Box<Self>) -> Result<(), QueueError> {
        self.settle(None).await
    }

    async fn fail(self: Box<Self>, failure: Failure) -> Result<(), QueueError> {
        let name = &self.hold.broker.settings.queue;
        let copy = match failure {
            Failure::Retry { after } => {
                (delay_queue(name, after).unwrap_or_else(|| name.clone()), self.hold.message()?)
            }
            Failure::Later { after } => {
                (delay_queue(name, after).unwrap_or_else(|| name.clone()), self.hold.uncounted()?)
            }
            Failure::Never { reason } => (dead_name(name), self.hold.message()?.dead(&reason)),
        };
        self.settle(Some(copy)).await
    }
}

impl Drop for AmqpLease {
    fn drop(&mut self) {
        if !self.settling {
            self.watch.abort();
            self.runtime.spawn(Arc::clone(&self.hold).return_to_queue());
        }
    }
}
