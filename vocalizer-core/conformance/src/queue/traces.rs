#![expect(missing_docs, reason = "each check is named after the guarantee it tests")]

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};

use super::place::{LONG_LEASE, LONG_WAIT, QueuePlace, job, lease_job};
use vocalizer_core::ports::{Failure, JobTrace};

pub async fn job_keeps_its_trace(place: &impl QueuePlace) {
    if !place.keeps_traces() {
        return;
    }
    let queue = place.queue(LONG_LEASE).await;
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().unwrap();
    let trace = Some(JobTrace { parent, published_at_ms: Some(1_764_540_000_123) });
    queue.publish(job(place, "a").with_trace(trace)).await.unwrap();
    for _ in 0..2 {
        let lease = lease_job(place, &queue, "a").await;
        assert_eq!(lease.job().trace, trace);
        lease.fail(Failure::Retry { after: Duration::ZERO }).await.unwrap();
    }
    if let Some(leases) = queue.durable_leases() {
        let Either::Left((granted, _)) = select(leases.grant(), pin!(place.pass(LONG_WAIT))).await else {
            panic!("no job was delivered")
        };
        let granted = granted.unwrap();
        assert_eq!(granted.trace, trace);
        leases.settle(granted.lease, None).await.unwrap();
    } else {
        lease_job(place, &queue, "a").await.acknowledge().await.unwrap();
    }
    // A job without one, as original backends publish it.
    queue.publish(job(place, "b")).await.unwrap();
    let lease = lease_job(place, &queue, "b").await;
    assert_eq!(lease.job().trace, None);
    lease.acknowledge().await.unwrap();
}
