//! Other programs that open the file while the queue runs.

use vocalizer_core::ports::{JobQueue, QueueError};

use super::file::count_with_another_program;
use super::support::{TestFile, job};

#[tokio::test]
async fn another_program_opening_the_file_loses_no_job() {
    let place = TestFile::new();
    let queue = place.open().await;
    // Opening the file again in this process, as the store does, must not drop the first one's locks.
    let _second = place.open().await;
    for count in 1..=5 {
        queue.publish(job(&count.to_string())).await.unwrap();
        assert_eq!(count_with_another_program(&place.path(), "queue_jobs"), count.to_string());
        assert!(place.path().with_extension("sqlite-wal").exists(), "another program removed the log");
    }
}

#[tokio::test]
async fn publish_fails_after_the_log_or_index_was_removed() {
    for removed in ["sqlite-wal", "sqlite-shm"] {
        let place = TestFile::new();
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
