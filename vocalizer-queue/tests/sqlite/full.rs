//! A disk that is full for a moment costs what could not be written, and nothing after it.
//!
//! A limit on the size of files stands for the disk: writes beyond it fail. It holds for a whole process, so the test runs
//! itself as a child.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rlimit::Resource;
use vocalizer_core::ports::{JobQueue, JobState, QueueError};
use vocalizer_queue::SqliteQueue;

use super::support::{Place, VISIBILITY, hash, job};

/// The file of the child. Not set, the child's test is none.
const PLACE: &str = "VOCALIZER_TEST_FULL_QUEUE";

/// How often the disk is full, each time at another place.
const ROUNDS: u64 = 100;

/// Files may grow up to so many bytes, or without a limit.
fn room(bytes: Option<u64>) {
    let (_, most) = Resource::FSIZE.get().unwrap();
    Resource::FSIZE.set(bytes.unwrap_or(most), most).unwrap();
}

fn log_bytes(file: &Path) -> u64 {
    std::fs::metadata(file.with_extension("sqlite-wal")).map_or(0, |found| found.len())
}

/// The child. Prints the jobs that were published.
#[tokio::test]
async fn the_process_whose_disk_fills_up() {
    let Some(file) = std::env::var_os(PLACE).map(PathBuf::from) else { return };
    let queue = SqliteQueue::open(&file, VISIBILITY).await.unwrap();
    for round in 0..ROUNDS {
        room(Some(log_bytes(&file) + round * 211));
        let mut number = 0;
        let refused = loop {
            let name = format!("{round}.{number}");
            match queue.publish(job(&name)).await {
                Ok(()) => println!("published {name}"),
                Err(refused) => break refused,
            }
            number += 1;
        };
        assert!(matches!(refused, QueueError::Unavailable(_)), "{refused:?}");
        room(None);
        let name = format!("{round}.after");
        queue.publish(job(&name)).await.unwrap_or_else(|error| panic!("round {round}: {error:?}"));
        println!("published {name}");
    }
}

#[tokio::test]
async fn a_full_disk_ends_with_room_and_costs_no_job() {
    let place = Place::new();
    let exe = std::env::current_exe().unwrap();
    // Without the trap the signal that comes with the limit would end the child.
    let child = Command::new("sh")
        .args(["-c", r#"trap '' XFSZ; exec "$0" "$@""#])
        .arg(exe)
        .args(["--exact", "sqlite::full::the_process_whose_disk_fills_up", "--nocapture"])
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
        assert!(matches!(state, JobState::Waiting { .. }), "{name} was published and is lost: {state:?}");
    }
}
