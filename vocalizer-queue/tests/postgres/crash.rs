//! A killed process loses nothing that the queue confirmed.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::timeout;
use vocalizer_core::ports::{JobQueue, JobState};
use vocalizer_core::secret::Secret;
use vocalizer_queue::PostgresQueue;

use super::support::{HANGS, TestDatabase, settings};
use crate::jobs::{publish_until_killed, run_and_kill};

/// Database URL of the child process.
const DATABASE: &str = "VOCALIZER_TEST_QUEUE_DATABASE";

/// Lease duration: after this the jobs of the killed process return.
const VISIBILITY: Duration = Duration::from_secs(3);

/// The child process. Does nothing by default.
#[tokio::test]
async fn child_process() {
    let Ok(url) = std::env::var(DATABASE) else { return };
    let queue = PostgresQueue::open(&Secret::new(url), settings(VISIBILITY)).await.unwrap();
    publish_until_killed(&queue).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_process_loses_no_job_and_redelivers_no_settled_one() {
    for lines in [1, 7, 40] {
        let place = TestDatabase::new().await;
        let done = run_and_kill("postgres::crash::child_process", DATABASE, place.url().expose(), lines);

        // All other jobs return when their leases expire.
        let queue = place.open(VISIBILITY).await;
        let mut expected: BTreeSet<_> =
            done.published.iter().filter(|hash| !done.acknowledged.contains(*hash)).collect();
        while expected.iter().any(|hash| !done.may_be_acknowledged(hash)) {
            let lease = timeout(HANGS, queue.lease()).await.expect("a job is lost").unwrap();
            assert!(!done.acknowledged.contains(&lease.job().hash), "an acknowledged job was redelivered");
            expected.remove(&lease.job().hash);
            lease.acknowledge().await.unwrap();
        }
        for hash in done.acknowledged {
            assert_eq!(queue.state(&hash).await.unwrap(), JobState::Absent);
        }
    }
}
