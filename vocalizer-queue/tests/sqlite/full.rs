//! A temporarily full disk only fails the writes that do not fit.
//!
//! A file size limit simulates the disk: writes beyond it fail. The limit holds for a whole process, so the test runs
//! itself as a child process.

use std::path::PathBuf;

use vocalizer_core::ports::{JobQueue, JobState, QueueError};
use vocalizer_queue::SqliteQueue;

use super::file::{run_test_with_limits, set_log_limit};
use super::support::{TestFile, VISIBILITY, hash, job};

/// Path of the child process's queue. If it is not set, the child test does nothing.
const PLACE: &str = "VOCALIZER_TEST_FULL_QUEUE";

/// Number of simulated full disks, each at another size.
const ROUNDS: u64 = 100;

/// The child process. Prints the published jobs.
#[tokio::test]
async fn child_process() {
    let Some(file) = std::env::var_os(PLACE).map(PathBuf::from) else { return };
    let queue = SqliteQueue::open(&file, VISIBILITY).await.unwrap();
    for round in 0..ROUNDS {
        set_log_limit(&file, Some(round * 211));
        let mut number = 0;
        let error = loop {
            let name = format!("{round}.{number}");
            match queue.publish(job(&name)).await {
                Ok(()) => println!("published {name}"),
                Err(error) => break error,
            }
            number += 1;
        };
        assert!(matches!(error, QueueError::Unavailable(_)), "{error:?}");
        set_log_limit(&file, None);
        let name = format!("{round}.after");
        queue.publish(job(&name)).await.unwrap_or_else(|error| panic!("round {round}: {error:?}"));
        println!("published {name}");
    }
}

#[tokio::test]
async fn queue_recovers_from_a_full_disk_without_losing_jobs() {
    let place = TestFile::new();
    let output = run_test_with_limits("sqlite::full::child_process", PLACE, &place.path());
    let queue = place.open().await;
    let published: Vec<_> = output.lines().filter_map(|line| line.split_once("published ")).map(|(_, n)| n).collect();
    assert!(published.len() >= usize::try_from(ROUNDS).unwrap(), "{output}");
    for name in published {
        let state = queue.state(&hash(name)).await.unwrap();
        assert!(matches!(state, JobState::Waiting { .. }), "published job {name} is lost: {state:?}");
    }
}
