//! The same without a broker: jobs are in PostgreSQL, and workers lease them over HTTP.

use std::time::Duration;

use super::faults::{carrier_killed, server_killed, weather, worker_killed};
use super::place::Carrier;
use super::proxy::Weather;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_killed_after_it_received_a_job_loses_nothing() {
    worker_killed(Carrier::Database, "after lease").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_killed_in_mid_inference_loses_nothing() {
    worker_killed(Carrier::Database, "in mid-inference").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_killed_in_mid_post_loses_nothing() {
    worker_killed(Carrier::Database, "in mid-post").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_killed_after_the_post_and_before_the_acknowledgement_loses_nothing() {
    worker_killed(Carrier::Database, "after the result is stored").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_after_commit_loses_nothing() {
    server_killed(Carrier::Database, "after commit").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_before_the_database_confirms_a_job_loses_nothing() {
    server_killed(Carrier::Database, "before the confirmation").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_after_the_database_confirmed_a_job_loses_nothing() {
    server_killed(Carrier::Database, "after the confirmation").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_in_mid_result_loses_nothing() {
    server_killed(Carrier::Database, "in mid-result").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_killed_and_restarted_under_load_loses_nothing() {
    carrier_killed(Carrier::Database).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_cut_lose_nothing() {
    weather(Carrier::Database, Weather::Cut, Duration::from_millis(300)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_stall_lose_nothing() {
    weather(Carrier::Database, Weather::Stalled, Duration::from_secs(2)).await;
}
