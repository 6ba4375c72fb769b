//! A killed process loses nothing that the queue confirmed.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::time::timeout;
use vocalizer_core::ports::{JobQueue, JobState};
use vocalizer_core::secret::Secret;
use vocalizer_core::song::SongHash;
use vocalizer_queue::PostgresQueue;

use super::support::{HANGS, Place, hash, job, settings};

/// Database URL of the child process.
const DATABASE: &str = "VOCALIZER_TEST_QUEUE_DATABASE";

/// Lease duration: after this the jobs of the killed process return.
const VISIBILITY: Duration = Duration::from_secs(3);

/// The child process: publishes continuously, acknowledges every other job, and prints what is done. Does nothing by
/// default.
#[tokio::test]
async fn child_process() {
    let Ok(url) = std::env::var(DATABASE) else { return };
    let queue = PostgresQueue::open(&Secret::new(url), settings(VISIBILITY)).await.unwrap();
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
            std::mem::forget(lease);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_process_loses_no_job_and_redelivers_no_settled_one() {
    for lines in [1, 7, 40] {
        let place = Place::new().await;
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "postgres::crash::child_process", "--nocapture"])
            .env(DATABASE, place.url().expose())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut published, mut acknowledged) = (Vec::new(), BTreeSet::new());
        let mut output = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut count = 0;
        // Everything printed counts, including output after the signal.
        while let Some(Ok(line)) = output.next() {
            if let Some((_, name)) = line.split_once("published ") {
                published.push(hash(name));
            } else if let Some(done) = line.strip_prefix("acknowledged ") {
                acknowledged.insert(done.parse::<SongHash>().unwrap());
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

        // All other jobs return when their leases expire.
        let queue = place.open(VISIBILITY).await;
        let mut expected: BTreeSet<_> = published.iter().filter(|hash| !acknowledged.contains(*hash)).collect();
        // The last acknowledgement may have succeeded without being printed.
        let last = published.iter().rev().take(2).collect::<BTreeSet<_>>();
        while expected.iter().any(|hash| !last.contains(*hash)) {
            let lease = timeout(HANGS, queue.lease()).await.expect("a job is lost").unwrap();
            assert!(!acknowledged.contains(&lease.job().hash), "an acknowledged job was redelivered");
            expected.remove(&lease.job().hash);
            lease.acknowledge().await.unwrap();
        }
        for hash in acknowledged {
            assert_eq!(queue.state(&hash).await.unwrap(), JobState::Absent);
        }
    }
}
