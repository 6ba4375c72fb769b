//! A song that the broker does not take, though nobody has told the server so.

use std::time::Duration;

use super::broker::Broker;
use super::place::Place;
use crate::support::{song, wav};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_song_larger_than_the_broker_s_messages_is_announced_by_a_claim_and_split() {
    let mut place = Place::new(Some(Broker::start(&["max_message_size=100000"]))).await;
    let _worker = place.worker("worker", Duration::ZERO, Duration::ZERO);
    let browser = place.browser();
    let (large, small) = (wav(1, 100_000), song(2));
    assert!(small.len() < 100_000 && 100_000 < large.len());
    let (large, small) = (browser.upload("large", &large).await, browser.upload("small", &small).await);
    browser.until(&large, "SPLIT").await;
    browser.until(&small, "SPLIT").await;
    place.says("song too large for the broker").await;
    let log = place.log();
    let claimed: Vec<_> = log.lines().filter(|line| line.contains("song too large for the broker")).collect();
    assert!(matches!(claimed[..], [line] if line.contains(large["hash"].as_str().unwrap())), "{log}");
}
