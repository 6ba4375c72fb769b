#![expect(missing_docs, reason = "each check is named after the guarantee it tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::place::{LONG_LEASE, QueuePlace, assert_no_job, job, lease_job, lease_next};
use crate::support::hash;
use vocalizer_core::account::UserId;
use vocalizer_core::models::ModelName;
use vocalizer_core::ports::{Failure, JobLine, JobQueue, JobState, Lease};
use vocalizer_core::song::{FailureReason, SongHash};

fn line_of(owner: UserId) -> JobLine {
    JobLine { owner: Some(owner), priority: 0 }
}

/// Opens an empty queue; `None` if it has no lines.
async fn fair_queue(place: &impl QueuePlace) -> Option<Arc<dyn JobQueue>> {
    if place.has_lines() { Some(place.queue(LONG_LEASE).await) } else { None }
}

async fn publish_in(place: &impl QueuePlace, queue: &Arc<dyn JobQueue>, names: &[&str], line: JobLine) {
    for name in names {
        queue.publish_in(job(place, name), line).await.unwrap();
    }
}

/// Takes the waiting jobs in this order, and checks that their positions said so.
async fn assert_order(place: &impl QueuePlace, queue: &Arc<dyn JobQueue>, names: &[&str]) {
    let hashes: Vec<_> = names.iter().map(|name| hash(name)).collect();
    for (taken, name) in names.iter().enumerate() {
        let expected: Vec<_> =
            (0..hashes.len() - taken).map(|before| JobState::Waiting { before: before as u64 }).collect();
        assert_eq!(queue.states(&hashes[taken..]).await.unwrap(), expected, "before {name}");
        lease_job(place, queue, name).await.acknowledge().await.unwrap();
    }
    assert_eq!(queue.depth().await.unwrap().waiting, 0);
}

pub async fn owners_take_turns(place: &impl QueuePlace) {
    let Some(queue) = fair_queue(place).await else { return };
    let (ada, bob) = (line_of(UserId::random()), line_of(UserId::random()));
    publish_in(place, &queue, &["a1", "a2", "a3", "a4"], ada).await;
    publish_in(place, &queue, &["b1", "b2"], bob).await;
    publish_in(place, &queue, &["c1"], JobLine::default()).await;
    assert_order(place, &queue, &["a1", "b1", "c1", "a2", "b2", "a3", "a4"]).await;
}

pub async fn jobs_ahead_are_counted_by_model(place: &impl QueuePlace) {
    let Some(queue) = fair_queue(place).await else { return };
    let (ada, bob) = (line_of(UserId::random()), line_of(UserId::random()));
    let best: ModelName = "best".parse().unwrap();
    for name in ["a1", "a2", "a3"] {
        queue.publish_in(job(place, name).with_model(best, hash(name)), ada).await.unwrap();
    }
    publish_in(place, &queue, &["b1"], bob).await;
    let ahead = async |name: &str| {
        queue.jobs_ahead(&hash(name)).await.unwrap().map(|ahead| ahead.into_iter().collect::<Vec<_>>())
    };
    for (name, expected) in [
        ("a1", vec![]),
        ("b1", vec![(Some(best), 1)]),
        ("a2", vec![(None, 1), (Some(best), 1)]),
        ("a3", vec![(None, 1), (Some(best), 2)]),
    ] {
        assert_eq!(ahead(name).await, Some(expected), "{name}");
    }
    let lease = lease_job(place, &queue, "a1").await;
    assert_eq!((ahead("a1").await, ahead("b1").await), (None, Some(vec![])));
    lease.acknowledge().await.unwrap();
    assert_eq!(ahead("a1").await, None);
}

pub async fn newcomer_waits_for_one_job_of_each_owner(place: &impl QueuePlace) {
    let Some(queue) = fair_queue(place).await else { return };
    let (ada, bob) = (line_of(UserId::random()), line_of(UserId::random()));
    let names: Vec<_> = (0..50).map(|number| format!("a{number}")).collect();
    publish_in(place, &queue, &names.iter().map(String::as_str).collect::<Vec<_>>(), ada).await;
    publish_in(place, &queue, &["b"], bob).await;
    assert_eq!(queue.state(&hash("b")).await.unwrap(), JobState::Waiting { before: 1 });
    lease_job(place, &queue, "a0").await.acknowledge().await.unwrap();
    lease_job(place, &queue, "b").await.acknowledge().await.unwrap();
    // Who publishes one job after another gets every other turn, not every one.
    publish_in(place, &queue, &["c"], bob).await;
    lease_job(place, &queue, "a1").await.acknowledge().await.unwrap();
    lease_job(place, &queue, "c").await.acknowledge().await.unwrap();
    lease_job(place, &queue, "a2").await.acknowledge().await.unwrap();
}

pub async fn higher_priority_is_first(place: &impl QueuePlace) {
    let Some(queue) = fair_queue(place).await else { return };
    let (ada, bob) = (UserId::random(), UserId::random());
    let line = |owner, priority| JobLine { owner: Some(owner), priority };
    publish_in(place, &queue, &["low"], line(ada, -5)).await;
    publish_in(place, &queue, &["a1", "a2"], line(ada, 0)).await;
    publish_in(place, &queue, &["b1"], line(bob, 0)).await;
    publish_in(place, &queue, &["high1", "high2"], line(ada, 7)).await;
    publish_in(place, &queue, &["high3"], line(bob, 7)).await;
    assert_order(place, &queue, &["high1", "high3", "high2", "a1", "b1", "a2", "low"]).await;
}

pub async fn shared_job_belongs_to_the_owner_who_is_first(place: &impl QueuePlace) {
    let Some(queue) = fair_queue(place).await else { return };
    let (ada, bob) = (line_of(UserId::random()), line_of(UserId::random()));
    publish_in(place, &queue, &["a1", "a2", "shared", "a3"], ada).await;
    publish_in(place, &queue, &["b1"], bob).await;
    // Second in Bob's line, third in Ada's.
    queue.move_ahead(&hash("shared"), bob).await.unwrap();
    queue.move_ahead(&hash("shared"), ada).await.unwrap();
    queue.move_ahead(&hash("unknown"), ada).await.unwrap();
    // Publishing it again does the same.
    publish_in(place, &queue, &["a3"], JobLine { priority: 1, ..bob }).await;
    publish_in(place, &queue, &["a3"], ada).await;
    assert_order(place, &queue, &["a3", "a1", "b1", "a2", "shared"]).await;
}

pub async fn withdrawn_job_leaves_the_queue(place: &impl QueuePlace) {
    let Some(queue) = fair_queue(place).await else { return };
    let (ada, bob) = (line_of(UserId::random()), line_of(UserId::random()));
    publish_in(place, &queue, &["a1", "a2"], ada).await;
    publish_in(place, &queue, &["b1", "b2"], bob).await;
    for name in ["a1", "a1", "unknown"] {
        queue.withdraw(&hash(name)).await.unwrap();
    }
    assert_eq!(queue.state(&hash("a1")).await.unwrap(), JobState::Absent);
    assert_eq!(queue.depth().await.unwrap().waiting, 3);
    // A leased job is left to its worker.
    let lease = lease_job(place, &queue, "a2").await;
    queue.withdraw(&hash("a2")).await.unwrap();
    assert_eq!(queue.state(&hash("a2")).await.unwrap(), JobState::Leased);
    lease.acknowledge().await.unwrap();
    lease_job(place, &queue, "b1").await.fail(Failure::Retry { after: LONG_LEASE }).await.unwrap();
    queue.withdraw(&hash("b1")).await.unwrap();
    // It can be published again.
    publish_in(place, &queue, &["a1"], ada).await;
    assert_order(place, &queue, &["b2", "a1"]).await;
    assert_no_job(place, &queue).await;
}

/// Random numbers that are the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// The name of a job in [`positions_agree_with_deliveries`].
fn name(number: usize) -> String {
    format!("job {number}")
}

/// Returns the waiting jobs in the order of their positions.
async fn in_order(queue: &Arc<dyn JobQueue>, hashes: &[SongHash]) -> Vec<SongHash> {
    let mut order = BTreeMap::new();
    for (hash, state) in hashes.iter().zip(queue.states(hashes).await.unwrap()) {
        if let JobState::Waiting { before } = state {
            assert_eq!(order.insert(before, *hash), None, "two jobs with the position {before}");
        }
    }
    assert!(order.keys().copied().eq(0..order.len() as u64), "gaps in the positions: {order:?}");
    assert_eq!(queue.depth().await.unwrap().waiting, order.len() as u64);
    order.into_values().collect()
}

/// Publishes, leases, fails, moves and withdraws jobs at random. Each job that is delivered had the position 0, and if
/// nothing else happens, all others move up by one.
pub async fn positions_agree_with_deliveries(place: &impl QueuePlace) {
    let Some(queue) = fair_queue(place).await else { return };
    let owners: [_; 4] = std::array::from_fn(|number| (number > 0).then(UserId::random));
    let mut random = Random(66);
    let (mut hashes, mut held, mut delayed) = (Vec::new(), Vec::<Box<dyn Lease>>::new(), BTreeSet::new());
    let is_ready = |delayed: &BTreeSet<_>, hash: Option<&SongHash>| hash.is_some_and(|hash| !delayed.contains(hash));
    for _ in 0..150 {
        let owner = owners[random.below(4) as usize];
        let line = JobLine { owner, priority: i32::from(random.below(2) == 1) };
        let known = (!hashes.is_empty()).then(|| random.below(hashes.len() as u64) as usize);
        match (random.below(10), known) {
            (0..=3, _) => {
                let name = name(hashes.len());
                hashes.push(hash(&name));
                queue.publish_in(job(place, &name), line).await.unwrap();
            }
            (4, Some(known)) => queue.move_ahead(&hashes[known], line).await.unwrap(),
            (5, Some(known)) => {
                delayed.remove(&hashes[known]);
                queue.withdraw(&hashes[known]).await.unwrap();
            }
            (6, _) if !held.is_empty() => {
                let index = random.below(held.len() as u64) as usize;
                let lease = held.swap_remove(index);
                match random.below(4) {
                    0 => lease.acknowledge().await.unwrap(),
                    1 => lease.fail(Failure::Retry { after: Duration::ZERO }).await.unwrap(),
                    2 => {
                        delayed.insert(lease.job().hash);
                        lease.fail(Failure::Later { after: LONG_LEASE }).await.unwrap();
                    }
                    _ => lease.fail(Failure::Never { reason: FailureReason::new("no") }).await.unwrap(),
                }
            }
            _ => {
                let before = in_order(&queue, &hashes).await;
                // Delayed jobs are last and are not delivered.
                if !is_ready(&delayed, before.first()) {
                    continue;
                }
                let lease = lease_next(place, &queue).await;
                assert_eq!(Some(&lease.job().hash), before.first());
                assert_eq!(in_order(&queue, &hashes).await, before[1..]);
                held.push(lease);
            }
        }
    }
    // The rest is delivered in the order that was announced, up to the delayed jobs.
    let mut announced = in_order(&queue, &hashes).await;
    announced.retain(|hash| is_ready(&delayed, Some(hash)));
    assert!(announced.len() > 5, "{} jobs at the end", announced.len());
    for hash in announced {
        let lease = lease_next(place, &queue).await;
        assert_eq!(lease.job().hash, hash);
        held.push(lease);
    }
    assert_no_job(place, &queue).await;
}
