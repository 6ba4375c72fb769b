//! Durable leases of the simulated broker.

use std::sync::Arc;

use async_trait::async_trait;
use vocalizer_core::ports::{DurableLeases, Failure, Lease as _, LeaseId, LeasedJob, QueueError};

use super::broker::{Broker, Queue, VISIBILITY};
use super::lease::SimulatedLease;

fn id(token: u64) -> LeaseId {
    LeaseId::from_bytes(u128::from(token).to_be_bytes())
}

impl Broker {
    /// Finds a durable lease by its identifier.
    fn find(self: &Arc<Self>, lease: LeaseId) -> Result<SimulatedLease, QueueError> {
        let (_, process, _) = self.kernel.current();
        let state = self.state();
        let found = state.messages.iter().find_map(|message| {
            let granted = message.granted.as_ref().filter(|granted| granted.durable && id(granted.token) == lease)?;
            if granted.process != process {
                self.kernel.cover("lease used at another server");
            }
            let (job, attempt, token) = (message.job.clone(), message.attempts, granted.token);
            Some(SimulatedLease {
                broker: Arc::clone(self),
                job,
                attempt,
                token,
                granted_at: granted.at,
                durable: true,
            })
        });
        found.ok_or(QueueError::LeaseLost)
    }
}

#[async_trait]
impl DurableLeases for Queue {
    async fn grant(&self) -> Result<LeasedJob, QueueError> {
        let mut lease = self.0.wait_for_lease(false).await?;
        for message in &mut self.0.state().messages {
            if let Some(granted) = message.granted.as_mut().filter(|granted| granted.token == lease.token) {
                (granted.durable, lease.durable) = (true, true);
            }
        }
        let (hash, model, key, attempt) = (lease.job.hash, lease.job.model, lease.job.key, lease.attempt);
        let trace = lease.job.trace;
        Ok(LeasedJob { lease: id(lease.token), hash, model, key, trace, attempt, visibility: VISIBILITY })
    }

    async fn extend(&self, lease: LeaseId) -> Result<(), QueueError> {
        self.0.find(lease)?.extend().await
    }

    async fn settle(&self, lease: LeaseId, failure: Option<Failure>) -> Result<(), QueueError> {
        let lease = Box::new(self.0.find(lease)?);
        match failure {
            None => lease.acknowledge().await,
            Some(failure) => lease.fail(failure).await,
        }
    }
}
