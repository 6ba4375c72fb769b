//! The broker's disk alarm.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::broker::Broker;
use super::place::{Place, TIMEOUT};
use crate::support::{Browser, song};

/// Status and checks of `/readyz`.
async fn readiness(browser: &Browser) -> (u16, Value) {
    let answer = browser.get("/readyz").await;
    (answer.status, answer.json()["checks"].clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn songs_wait_during_broker_disk_alarm_and_split_afterwards() {
    let mut place = Place::new(Some(Broker::start(&[]))).await;
    let _worker = place.worker("worker", Duration::ZERO, Duration::ZERO);
    let browser = place.browser();
    let before = browser.upload("before", &song(1)).await;
    browser.until(&before, "SPLIT").await;
    assert_eq!(readiness(&browser).await.0, 200);

    place.broker.as_ref().unwrap().ctl(&["set_disk_free_limit", "900000GB"]);
    // One message may get through before the broker blocks publishers.
    let (began, mut waiting) = (Instant::now(), Vec::new());
    let checks = loop {
        let number = u32::try_from(waiting.len()).unwrap() + 2;
        waiting.push(browser.upload("during", &song(number)).await);
        tokio::time::sleep(Duration::from_millis(500)).await;
        match readiness(&browser).await {
            (503, checks) => break checks,
            (_, checks) => assert!(began.elapsed() < TIMEOUT, "still ready with {checks}: {}", place.log()),
        }
    };
    assert_eq!(checks["outbox"], "queue not accepting jobs", "{checks}");
    assert_eq!((&checks["database"], &checks["storage"]), (&Value::from("ok"), &Value::from("ok")));
    // The last song waits, and so do new ones.
    waiting.push(browser.upload("late", &song(1000)).await);
    tokio::time::sleep(Duration::from_secs(3)).await;
    browser.until(waiting.last().unwrap(), "UPLOADED").await;
    let metrics = String::from_utf8(browser.get("/metrics").await.bytes.to_vec()).unwrap();
    let outbox = metrics.lines().find_map(|line| line.strip_prefix("vocalizer_outbox ")).unwrap();
    assert_ne!(outbox, "0");
    place.wait_for_log("low on disk space").await;

    place.broker.as_ref().unwrap().ctl(&["set_disk_free_limit", "1MB"]);
    for song in &waiting {
        browser.until(song, "SPLIT").await;
    }
    let began = Instant::now();
    while readiness(&browser).await.0 != 200 {
        assert!(began.elapsed() < TIMEOUT, "the server does not become ready again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
