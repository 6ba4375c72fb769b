//! A process that is killed in the middle of its work loses nothing that it was told is safe.

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

/// Where the process that is to be killed works.
const DATABASE: &str = "VOCALIZER_TEST_QUEUE_DATABASE";

/// How long it is missed.
const VISIBILITY: Duration = Duration::from_secs(3);

/// Publishes as fast as it can, acknowledges every other job, and says what is done. Does nothing unless asked to.
#[tokio::test]
async fn the_process_to_be_killed() {
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
async fn a_killed_process_loses_no_job_and_brings_none_back() {
    for lines in [1, 7, 40] {
        let place = Place::new().await;
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "postgres::crash::the_process_to_be_killed", "--nocapture"])
            .env(DATABASE, place.url().expose())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut published, mut acknowledged) = (Vec::new(), BTreeSet::new());
        let mut output = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut heard = 0;
        // Everything that it said before it was gone counts, also what came after the signal.
        while let Some(Ok(line)) = output.next() {
            if let Some((_, name)) = line.split_once("published ") {
                published.push(hash(name));
            } else if let Some(done) = line.strip_prefix("acknowledged ") {
                acknowledged.insert(done.parse::<SongHash>().unwrap());
            } else {
                continue;
            }
            heard += 1;
            if heard == lines {
                process.kill().unwrap();
            }
        }
        assert!(!process.wait().unwrap().success(), "it was killed");
        assert!(!published.is_empty());

        // Everything else comes again by itself, since its leases run out.
        let queue = place.open(VISIBILITY).await;
        let mut expected: BTreeSet<_> = published.iter().filter(|hash| !acknowledged.contains(*hash)).collect();
        // The last acknowledgement may have happened, and it had no time to say so.
        let last = published.iter().rev().take(2).collect::<BTreeSet<_>>();
        while expected.iter().any(|hash| !last.contains(*hash)) {
            let lease = timeout(HANGS, queue.lease()).await.expect("a job is lost").unwrap();
            assert!(!acknowledged.contains(&lease.job().hash), "it was done");
            expected.remove(&lease.job().hash);
            lease.acknowledge().await.unwrap();
        }
        for hash in acknowledged {
            assert_eq!(queue.state(&hash).await.unwrap(), JobState::Absent);
        }
    }
}
