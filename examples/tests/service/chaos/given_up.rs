//! A song that kills every worker, and none of them lives to say so.

use std::time::{Duration, Instant};

use vocalizer_core::ports::JobQueue as _;

use super::place::{Carrier, Place};

/// After so many the broker gives a job up.
const DEATHS: usize = 21;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_song_that_kills_every_worker_fails_with_one_dead_letter_and_is_split_when_it_is_retried() {
    let mut place = Place::new(Carrier::Broker).await;
    // Dies itself, after the song has failed and before it is noted that it has.
    let server = place.start("server", "before it is filed", 1);
    place.up().await;
    place.upload().await;
    // The first dies at work; the others, as the original's, before anybody hears of them.
    let worker = place.start("worker", "in mid-inference", 1);
    place.dies(worker).await;
    place.until_only_song_is("SPLITTING").await;
    for _ in 1..DEATHS {
        let worker = place.start("worker", "after lease", 1);
        place.dies(worker).await;
    }
    place.dies(server).await;

    let _server = place.start("server", "never", 1);
    place.up().await;
    let failed = place.until_only_song_is("FAILED").await;
    assert_eq!(failed["failure_reason"], "every worker that tried it died");
    let queue = place.queue();
    // At the latest with the next sweep. While a server is at it, it is nowhere to be seen.
    let began = Instant::now();
    let letters = loop {
        let is_noted = queue.given_up().await.unwrap().is_none();
        let letters = queue.dead_letters(10).await.unwrap();
        if is_noted && !letters.is_empty() {
            break letters;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "nobody takes note of it");
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!((letters[0].reason.as_str(), letters[0].attempts), ("every worker that tried it died", 21));

    // The letter is still there, and is about another attempt.
    place.retry(&failed).await;
    let _worker = place.start("worker", "never", 1);
    place.until_only_song_is("SPLIT").await;
    place.settle("a song that kills every worker").await;
    assert_eq!(queue.depth().await.unwrap().dead, 1);
}
