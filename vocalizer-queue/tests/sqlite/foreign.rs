//! Other programs may open the file while the queue runs.

use std::path::Path;
use std::process::Command;

use vocalizer_core::ports::{JobQueue, QueueError};

use super::support::{Place, job};

/// What another program reads that opens the file and closes it again.
fn counted_by_another_program(path: &Path) -> String {
    const PROGRAM: &str = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); \
                           print(c.execute('SELECT count(*) FROM queue_jobs').fetchone()[0]); c.close()";
    let output = Command::new("python3").args(["-c", PROGRAM]).arg(path).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn another_program_that_opens_the_file_takes_no_job_away() {
    let place = Place::new();
    let queue = place.open().await;
    // Whoever opens the same file in the same process, as the store does, must not cost the first one its locks.
    let _second = place.open().await;
    for count in 1..=5 {
        queue.publish(job(&count.to_string())).await.unwrap();
        assert_eq!(counted_by_another_program(&place.path()), count.to_string());
        assert!(place.path().with_extension("sqlite-wal").exists(), "another program removed the log");
    }
}

#[tokio::test]
async fn once_the_log_or_its_index_was_removed_no_job_is_taken() {
    for removed in ["sqlite-wal", "sqlite-shm"] {
        let place = Place::new();
        let queue = place.open().await;
        queue.publish(job("a")).await.unwrap();
        std::fs::remove_file(place.path().with_extension(removed)).unwrap();
        let refused = queue.publish(job("b")).await;
        assert!(
            matches!(&refused, Err(QueueError::Unavailable(why)) if why.to_string().contains("another program")),
            "{removed}: {refused:?}"
        );
    }
}
