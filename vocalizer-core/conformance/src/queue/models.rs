#![expect(missing_docs, reason = "each check is named after the guarantee it tests")]

use std::pin::pin;

use futures_util::future::{Either, select};

use super::place::{LONG_LEASE, LONG_WAIT, QueuePlace, SHORT_WAIT, assert_no_job, job, lease_job};
use crate::support::hash;
use vocalizer_core::models::Capabilities;
use vocalizer_core::ports::JobState;

pub async fn job_of_a_further_model_waits_for_its_worker(place: &impl QueuePlace) {
    if !place.selects_models() {
        return;
    }
    let (queue, best) = (place.queue(LONG_LEASE).await, "best".parse().unwrap());
    queue.publish(job(place, "a").with_model(best, hash("a by best"))).await.unwrap();
    queue.publish(job(place, "a")).await.unwrap();
    queue.publish(job(place, "b").with_model("default".parse().unwrap(), hash("b"))).await.unwrap();
    assert!(matches!(queue.state(&hash("a by best")).await.unwrap(), JobState::Waiting { .. } | JobState::Unknown));
    // A worker that names no models takes jobs of the default model, past those of others.
    for name in ["a", "b"] {
        let lease = lease_job(place, &queue, name).await;
        assert_eq!(lease.job().key, hash(name));
        lease.acknowledge().await.unwrap();
    }
    assert_no_job(place, &queue).await;
    let queue = place.queue(LONG_LEASE).await;
    let other = Capabilities::of(vec!["other".parse().unwrap()]);
    if let Either::Left((lease, _)) = select(queue.lease_for(&other), pin!(place.pass(SHORT_WAIT))).await {
        panic!("unexpected job: {:?}", lease.unwrap().job());
    }
    let capable = Capabilities::of(vec!["other".parse().unwrap(), best]);
    let lease = match select(queue.lease_for(&capable), pin!(place.pass(LONG_WAIT))).await {
        Either::Left((lease, _)) => lease.unwrap(),
        Either::Right(_) => panic!("no job was delivered"),
    };
    let taken = lease.job();
    assert_eq!((taken.hash, taken.key, taken.model), (hash("a"), hash("a by best"), Some(best)));
    lease.acknowledge().await.unwrap();
}

pub async fn granted_lease_names_the_model(place: &impl QueuePlace) {
    if !place.selects_models() {
        return;
    }
    let queue = place.queue(LONG_LEASE).await;
    let Some(leases) = queue.durable_leases() else { return };
    let best = "best".parse().unwrap();
    queue.publish(job(place, "a").with_model(best, hash("a by best"))).await.unwrap();
    if let Either::Left((job, _)) = select(leases.grant(), pin!(place.pass(SHORT_WAIT))).await {
        panic!("unexpected job: {:?}", job.unwrap());
    }
    let capable = Capabilities::of(vec![best]);
    let job = match select(leases.grant_for(&capable), pin!(place.pass(LONG_WAIT))).await {
        Either::Left((job, _)) => job.unwrap(),
        Either::Right(_) => panic!("no job was delivered"),
    };
    assert_eq!((job.hash, job.key, job.model), (hash("a"), hash("a by best"), Some(best)));
    leases.settle(job.lease, None).await.unwrap();
    assert_no_job(place, &queue).await;
}
