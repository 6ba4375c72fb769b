//! The queue as seen by a worker over HTTP: through the desk of one server, which loses its leases when it crashes, or
//! through any server if the queue stores the leases.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use vocalizer_core::ports::{Depth, Failure, Job, JobPayload, JobQueue, JobState, Lease, QueueError};
use vocalizer_core::service::{LeasedJob, ServiceError};
use vocalizer_core::song::SongHash;

use super::calls::CallError;
use super::network::Target;
use super::world::World;

/// How long a server waits for a job before it responds that there is none.
const WAIT: Duration = Duration::from_secs(30);

pub(crate) struct DeskQueue(pub(crate) Arc<World>);

fn unavailable(why: &'static str) -> QueueError {
    QueueError::Unavailable(Box::new(CallError(why)))
}

#[async_trait]
impl JobQueue for DeskQueue {
    async fn publish(&self, _job: Job) -> Result<(), QueueError> {
        Err(unavailable("workers do not publish"))
    }

    async fn lease(&self) -> Result<Box<dyn Lease>, QueueError> {
        let world = &self.0;
        loop {
            let server = world.kernel.below(world.kernel.plan.servers as u64) as usize;
            let there = Arc::clone(world);
            let leased = move |_| {
                let world = Arc::clone(&there);
                async move {
                    let leased = world.leases(server)?.lease(WAIT).await.ok()?;
                    Some(leased.map(|leased| (leased, world.broker.number_of(&leased.hash))))
                }
            };
            match world.request_to(Target::Server(server), leased).await {
                Ok(Some(Some((leased, number)))) => {
                    let (_, process, _) = world.kernel.current();
                    world.ghost.granted(process, number.unwrap_or(0));
                    world.kernel.cover("leased over HTTP");
                    let job = Job::new(leased.hash, JobPayload::Stored);
                    return Ok(Box::new(RemoteLease { world: Arc::clone(world), server, leased, job }));
                }
                Ok(Some(None)) => {}
                Ok(None) | Err(_) => return Err(unavailable("no response from the desk")),
            }
        }
    }

    async fn state(&self, _hash: &SongHash) -> Result<JobState, QueueError> {
        Ok(JobState::Unknown)
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        Err(unavailable("not available to workers"))
    }
}

/// A lease from a desk. If dropped, the desk releases it when it expires.
struct RemoteLease {
    world: Arc<World>,
    server: usize,
    leased: LeasedJob,
    job: Job,
}

fn to_queue_result(response: Result<Option<Result<(), ServiceError>>, CallError>) -> Result<(), QueueError> {
    match response {
        Ok(Some(Ok(()))) => Ok(()),
        Ok(Some(Err(ServiceError::Conflict { .. }))) => Err(QueueError::LeaseLost),
        Ok(Some(Err(_)) | None) | Err(_) => Err(unavailable("no response from the desk")),
    }
}

impl RemoteLease {
    /// Returns the server to send requests to.
    fn server(&self) -> usize {
        let plan = &self.world.kernel.plan;
        if plan.durable { self.world.kernel.below(plan.servers as u64) as usize } else { self.server }
    }

    /// Settles the lease to completion, even if the worker is gone: a half-settled lease would be lost.
    async fn settle(&self, failure: Option<Failure>) -> Result<(), QueueError> {
        let (world, server, lease) = (Arc::clone(&self.world), self.server(), self.leased.lease);
        let settled = move |_| {
            let (world, failure) = (Arc::clone(&world), failure.clone());
            async move { Some(world.leases(server)?.settle(lease, failure).await) }
        };
        to_queue_result(self.world.request_to(Target::ToCompletion(server), settled).await)
    }
}

#[async_trait]
impl Lease for RemoteLease {
    fn job(&self) -> &Job {
        &self.job
    }

    fn attempt(&self) -> u32 {
        self.leased.attempt
    }

    fn visibility(&self) -> Duration {
        self.leased.visibility
    }

    async fn extend(&mut self) -> Result<(), QueueError> {
        let (world, server, lease) = (Arc::clone(&self.world), self.server(), self.leased.lease);
        let extended = move |_| {
            let world = Arc::clone(&world);
            async move { Some(world.leases(server)?.extend(lease).await) }
        };
        to_queue_result(self.world.request_to(Target::Server(server), extended).await)
    }

    async fn acknowledge(self: Box<Self>) -> Result<(), QueueError> {
        self.settle(None).await
    }

    async fn fail(self: Box<Self>, failure: Failure) -> Result<(), QueueError> {
        self.settle(Some(failure)).await
    }
}
