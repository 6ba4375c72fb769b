//! All components of a run, and the start of its processes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use event_listener::Event;
use futures_util::future::select;
use time::OffsetDateTime;
use vocalizer_core::causes::chain;
use vocalizer_core::limits::Limits;
use vocalizer_core::ports::{Clock, Coordination, JobQueue};
use vocalizer_core::service::{LocalCoordination, RemoteLeases, SongService, SongSettings};
use vocalizer_core::song::SongId;
use vocalizer_core::worker::{Worker, WorkerSettings};

use super::audio::{FakeAudio, SlowSeparator};
use super::blobs::Blobs;
use super::broker::{Broker, Queue};
use super::coordination::SharedCoordination;
use super::database::Database;
use super::ghost::Ghost;
use super::kernel::{Kernel, OUTSIDE, Process};
use super::network::Remote;
use super::plan::SECOND;
use super::planted::{Bug, EagerQueue};
use super::remote_leases::DeskQueue;

/// The same intervals as the service.
const RELAY_US: u64 = 2 * SECOND;
const SWEEP_US: u64 = 600 * SECOND;

pub(crate) struct World {
    pub(crate) kernel: Arc<Kernel>,
    pub(crate) ghost: Arc<Ghost>,
    pub(crate) database: Arc<Database>,
    pub(crate) blobs: Blobs,
    pub(crate) broker: Arc<Broker>,
    coordination: Arc<SharedCoordination>,
    services: Mutex<Vec<Option<SongService>>>,
    desks: Mutex<Vec<Option<Arc<RemoteLeases>>>>,
    /// Tells each worker to stop.
    pub(crate) stops: Vec<Event>,
    /// The accepted uploads, and whether a user asked to delete them.
    pub(crate) accepted: Mutex<Vec<(SongId, bool)>>,
}

impl World {
    pub(crate) fn new(kernel: &Arc<Kernel>) -> Arc<Self> {
        let ghost = Ghost::new(kernel);
        Arc::new(Self {
            kernel: Arc::clone(kernel),
            database: Database::new(kernel, &ghost),
            blobs: Blobs::new(kernel, &ghost),
            broker: Broker::new(kernel, &ghost),
            coordination: SharedCoordination::new(kernel),
            ghost,
            services: Mutex::new(vec![None; kernel.plan.servers]),
            desks: Mutex::new(vec![None; kernel.plan.servers]),
            stops: (0..kernel.plan.workers).map(|_| Event::new()).collect(),
            accepted: Mutex::default(),
        })
    }

    /// Returns the service of a server, if it is up.
    pub(crate) fn service(&self, server: usize) -> Option<(Process, SongService)> {
        let process = 1 + server;
        let service = self.services.lock().expect("single-threaded")[server].clone();
        service.filter(|_| self.kernel.is_alive(process)).map(|service| (process, service))
    }

    /// Returns the leases of a server.
    pub(crate) fn leases(&self, server: usize) -> Option<Arc<RemoteLeases>> {
        self.desks.lock().expect("single-threaded")[server].clone()
    }

    pub(crate) fn start(self: &Arc<Self>, process: Process) {
        self.kernel.start(process);
        self.kernel.note(format_args!("process {process} starts"));
        if let Some(server) = self.kernel.plan.server(process) {
            self.start_server(process, server);
        } else if let Some(worker) = self.kernel.plan.worker(process) {
            self.start_worker(process, worker);
        }
    }

    fn start_server(self: &Arc<Self>, process: Process, server: usize) {
        let audio = Arc::new(FakeAudio(Arc::clone(&self.kernel)));
        let coordination: Arc<dyn Coordination> = if self.kernel.plan.local_coordination {
            Arc::new(LocalCoordination::default())
        } else {
            Arc::clone(&self.coordination) as _
        };
        let queue = Arc::new(Queue(Arc::clone(&self.broker)));
        let clock = Arc::new(SimulatedClock(Arc::clone(&self.kernel)));
        let leases = RemoteLeases::new(Arc::clone(&queue) as _, Arc::clone(&clock) as _);
        self.desks.lock().expect("single-threaded")[server] = Some(Arc::new(leases));
        let settings = SongSettings { limits: Limits::for_testing(), ..SongSettings::default() };
        let service = SongService::builder_with_clock(
            Arc::clone(&self.database) as _,
            Arc::new(self.blobs.clone()),
            queue,
            clock,
        )
        .with_coordination(coordination)
        .with_probe(Arc::clone(&audio) as _)
        .with_renderer(Arc::clone(&audio) as _)
        .with_results(audio)
        .with_settings(settings)
        .build();
        self.services.lock().expect("single-threaded")[server] = Some(service.clone());
        self.kernel.spawn(process, "maintenance", Arc::clone(self).maintain(service));
    }

    /// Relays and sweeps like the service, and relays immediately when there is a new outbox entry.
    async fn maintain(self: Arc<Self>, service: SongService) {
        let kernel = &self.kernel;
        let mut next_sweep_us = kernel.now_us();
        loop {
            let notified = service.outbox_changed();
            // Skip an empty outbox, which would dominate the run.
            if !self.database.outbox_is_empty()
                && let Err(error) = service.relay().await
            {
                kernel.note(format_args!("a relay failed: {}", chain(&error)));
            }
            if kernel.now_us() >= next_sweep_us {
                match service.sweep().await {
                    Ok(swept) if swept.orphans > 0 => kernel.cover("orphans swept"),
                    Ok(_) => {}
                    Err(error) => {
                        kernel.cover("sweep not finished");
                        kernel.note(format_args!("a sweep failed: {}", chain(&error)));
                    }
                }
                next_sweep_us = kernel.now_us() + SWEEP_US;
            }
            if kernel.plan.exact {
                kernel.sleep(RELAY_US).await;
            } else {
                select(notified, kernel.sleep(RELAY_US)).await;
            }
        }
    }

    fn start_worker(self: &Arc<Self>, process: Process, worker: usize) {
        if self.kernel.plan.original && worker > 0 {
            self.kernel.spawn(process, "original", Arc::clone(self).original(process));
            return;
        }
        let queue: Arc<dyn JobQueue> = if self.kernel.plan.desks {
            Arc::new(DeskQueue(Arc::clone(self)))
        } else if self.ghost.has(Bug::AcknowledgesBeforeDelivering) {
            Arc::new(EagerQueue(Queue(Arc::clone(&self.broker))))
        } else {
            Arc::new(Queue(Arc::clone(&self.broker)))
        };
        let chance = Arc::clone(&self.kernel);
        let instance = Worker::builder_with_clock(
            queue,
            Arc::new(Remote { world: Arc::clone(self) }),
            Arc::new(SlowSeparator { kernel: Arc::clone(&self.kernel), broker: Arc::clone(&self.broker) }),
            Arc::new(SimulatedClock(Arc::clone(&self.kernel))),
        )
        .with_settings(worker_settings())
        .with_chance(move || u16::try_from(chance.below(1 << 16)).unwrap_or(u16::MAX))
        .build();
        let world = Arc::clone(self);
        self.kernel.spawn(process, "worker", async move {
            let stop = world.stops[worker].listen();
            instance.run(stop_signal(stop)).await;
            world.kernel.cover("worker stopped");
            world.kernel.kill(process);
        });
    }

    /// Restarts dead processes after a delay.
    pub(crate) async fn restart(self: Arc<Self>) {
        loop {
            let died = self.kernel.died.listen();
            for process in self.kernel.dead_processes() {
                if let Some(server) = self.kernel.plan.server(process) {
                    let leases = self.desks.lock().expect("single-threaded")[server].take();
                    self.kernel.drop_as_dead(leases);
                }
                let world = Arc::clone(&self);
                self.kernel.spawn(OUTSIDE, "restart", async move {
                    world.kernel.sleep(world.kernel.below(90 * SECOND)).await;
                    world.start(process);
                });
            }
            died.await;
        }
    }
}

async fn stop_signal(stop: event_listener::EventListener) {
    stop.await;
}

pub(crate) fn worker_settings() -> WorkerSettings {
    WorkerSettings { heartbeat: Duration::from_secs(3), max_separation: Duration::from_secs(600), ..Default::default() }
}

/// Virtual time with a constant skew per process.
struct SimulatedClock(Arc<Kernel>);

#[async_trait]
impl Clock for SimulatedClock {
    fn now(&self) -> OffsetDateTime {
        true_time(self.0.now_us()) + time::Duration::seconds(self.0.skew_s())
    }

    fn elapsed(&self) -> Duration {
        Duration::from_micros(self.0.now_us())
    }

    async fn sleep(&self, duration: Duration) {
        self.0.sleep(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)).await;
    }
}

/// Returns the correct time. It starts late enough that a slow clock does not show a time before 1970.
pub(crate) fn true_time(now_us: u64) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::from_secs(3600) + Duration::from_micros(now_us)
}
