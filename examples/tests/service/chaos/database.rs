//! The same faults without a broker: jobs are in PostgreSQL, and workers lease them over HTTP.

use std::time::Duration;

use super::everything::{servers_killed, workers_killed};
use super::faults::{connection_fault, queue_killed, server_killed, worker_killed};
use super::place::QueueKind;
use super::proxy::Traffic;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker_killed_after_lease_loses_nothing() {
    worker_killed(QueueKind::Database, "after lease").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker_killed_during_inference_loses_nothing() {
    worker_killed(QueueKind::Database, "in mid-inference").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker_killed_during_result_upload_loses_nothing() {
    worker_killed(QueueKind::Database, "in mid-post").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker_killed_before_acknowledging_loses_nothing() {
    worker_killed(QueueKind::Database, "after the result is stored").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_killed_after_commit_loses_nothing() {
    server_killed(QueueKind::Database, "after commit").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_killed_before_database_confirms_job_loses_nothing() {
    server_killed(QueueKind::Database, "before the confirmation").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_killed_after_database_confirms_job_loses_nothing() {
    server_killed(QueueKind::Database, "after the confirmation").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_killed_while_storing_result_loses_nothing() {
    server_killed(QueueKind::Database, "in mid-result").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn database_killed_under_load_loses_nothing() {
    queue_killed(QueueKind::Database).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_connections_lose_nothing() {
    connection_fault(QueueKind::Database, Traffic::Cut, Duration::from_millis(300)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stalled_connections_lose_nothing() {
    connection_fault(QueueKind::Database, Traffic::Stalled, Duration::from_secs(2)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_workers_lose_no_song_share_or_call() {
    workers_killed(QueueKind::Database).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_servers_lose_no_song_share_or_call() {
    servers_killed(QueueKind::Database).await;
}
