//! A killed process loses nothing that the queue confirmed.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use vocalizer_core::ports::{JobQueue, JobState};
use vocalizer_queue::SqliteQueue;

use super::support::{Place, VISIBILITY, hash, job};

/// Path of the child process's queue.
const PLACE: &str = "VOCALIZER_TEST_QUEUE";

/// The child process: publishes continuously, acknowledges every other job, and prints what is done. Does nothing by
/// default.
#[tokio::test]
async fn child_process() {
    let Some(path) = std::env::var_os(PLACE) else { return };
    let queue = SqliteQueue::open(&PathBuf::from(path), VISIBILITY).await.unwrap();
    for number in 0_u64.. {
        let name = number.to_string();
        queue.publish(job(&name)).await.unwrap();
        println!("published {name}");
        let lease = queue.lease().await.unwrap();
        if number % 2 == 0 {
            let hash = lease.job().hash;
            lease.acknowledge().await.unwrap();
            println!("acknowledged {hash}");
        } else {
            // Held until the end, so that each job is leased at most once.
            std::mem::forget(lease);
        }
    }
}

#[tokio::test]
async fn killed_process_loses_no_job_and_redelivers_no_settled_one() {
    for lines in [1, 7, 60] {
        let place = Place::new();
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "sqlite::crash::child_process", "--nocapture"])
            .env(PLACE, place.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut published, mut acknowledged) = (Vec::new(), Vec::new());
        let mut output = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut count = 0;
        // Everything printed counts, including output after the signal.
        while let Some(Ok(line)) = output.next() {
            if let Some((_, name)) = line.split_once("published ") {
                published.push(hash(name));
            } else if let Some(done) = line.strip_prefix("acknowledged ") {
                acknowledged.push(done.parse().unwrap());
            } else {
                continue;
            }
            count += 1;
            if count == lines {
                process.kill().unwrap();
            }
        }
        assert!(!process.wait().unwrap().success(), "the process was not killed");
        assert!(!published.is_empty());

        let queue = SqliteQueue::open(&place.path(), VISIBILITY).await.unwrap();
        for hash in &published {
            let state = queue.state(hash).await.unwrap();
            if acknowledged.contains(hash) {
                assert_eq!(state, JobState::Absent, "an acknowledged job is still there");
            } else {
                // The last acknowledgement may have succeeded without being printed.
                let last = published.last() == Some(hash) || published.iter().rev().nth(1) == Some(hash);
                assert!(matches!(state, JobState::Waiting { .. }) || last, "{state:?}");
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
