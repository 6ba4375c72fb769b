//! A worker whose token the server rejects.

use std::time::{Duration, Instant};

use super::broker::Broker;
use super::place::{Place, TIMEOUT};
use crate::support::{Browser, song};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rejected_worker_pauses_and_leaves_songs_to_others() {
    let place = Place::new(Some(Broker::start(&[]))).await;
    let browser = place.browser();
    let mut rejected = place.worker_with_wrong_token("rejected");
    let line = rejected.wait_for_log("on http://").await;
    let status = Browser::at(format!("http://{}", line.rsplit("http://").next().unwrap()));
    let mut songs = Vec::new();
    for number in 0..20 {
        songs.push(browser.upload("x", &song(number)).await);
    }
    let began = Instant::now();
    loop {
        let ready = status.get("/readyz").await;
        if ready.status == 503
            && ready.json()["checks"]["worker"].as_str().is_some_and(|check| check.starts_with("worker paused"))
        {
            break;
        }
        assert!(began.elapsed() < TIMEOUT, "readiness is {:?}: {}", ready.json(), rejected.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let _worker = place.worker("worker", Duration::ZERO, Duration::ZERO);
    for song in &songs {
        browser.until(song, "SPLIT").await;
    }
    let log = rejected.log();
    let taken = log.matches("job handed back; worker cannot process jobs").count();
    assert!((1..=10).contains(&taken), "it took {taken} of 20 jobs: {log}");
}
