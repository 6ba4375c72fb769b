//! A song that kills every worker before the worker can report a failure.

use std::time::{Duration, Instant};

use vocalizer_core::ports::JobQueue as _;

use super::place::{Place, QueueKind};

/// The broker dead-letters a job after this many deliveries.
const DEATHS: usize = 21;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn song_that_kills_workers_is_dead_lettered_once_and_can_be_retried() {
    let mut place = Place::new(QueueKind::Broker).await;
    // This server dies after the song failed and before the dead letter is filed.
    let server = place.start("server", "before the dead letter is filed", 1);
    place.up().await;
    place.upload().await;
    // The first worker dies during inference; the others, like the original's, before they report anything.
    let worker = place.start("worker", "in mid-inference", 1);
    place.wait_until_dead(worker).await;
    place.until_only_song_is("SPLITTING").await;
    for _ in 1..DEATHS {
        let worker = place.start("worker", "after lease", 1);
        place.wait_until_dead(worker).await;
    }
    place.wait_until_dead(server).await;

    let _server = place.start("server", "never", 1);
    place.up().await;
    let failed = place.until_only_song_is("FAILED").await;
    assert_eq!(failed["failure_reason"], "every worker that tried it died");
    let queue = place.queue();
    // The next sweep files it. While a server processes it, it is in neither list.
    let began = Instant::now();
    let letters = loop {
        let is_noted = queue.given_up().await.unwrap().is_none();
        let letters = queue.dead_letters(10).await.unwrap();
        if is_noted && !letters.is_empty() {
            break letters;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "the dead letter was not filed");
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!((letters[0].reason.as_str(), letters[0].attempts), ("every worker that tried it died", 21));

    // The dead letter of the earlier attempts stays.
    place.retry(&failed).await;
    let _worker = place.start("worker", "never", 1);
    place.until_only_song_is("SPLIT").await;
    place.settle("a song that kills every worker").await;
    assert_eq!(queue.depth().await.unwrap().dead, 1);
}
