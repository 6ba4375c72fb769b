//! Outages of the database and of the network.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::{sleep, timeout};
use vocalizer_core::ports::{DurableLeases as _, JobQueue, QueueError};
use vocalizer_core::song::SongHash;
use vocalizer_queue::{PostgresQueue, PostgresQueueSettings};

use super::proxy::{NetworkState, Proxy};
use super::server::Server;
use super::support::{HANGS, LONG, TestDatabase, execute, hash, job, leased, settings};

fn short_timeouts(visibility: Duration) -> PostgresQueueSettings {
    let patience = Duration::from_millis(500);
    PostgresQueueSettings { acquire_timeout: patience, statement_timeout: patience, ..settings(visibility) }
}

fn is_unavailable<T>(result: &Result<T, QueueError>) -> bool {
    matches!(result, Err(QueueError::Unavailable(_)))
}

/// Retries while the queue is unavailable.
async fn retry<T>(mut attempt: impl AsyncFnMut() -> Result<T, QueueError>) -> T {
    let trying = async {
        loop {
            match attempt().await {
                Ok(done) => return done,
                Err(QueueError::Unavailable(_)) => sleep(Duration::from_millis(20)).await,
                Err(error) => panic!("{error}"),
            }
        }
    };
    timeout(HANGS, trying).await.expect("the queue does not recover")
}

/// Terminates all other connections to the database.
async fn terminate_all(place: &TestDatabase) {
    let all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    execute(&mut place.connect().await, all).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn terminated_connections_lose_no_job_and_wake_waiting_workers() {
    let place = TestDatabase::new().await;
    let queue = place.open(LONG).await;
    queue.publish(job("held")).await.unwrap();
    let held = queue.grant().await.unwrap();
    for round in 0..3 {
        let waiting = tokio::spawn({
            let queue = queue.clone();
            async move {
                loop {
                    match queue.lease().await {
                        Ok(lease) => return lease,
                        Err(_) => sleep(Duration::from_millis(20)).await,
                    }
                }
            }
        });
        sleep(Duration::from_millis(100)).await;
        terminate_all(&place).await;
        let name = round.to_string();
        retry(async || queue.publish(job(&name)).await).await;
        let lease = timeout(HANGS, waiting).await.expect("the waiting worker does not wake up").unwrap();
        assert_eq!(lease.job().hash, hash(&name));
        lease.acknowledge().await.unwrap();
    }
    queue.extend(held.lease).await.unwrap();
    queue.settle(held.lease, None).await.unwrap();
    let depth = queue.depth().await.unwrap();
    assert_eq!((depth.waiting, depth.leased), (0, Some(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_or_cut_connection_times_out_and_recovers() {
    let place = TestDatabase::new().await;
    let proxy = Proxy::to(&place).await;
    let queue = PostgresQueue::open(&proxy.url(&place), short_timeouts(LONG)).await.unwrap();
    queue.publish(job("a")).await.unwrap();
    let granted = queue.grant().await.unwrap();
    let a = hash("a");
    for state in [NetworkState::Silent, NetworkState::Cut] {
        proxy.set(state);
        let (published, leased, extended, state) = timeout(HANGS, async {
            tokio::join!(queue.publish(job("b")), queue.lease(), queue.extend(granted.lease), queue.state(&a))
        })
        .await
        .expect("the call hangs");
        assert!(is_unavailable(&published) && is_unavailable(&leased) && is_unavailable(&extended));
        assert!(is_unavailable(&state));
        proxy.set(NetworkState::Open);
        retry(async || queue.extend(granted.lease).await).await;
        retry(async || queue.publish(job("b")).await).await;
        let lease = retry(async || queue.lease().await).await;
        assert_eq!(lease.job().hash, hash("b"));
        lease.acknowledge().await.unwrap();
    }
    queue.settle(granted.lease, None).await.unwrap();
}

/// An abandoned connection would deliver its response to the next statement, or keep its locks.
#[tokio::test(flavor = "multi_thread")]
async fn slow_statement_times_out_without_locks_or_partial_changes() {
    let place = TestDatabase::new().await;
    let settings = PostgresQueueSettings { max_connections: 1, ..short_timeouts(LONG) };
    let queue = PostgresQueue::open(&place.url(), settings).await.unwrap();
    queue.publish(job("a")).await.unwrap();
    let mut other = place.connect().await;
    for _ in 0..3 {
        execute(&mut other, "BEGIN; LOCK TABLE queue_jobs IN ACCESS EXCLUSIVE MODE").await;
        // Its first statements have run, so the lock of its hash is held.
        let late = timeout(HANGS, queue.publish(job("b"))).await.expect("the call hangs");
        assert!(is_unavailable(&late), "{late:?}");
        let late = timeout(HANGS, queue.state(&hash("a"))).await.expect("the call hangs");
        assert!(is_unavailable(&late), "{late:?}");
        execute(&mut other, "ROLLBACK").await;
        let found = retry(async || queue.state(&hash("b")).await).await;
        assert_eq!(found, vocalizer_core::ports::JobState::Absent, "a partial change was committed");
        let depth = retry(async || queue.depth().await).await;
        assert_eq!((depth.waiting, depth.leased), (1, Some(0)));
    }
    queue.publish(job("b")).await.unwrap();
    leased(&queue, "a").await.acknowledge().await.unwrap();
    leased(&queue, "b").await.acknowledge().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn database_crash_under_load_loses_nothing() {
    let server = Server::start(&[]);
    let place = TestDatabase::on(server.url()).await;
    let servers = [place.open(Duration::from_secs(3)).await, place.open(Duration::from_secs(3)).await];
    let over = Arc::new(AtomicBool::new(false));
    let publishing: Vec<_> = (0..4)
        .map(|publisher| {
            let (queue, over) = (servers[publisher % 2].clone(), Arc::clone(&over));
            tokio::spawn(async move {
                let mut published = BTreeSet::new();
                for number in 0.. {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    let name = format!("{publisher} {number}");
                    if queue.publish(job(&name)).await.is_ok() {
                        published.insert(hash(&name));
                    }
                    sleep(Duration::from_millis(5)).await;
                }
                published
            })
        })
        .collect();
    let done = Arc::<tokio::sync::Mutex<BTreeSet<SongHash>>>::default();
    let working: Vec<_> = servers
        .iter()
        .map(|queue| {
            let (queue, done) = (queue.clone(), Arc::clone(&done));
            tokio::spawn(async move {
                loop {
                    let Ok(lease) = queue.lease().await else { continue };
                    // Record the work first; its acknowledgement may fail.
                    done.lock().await.insert(lease.job().hash);
                    let _ = lease.acknowledge().await;
                }
            })
        })
        .collect();
    for _ in 0..3 {
        sleep(Duration::from_millis(500)).await;
        server.kill();
        server.restart();
    }
    over.store(true, Ordering::Relaxed);
    let mut published = BTreeSet::new();
    for publisher in publishing {
        published.extend(publisher.await.unwrap());
    }
    assert!(published.len() > 20, "{}", published.len());
    let all_done = async {
        loop {
            let depth = retry(async || servers[0].depth().await).await;
            if (depth.waiting, depth.leased) == (0, Some(0)) {
                break;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(HANGS, all_done).await.expect("jobs are left");
    for worker in working {
        worker.abort();
    }
    let done = done.lock().await;
    let lost: Vec<_> = published.difference(&done).collect();
    assert!(lost.is_empty(), "{} of {} jobs are lost", lost.len(), published.len());
}
