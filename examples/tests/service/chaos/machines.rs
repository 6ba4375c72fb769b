//! Effects of one misbehaving machine on the others.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use super::faults::rounds;
use super::place::{AHEAD, Place, QueueKind, TOKEN};
use super::proxy::Traffic;

/// Timeout for expected events.
const TIMEOUT: Duration = Duration::from_secs(180);

/// Jobs that the rejected worker returns are delivered again after a delay, so all would be split in the end
/// regardless.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rejected_worker_does_not_starve_others() {
    let mut place = Place::new(QueueKind::Broker).await;
    let _server = place.start("server", "never", 1);
    place.up().await;
    let _bad = place.start_with("worker", "never", 1, &[(TOKEN, "a-token-of-no-server")]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    for _ in 0..20 * rounds().min(5) {
        place.upload().await;
    }
    let _good = [place.start("worker", "never", 1), place.start("worker", "never", 1)];
    place.kills += 1;
    let failed = place.settle("a rejected worker among good ones").await;
    assert_eq!(failed, 0, "a job lost an attempt");
    let metrics = place.metrics().await;
    let refused = metrics.lines().filter(|line| line.contains("begin") && line.contains("status=\"401\""));
    let refused: u32 = refused.filter_map(|line| line.rsplit(' ').next()?.parse::<u32>().ok()).sum();
    assert!((1..=10).contains(&refused), "it took {refused} jobs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_object_fails_song_and_new_upload_repairs_it() {
    let mut place = Place::new(QueueKind::Broker).await;
    let _server = place.start("server", "never", 1);
    place.up().await;
    place.proxy.set(Traffic::Cut);
    let song = place.upload().await.unwrap();
    place.blobs.damage(&place.http, &song).await;
    place.kills += 1;
    place.proxy.set(Traffic::Normal);
    let failed = place.until_only_song_is("FAILED").await;
    assert_eq!(failed["failure_reason"], "its file is damaged on the server; upload it again");
    let _worker = place.start("worker", "never", 1);
    place.upload_again().await.unwrap();
    assert_eq!(place.settle("a damaged object").await, 0);
}

/// As on a network file system whose server is gone: opening the file blocks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hanging_object_does_not_block_others() {
    let mut place = Place::new(QueueKind::Broker).await;
    let _server = place.start("server", "never", 1);
    place.up().await;
    let mut hanging = Vec::new();
    place.proxy.set(Traffic::Cut);
    for number in 0..6 {
        let song = place.upload().await.unwrap();
        // Objects in a bucket cannot be made to hang from here.
        let Some(source) = place.blobs.source(&song) else { return };
        std::fs::create_dir_all(place.aside()).unwrap();
        let aside = place.aside().join(number.to_string());
        let (fifo, next) = (aside.with_extension("fifo"), aside.with_extension("next"));
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        std::fs::hard_link(&fifo, &next).unwrap();
        std::fs::hard_link(&source, &aside).unwrap();
        // Rename, so that the file exists at every moment.
        std::fs::rename(&next, &source).unwrap();
        hanging.push((source, aside, fifo));
    }
    place.kills += 6;
    place.proxy.set(Traffic::Normal);
    let _worker = place.start("worker", "never", 1);
    for _ in 0..5 {
        place.upload().await.unwrap();
    }
    let began = Instant::now();
    loop {
        let songs = place.songs().await.unwrap_or_default();
        let count = |status: &str| songs.iter().filter(|song| song["status"] == status).count();
        if (count("SPLIT"), count("UPLOADED")) == (5, 6) {
            break;
        }
        assert!(began.elapsed() < TIMEOUT, "other songs wait for the hanging one: {songs:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for (source, aside, fifo) in &hanging {
        std::fs::rename(aside, source).unwrap();
        // Opening the other end releases the blocked readers.
        drop(std::fs::OpenOptions::new().read(true).write(true).open(fifo).unwrap());
    }
    assert_eq!(place.settle("hanging objects").await, 0);
}

/// The server is suspended after it stored the bytes and before it stored the song, while it holds the lock for both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn suspended_server_does_not_block_others_or_lose_songs() {
    let mut place = Place::new(QueueKind::Broker).await;
    let _other = place.start_other(&[]);
    let other = place.other.clone();
    place.up_at(&other).await;
    let _worker = place.start("worker", "never", 1);
    for round in 0..rounds().min(10) {
        let server = place.start("server", "stopped after the blob is written", 1);
        place.up().await;
        let uploading = place.begin_upload();
        server.wait_until_suspended().await;
        let song = place.upload_again_at_other().await.expect("the suspended server holds the lock");
        if round % 2 == 0 {
            // Deleting the last song also deletes the bytes that the suspended server stored.
            place.delete_at_other(&song).await;
        }
        server.signal("-CONT");
        let uploaded = uploading.await.unwrap();
        assert_eq!(uploaded, None, "the server lost the lock but accepted the song");
        place.kills += 1;
        drop(server);
    }
    let _server = place.start("server", "never", 1);
    place.up().await;
    place.upload().await;
    assert_eq!(place.settle("a suspended server").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_with_different_clocks_agree_on_throttles_and_claims() {
    let mut place = Place::new(QueueKind::Broker).await;
    let _right = place.start_other(&[]);
    let right = place.other.clone();
    place.up_at(&right).await;
    let ada = json!({"username": "ada", "password1": "correct horse", "password2": "correct horse"});
    assert_eq!(place.post(&right, "/auth/register", &ada).await.0, 200);
    for ahead_s in ["30", "3600"] {
        let server = place.start_with("server", "never", 1, &[(AHEAD, ahead_s)]);
        place.up().await;
        let wrong = json!({"username": "ada", "password": "wrong horse"});
        assert_eq!(place.post(place.address(), "/auth/login", &wrong).await.0, 401);
        let login = json!({"username": "ada", "password": "correct horse"});
        let (status, body) = place.post(&right, "/auth/login", &login).await;
        assert_eq!(status, 200, "{ahead_s} s ahead: {body}");
        drop(server);
    }
    // A server that is ahead dies with a claim; the other must get it after a minute, not after an hour.
    let mut ahead = place.start_with("server", "before the confirmation", 1, &[(AHEAD, "3600")]);
    place.up().await;
    place.until_died(&mut ahead).await;
    let _server = place.start_with("server", "never", 1, &[(AHEAD, "30")]);
    let _worker = place.start("worker", "never", 1);
    place.up().await;
    // A sweep keeps files newer than the newest song, so upload one.
    place.upload().await;
    assert_eq!(place.settle("servers with different clocks").await, 0);
}
