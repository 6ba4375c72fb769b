//! A temporarily full disk only fails the writes that do not fit.
//!
//! A file size limit simulates the disk: writes beyond it fail. The limit holds for a whole process, so the test runs
//! itself as a child process.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rlimit::Resource;
use vocalizer_core::ports::{JobQueue, JobState, QueueError};
use vocalizer_queue::SqliteQueue;

use super::support::{Place, VISIBILITY, hash, job};

/// Path of the child process's queue. If it is not set, the child test does nothing.
const PLACE: &str = "VOCALIZER_TEST_FULL_QUEUE";

/// Number of simulated full disks, each at another size.
const ROUNDS: u64 = 100;

/// Limits the size of files; `None` removes the limit.
fn set_file_size_limit(bytes: Option<u64>) {
    let (_, max) = Resource::FSIZE.get().unwrap();
    Resource::FSIZE.set(bytes.unwrap_or(max), max).unwrap();
}

fn log_bytes(file: &Path) -> u64 {
    std::fs::metadata(file.with_extension("sqlite-wal")).map_or(0, |found| found.len())
}

/// The child process. Prints the published jobs.
#[tokio::test]
async fn child_process() {
    let Some(file) = std::env::var_os(PLACE).map(PathBuf::from) else { return };
    let queue = SqliteQueue::open(&file, VISIBILITY).await.unwrap();
    for round in 0..ROUNDS {
        set_file_size_limit(Some(log_bytes(&file) + round * 211));
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
        set_file_size_limit(None);
        let name = format!("{round}.after");
        queue.publish(job(&name)).await.unwrap_or_else(|error| panic!("round {round}: {error:?}"));
        println!("published {name}");
    }
}

#[tokio::test]
async fn queue_recovers_from_a_full_disk_without_losing_jobs() {
    let place = Place::new();
    let exe = std::env::current_exe().unwrap();
    // Without the trap, SIGXFSZ would end the child.
    let child = Command::new("sh")
        .args(["-c", r#"trap '' XFSZ; exec "$0" "$@""#])
        .arg(exe)
        .args(["--exact", "sqlite::full::child_process", "--nocapture"])
        .env(PLACE, place.path())
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let output = String::from_utf8(child.stdout).unwrap();
    assert!(child.status.success(), "{output}");
    let queue = place.open().await;
    let published: Vec<_> = output.lines().filter_map(|line| line.split_once("published ")).map(|(_, n)| n).collect();
    assert!(published.len() >= usize::try_from(ROUNDS).unwrap(), "{output}");
    for name in published {
        let state = queue.state(&hash(name)).await.unwrap();
        assert!(matches!(state, JobState::Waiting { .. }), "published job {name} is lost: {state:?}");
    }
}
