//! Lines of several servers, of servers of the version before, and of owners without jobs.

use std::collections::BTreeSet;

use sqlx::query_scalar;
use tokio::task::JoinSet;
use vocalizer_core::account::UserId;
use vocalizer_core::ports::{JobLine, JobQueue as _};

use super::support::{LONG, TestDatabase, execute, hash, job, leased};

fn line() -> JobLine {
    JobLine { owner: Some(UserId::random()), priority: 0 }
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_take_turns_at_different_servers() {
    let place = TestDatabase::new().await;
    let (one, other) = (place.open(LONG).await, place.open(LONG).await);
    let (ada, bob) = (line(), line());
    for name in ["a1", "a2", "a3"] {
        one.publish_in(job(name), ada).await.unwrap();
    }
    other.publish_in(job("b1"), bob).await.unwrap();
    for (queue, name) in [(&one, "a1"), (&other, "b1"), (&one, "a2"), (&other, "a3")] {
        leased(queue, name).await.acknowledge().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn job_of_an_older_server_is_delivered() {
    let place = TestDatabase::new().await;
    let queue = place.open(LONG).await;
    queue.publish_in(job("new"), line()).await.unwrap();
    let old = format!(
        "INSERT INTO queue_jobs (hash, published_at, ready_at, free_at) VALUES ('{}', now(), now(), now())",
        hash("old")
    );
    execute(&mut place.connect().await, &old).await;
    leased(&queue, "old").await.acknowledge().await.unwrap();
    leased(&queue, "new").await.acknowledge().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_publications_and_leases_lose_no_job_and_keep_few_lines() {
    let place = TestDatabase::new().await;
    let (one, other) = (place.open(LONG).await, place.open(LONG).await);
    let names: Vec<_> = (0..60).map(|number| number.to_string()).collect();
    let (mut publishing, mut taking) = (JoinSet::new(), JoinSet::new());
    for (number, name) in names.iter().cloned().enumerate() {
        let queue = if number % 2 == 0 { one.clone() } else { other.clone() };
        taking.spawn({
            let queue = queue.clone();
            async move {
                let lease = queue.lease().await.unwrap();
                let hash = lease.job().hash;
                lease.acknowledge().await.unwrap();
                hash
            }
        });
        publishing.spawn(async move { queue.publish_in(job(&name), line()).await.unwrap() });
    }
    publishing.join_all().await;
    let taken: BTreeSet<_> = taking.join_all().await.into_iter().collect();
    assert_eq!(taken, names.iter().map(|name| hash(name)).collect());

    // Each line that begins removes some without jobs.
    for name in &names[..10] {
        one.publish_in(job(name), line()).await.unwrap();
    }
    let lines: i64 =
        query_scalar("SELECT count(*) FROM queue_lines").fetch_one(&mut place.connect().await).await.unwrap();
    assert_eq!(lines, 11, "those with a job, and that of anonymous songs");
}
