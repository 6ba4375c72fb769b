//! The queue as a worker reaches it that comes over HTTP: through the desk of one server, which keeps its leases and
//! loses them when it dies; or through any server's, where the queue keeps them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use vocalizer_core::ports::{DeadLetter, Depth, Failure, Job, JobPayload, JobQueue, JobState, Lease, QueueError};
use vocalizer_core::service::{LeasedJob, ServiceError};
use vocalizer_core::song::SongHash;

use super::calls::Away;
use super::network::Whither;
use super::world::World;

/// How long a server waits for a job before it says that there is none.
const WAIT: Duration = Duration::from_secs(30);

pub(crate) struct DeskQueue(pub(crate) Arc<World>);

fn unavailable(why: &'static str) -> QueueError {
    QueueError::Unavailable(Box::new(Away(why)))
}

#[async_trait]
impl JobQueue for DeskQueue {
    async fn publish(&self, _job: Job) -> Result<(), QueueError> {
        Err(unavailable("workers publish nothing"))
    }

    async fn lease(&self) -> Result<Box<dyn Lease>, QueueError> {
        let world = &self.0;
        loop {
            let server = world.kernel.below(world.kernel.plan.servers as u64) as usize;
            let there = Arc::clone(world);
            let leased = move |_| {
                let world = Arc::clone(&there);
                async move {
                    let leased = world.desk(server)?.lease(WAIT).await.ok()?;
                    Some(leased.map(|leased| (leased, world.broker.number_of(&leased.hash))))
                }
            };
            match world.ask_at(Whither::To(server), leased).await {
                Ok(Some(Some((leased, number)))) => {
                    let (_, process, _) = world.kernel.current();
                    world.ghost.granted(process, number.unwrap_or(0));
                    world.kernel.met("leased over a desk");
                    let job = Job { hash: leased.hash, payload: JobPayload::Stored };
                    return Ok(Box::new(DeskLease { world: Arc::clone(world), server, leased, job }));
                }
                Ok(Some(None)) => {}
                Ok(None) | Err(_) => return Err(unavailable("the desk does not answer")),
            }
        }
    }

    async fn state(&self, _hash: &SongHash) -> Result<JobState, QueueError> {
        Ok(JobState::Unknown)
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        Err(unavailable("workers do not ask"))
    }

    async fn dead_letters(&self, _limit: u32) -> Result<Vec<DeadLetter>, QueueError> {
        Err(unavailable("workers do not ask"))
    }
}

/// Dropped, it is let go by the desk once it has run out.
struct DeskLease {
    world: Arc<World>,
    server: usize,
    leased: LeasedJob,
    job: Job,
}

fn told(answer: Result<Option<Result<(), ServiceError>>, Away>) -> Result<(), QueueError> {
    match answer {
        Ok(Some(Ok(()))) => Ok(()),
        Ok(Some(Err(ServiceError::Conflict { .. }))) => Err(QueueError::LeaseLost),
        Ok(Some(Err(_)) | None) | Err(_) => Err(unavailable("the desk does not answer")),
    }
}

impl DeskLease {
    /// Where to go with it.
    fn server(&self) -> usize {
        let plan = &self.world.kernel.plan;
        if plan.durable { self.world.kernel.below(plan.servers as u64) as usize } else { self.server }
    }

    /// To its end, even where the worker has left: a lease half settled is nobody's.
    async fn settle(&self, failure: Option<Failure>) -> Result<(), QueueError> {
        let (world, server, lease) = (Arc::clone(&self.world), self.server(), self.leased.lease);
        let settled = move |_| {
            let (world, failure) = (Arc::clone(&world), failure.clone());
            async move { Some(world.desk(server)?.settle(lease, failure).await) }
        };
        told(self.world.ask_at(Whither::ToTheEnd(server), settled).await)
    }
}

#[async_trait]
impl Lease for DeskLease {
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
            async move { Some(world.desk(server)?.extend(lease).await) }
        };
        told(self.world.ask_at(Whither::To(server), extended).await)
    }

    async fn acknowledge(self: Box<Self>) -> Result<(), QueueError> {
        self.settle(None).await
    }

    async fn fail(self: Box<Self>, failure: Failure) -> Result<(), QueueError> {
        self.settle(Some(failure)).await
    }
}
