//! A worker stops while its lease request is answered: the job arrives at a client that is gone.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use vocalizer_core::ports::{Job, JobPayload, JobQueue as _};
use vocalizer_core::song::SongHash;
use vocalizer_core::worker::WorkerSettings;
use vocalizer_queue::{MemoryQueue, SqliteQueue};

use super::place::{RemoteWorker, SmallService, queue, until, upload};
use crate::support::{WORKER_TOKEN, fast_worker, no_tls, song};

/// Leases a job like a worker that exits before the response arrives.
async fn lease_and_disconnect(service: &SmallService) -> Value {
    let client = reqwest::Client::builder().tls_backend_preconfigured(no_tls()).build().unwrap();
    let asked = client.post(format!("http://{}/jobs/lease", service.address)).bearer_auth(WORKER_TOKEN);
    let answer: Value = asked.json(&json!({"wait_s": 60})).send().await.unwrap().json().await.unwrap();
    answer["data"]["job"].clone()
}

#[tokio::test]
async fn undelivered_leases_cost_no_attempts() {
    let dir = tempfile::tempdir().unwrap();
    let queue = SqliteQueue::open(&dir.path().join("queue.db"), Duration::from_secs(1)).await.unwrap();
    let service = SmallService::over(Arc::new(queue)).await;
    upload(&service, &song(1)).await;
    for _ in 0..3 {
        assert_eq!(lease_and_disconnect(&service).await["attempt"], 1, "no worker started the song");
    }
    let worker = RemoteWorker::start(service.address, WorkerSettings { max_attempts: 1, ..fast_worker() });
    until("the song is split", || async { worker.counts.done() == 1 }).await;
    assert_eq!((worker.counts.failed(), worker.separator.begun.load(Ordering::SeqCst)), (0, 1));
}

#[tokio::test]
async fn in_memory_queue_requeues_undelivered_lease() {
    let service = SmallService::over(Arc::new(MemoryQueue::new(Duration::from_secs(10)))).await;
    let job = Job::new(SongHash::of(b"x"), JobPayload::Stored);
    service.queue.publish(job).await.unwrap();
    assert_eq!(lease_and_disconnect(&service).await["attempt"], 1);
    let lease = queue(service.address).lease().await.unwrap();
    assert_eq!(lease.attempt(), 1, "no worker started the song");
}
