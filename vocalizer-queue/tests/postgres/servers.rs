//! Concurrent servers.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use vocalizer_core::ports::{JobQueue, JobState};
use vocalizer_queue::{PostgresQueue, PostgresQueueSettings};

use super::support::{HANGS, LONG, TestDatabase, execute, hash, job, leased, settings};

/// Longer than any test.
const NEVER: Duration = Duration::from_secs(60 * 60);

async fn open(place: &TestDatabase, poll: Duration) -> PostgresQueue {
    PostgresQueue::open(&place.url(), PostgresQueueSettings { poll, ..settings(LONG) }).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_servers_lease_each_job_once() {
    let place = TestDatabase::new().await;
    let mut servers = Vec::new();
    for _ in 0..4 {
        servers.push(place.open(LONG).await);
    }
    let names: Vec<_> = (0..60).map(|number| number.to_string()).collect();
    let taking: Vec<_> = (0..names.len())
        .map(|at| {
            let server = servers[at % servers.len()].clone();
            tokio::spawn(async move {
                let lease = server.lease().await.unwrap();
                let hash = lease.job().hash;
                lease.acknowledge().await.unwrap();
                hash
            })
        })
        .collect();
    for (at, name) in names.iter().enumerate() {
        servers[at % servers.len()].publish(job(name)).await.unwrap();
    }
    let mut taken = BTreeSet::new();
    for one in taking {
        assert!(taken.insert(timeout(HANGS, one).await.expect("the call hangs").unwrap()), "a job was leased twice");
    }
    assert_eq!(taken, names.iter().map(|name| hash(name)).collect());
    assert_eq!(servers[0].depth().await.unwrap().waiting, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_repeats_leave_one_waiting_job() {
    let place = TestDatabase::new().await;
    let servers = [place.open(LONG).await, place.open(LONG).await];
    let publish = async |times: usize| {
        let repeats: Vec<_> = (0..times)
            .map(|at| {
                let server = servers[at % 2].clone();
                tokio::spawn(async move { server.publish(job("a")).await.unwrap() })
            })
            .collect();
        for repeat in repeats {
            repeat.await.unwrap();
        }
    };
    publish(12).await;
    assert_eq!(servers[0].depth().await.unwrap().waiting, 1);
    let lease = leased(&servers[0], "a").await;
    publish(12).await;
    assert_eq!(servers[1].state(&hash("a")).await.unwrap(), JobState::Waiting { before: 0 });
    lease.acknowledge().await.unwrap();
    assert_eq!(servers[1].depth().await.unwrap().waiting, 1, "the repeat published during the lease is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn published_or_returned_job_is_notified_without_polling() {
    let place = TestDatabase::new().await;
    let (one, other) = (open(&place, NEVER).await, open(&place, NEVER).await);
    let waiting = tokio::spawn({
        let one = one.clone();
        async move { one.lease().await.unwrap().job().hash }
    });
    // Wait until it has polled and found nothing.
    let mut watch = place.connect().await;
    let listens = "SELECT count(*) FROM pg_stat_activity \
                   WHERE datname = current_database() AND query LIKE 'LISTEN%' AND state = 'idle'";
    while sqlx::query_scalar::<_, i64>(listens).fetch_one(&mut watch).await.unwrap() < 2 {
        sleep(Duration::from_millis(10)).await;
    }
    sleep(Duration::from_millis(200)).await;
    other.publish(job("a")).await.unwrap();
    assert_eq!(timeout(HANGS, waiting).await.expect("no notification arrived").unwrap(), hash("a"));
    // The dropped lease returns its job.
    let again = timeout(HANGS, other.lease()).await.expect("no notification arrived").unwrap();
    assert_eq!(again.attempt(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn job_without_notification_is_found_by_polling() {
    let place = TestDatabase::new().await;
    let queue = open(&place, Duration::from_millis(50)).await;
    let waiting = tokio::spawn(async move { queue.lease().await.unwrap().job().hash });
    sleep(Duration::from_millis(200)).await;
    let quiet = format!(
        "INSERT INTO queue_jobs (hash, published_at, ready_at, free_at) VALUES ('{}', now(), now(), now())",
        hash("a")
    );
    execute(&mut place.connect().await, &quiet).await;
    assert_eq!(timeout(HANGS, waiting).await.expect("the queue was not polled").unwrap(), hash("a"));
}

#[tokio::test(flavor = "multi_thread")]
async fn locked_job_does_not_block_others() {
    let place = TestDatabase::new().await;
    let queue = place.open(LONG).await;
    for name in ["a", "b"] {
        queue.publish(job(name)).await.unwrap();
    }
    let mut other = place.connect().await;
    execute(&mut other, "BEGIN; SELECT * FROM queue_jobs ORDER BY number LIMIT 1 FOR UPDATE").await;
    leased(&queue, "b").await.acknowledge().await.unwrap();
    execute(&mut other, "ROLLBACK").await;
    leased(&queue, "a").await.acknowledge().await.unwrap();
}
