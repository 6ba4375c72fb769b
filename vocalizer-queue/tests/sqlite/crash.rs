//! A killed process loses nothing that the queue confirmed.

use std::path::PathBuf;
use std::time::Duration;

use vocalizer_core::ports::{JobQueue, JobState};
use vocalizer_queue::SqliteQueue;

use super::support::{TestFile, VISIBILITY};
use crate::jobs::{publish_until_killed, run_and_kill};

/// Path of the child process's queue.
const PLACE: &str = "VOCALIZER_TEST_QUEUE";

/// The child process. Does nothing by default.
#[tokio::test]
async fn child_process() {
    let Some(path) = std::env::var_os(PLACE) else { return };
    let queue = SqliteQueue::open(&PathBuf::from(path), VISIBILITY).await.unwrap();
    publish_until_killed(&queue).await;
}

#[tokio::test]
async fn killed_process_loses_no_job_and_redelivers_no_settled_one() {
    for lines in [1, 7, 60] {
        let place = TestFile::new();
        let done = run_and_kill("sqlite::crash::child_process", PLACE, place.path(), lines);
        let queue = SqliteQueue::open(&place.path(), VISIBILITY).await.unwrap();
        for hash in &done.published {
            let state = queue.state(hash).await.unwrap();
            if done.acknowledged.contains(hash) {
                assert_eq!(state, JobState::Absent, "an acknowledged job is still there");
            } else {
                assert!(matches!(state, JobState::Waiting { .. }) || done.may_be_acknowledged(hash), "{state:?}");
            }
        }
        let waiting = queue.depth().await.unwrap().waiting;
        for _ in 0..waiting {
            let lease = tokio::time::timeout(Duration::from_secs(60), queue.lease()).await.expect("a job").unwrap();
            assert!((1..=2).contains(&lease.attempt()));
            lease.acknowledge().await.unwrap();
        }
        assert_eq!(queue.depth().await.unwrap().waiting, 0);
    }
}
