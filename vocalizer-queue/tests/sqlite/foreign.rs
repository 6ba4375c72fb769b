//! Other programs that open the file while the queue runs.

use std::path::Path;
use std::process::Command;

use vocalizer_core::ports::{JobQueue, QueueError};

use super::support::{Place, job};

/// Counts the jobs with another program, which opens and closes the file.
fn count_with_another_program(path: &Path) -> String {
    const PROGRAM: &str = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); \
                           print(c.execute('SELECT count(*) FROM queue_jobs').fetchone()[0]); c.close()";
    let output = Command::new("python3").args(["-c", PROGRAM]).arg(path).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn another_program_opening_the_file_loses_no_job() {
    let place = Place::new();
    let queue = place.open().await;
    // Opening the file again in this process, as the store does, must not drop the first one's locks.
    let _second = place.open().await;
    for count in 1..=5 {
        queue.publish(job(&count.to_string())).await.unwrap();
        assert_eq!(count_with_another_program(&place.path()), count.to_string());
        assert!(place.path().with_extension("sqlite-wal").exists(), "another program removed the log");
    }
}

#[tokio::test]
async fn publish_fails_after_the_log_or_index_was_removed() {
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
