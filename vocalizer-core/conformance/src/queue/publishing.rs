#![expect(missing_docs, reason = "each check is named after the guarantee it tests")]

use std::collections::BTreeSet;

use futures_util::future::join_all;

use super::place::{LONG_LEASE, QueuePlace, assert_no_job, job, lease_job, lease_next, queue_with};
use crate::support::{POLLS, hash, interrupt};
use vocalizer_core::ports::JobState;

pub async fn job_carries_hash_and_payload(place: &impl QueuePlace) {
    let queue = queue_with(place, LONG_LEASE, &["a"]).await;
    let lease = lease_next(place, &queue).await;
    assert_eq!(lease.job().hash, hash("a"));
    assert_eq!(format!("{:?}", lease.job().payload), format!("{:?}", place.payload("a")));
    assert_eq!(lease.attempt(), 1);
}

pub async fn acknowledged_job_is_not_redelivered(place: &impl QueuePlace) {
    let queue = queue_with(place, LONG_LEASE, &["a", "b"]).await;
    for _ in 0..2 {
        lease_next(place, &queue).await.acknowledge().await.unwrap();
    }
    assert_no_job(place, &queue).await;
    assert!(place.dead_letters(10).await.is_empty());
}

pub async fn repeated_publish_is_harmless(place: &impl QueuePlace) {
    let queue = queue_with(place, LONG_LEASE, &["a", "a", "b"]).await;
    let mut found = Vec::new();
    while found.last() != Some(&hash("b")) {
        let lease = lease_next(place, &queue).await;
        found.push(lease.job().hash);
        lease.acknowledge().await.unwrap();
        assert!(found.len() <= 3, "more jobs than published");
    }
    let waiting = queue.depth().await.unwrap().waiting;
    assert!(waiting + found.len() as u64 <= 3, "more jobs than published");
}

pub async fn concurrently_published_jobs_are_all_delivered(place: &impl QueuePlace) {
    let queue = queue_with(place, LONG_LEASE, &[]).await;
    let names: Vec<_> = (0..20).map(|number| number.to_string()).collect();
    for published in join_all(names.iter().map(|name| queue.publish(job(place, name)))).await {
        published.unwrap();
    }
    let mut found = BTreeSet::new();
    while found.len() < names.len() {
        let lease = lease_next(place, &queue).await;
        found.insert(lease.job().hash);
        lease.acknowledge().await.unwrap();
    }
    assert_eq!(found, names.iter().map(|name| hash(name)).collect());
}

pub async fn dropped_publish_does_not_affect_other_jobs(place: &impl QueuePlace) {
    let queue = queue_with(place, LONG_LEASE, &[]).await;
    for polls in POLLS {
        interrupt(queue.publish(job(place, "dropped")), polls).await;
    }
    queue.publish(job(place, "a")).await.unwrap();
    // The dropped publish may have succeeded or not.
    let mut lease = lease_next(place, &queue).await;
    while lease.job().hash != hash("a") {
        lease.acknowledge().await.unwrap();
        lease = lease_next(place, &queue).await;
    }
    lease.acknowledge().await.unwrap();
    // After another publish the job is certainly there.
    queue.publish(job(place, "dropped")).await.unwrap();
    assert!(matches!(queue.state(&hash("dropped")).await.unwrap(), JobState::Waiting { .. } | JobState::Unknown));
    lease_job(place, &queue, "dropped").await.acknowledge().await.unwrap();
}
