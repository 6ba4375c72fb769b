#![expect(missing_docs, reason = "each is named for the promise that it holds the queue to")]

use std::collections::BTreeSet;

use futures_util::future::join_all;

use super::place::{LONG, QueuePlace, job, leased, leased_as, nothing_comes, queue_of};
use crate::conformance::support::{POLLS, hash, interrupt};
use crate::ports::JobState;

pub async fn a_job_says_which_song_it_is_for(place: &impl QueuePlace) {
    let queue = queue_of(place, LONG, &["a"]).await;
    let lease = leased(place, &queue).await;
    assert_eq!(lease.job().hash, hash("a"));
    assert_eq!(format!("{:?}", lease.job().payload), format!("{:?}", place.payload("a")));
    assert_eq!(lease.attempt(), 1);
}

pub async fn an_acknowledged_job_never_comes_again(place: &impl QueuePlace) {
    let queue = queue_of(place, LONG, &["a", "b"]).await;
    for _ in 0..2 {
        leased(place, &queue).await.acknowledge().await.unwrap();
    }
    nothing_comes(place, &queue).await;
    assert!(queue.dead_letters(10).await.unwrap().is_empty());
}

pub async fn a_repeat_does_no_harm(place: &impl QueuePlace) {
    let queue = queue_of(place, LONG, &["a", "a", "b"]).await;
    let mut found = Vec::new();
    while found.last() != Some(&hash("b")) {
        let lease = leased(place, &queue).await;
        found.push(lease.job().hash);
        lease.acknowledge().await.unwrap();
        assert!(found.len() <= 3, "more jobs than were published");
    }
    let rest = queue.depth().await.unwrap().waiting;
    assert!(rest + found.len() as u64 <= 3, "more jobs than were published");
}

pub async fn jobs_published_at_once_all_come(place: &impl QueuePlace) {
    let queue = queue_of(place, LONG, &[]).await;
    let names: Vec<_> = (0..20).map(|number| number.to_string()).collect();
    for published in join_all(names.iter().map(|name| queue.publish(job(place, name)))).await {
        published.unwrap();
    }
    let mut found = BTreeSet::new();
    while found.len() < names.len() {
        let lease = leased(place, &queue).await;
        found.insert(lease.job().hash);
        lease.acknowledge().await.unwrap();
    }
    assert_eq!(found, names.iter().map(|name| hash(name)).collect());
}

pub async fn a_dropped_publication_harms_no_other(place: &impl QueuePlace) {
    let queue = queue_of(place, LONG, &[]).await;
    for polls in POLLS {
        interrupt(queue.publish(job(place, "dropped")), polls).await;
    }
    queue.publish(job(place, "a")).await.unwrap();
    // What was dropped may have come in before or not.
    let mut lease = leased(place, &queue).await;
    while lease.job().hash != hash("a") {
        lease.acknowledge().await.unwrap();
        lease = leased(place, &queue).await;
    }
    lease.acknowledge().await.unwrap();
    // Published again, it is there for certain.
    queue.publish(job(place, "dropped")).await.unwrap();
    assert!(matches!(queue.state(&hash("dropped")).await.unwrap(), JobState::Waiting { .. } | JobState::Unknown));
    leased_as(place, &queue, "dropped").await.acknowledge().await.unwrap();
}
