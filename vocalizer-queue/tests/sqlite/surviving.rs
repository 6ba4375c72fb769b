use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use vocalizer_core::ports::{Depth, Failure, JobQueue, JobState};

use super::support::{Place, VISIBILITY, hash, job, leased, never};

#[tokio::test]
async fn jobs_outlive_the_process_in_their_order() {
    let place = Place::new();
    let queue = place.open().await;
    for name in ["c", "a", "b"] {
        queue.publish(job(name)).await.unwrap();
    }
    leased(&queue, "c").await.acknowledge().await.unwrap();
    let queue = place.open().await;
    for name in ["a", "b"] {
        leased(&queue, name).await.acknowledge().await.unwrap();
    }
    assert_eq!(place.open().await.depth().await.unwrap(), Depth { leased: Some(0), ..Depth::default() });
}

#[tokio::test]
async fn what_a_dead_process_had_leased_is_ready_at_once_and_its_attempt_counts() {
    let place = Place::new();
    let queue = place.open().await;
    for name in ["a", "b"] {
        queue.publish(job(name)).await.unwrap();
    }
    for attempt in 1..=3 {
        let queue = place.open().await;
        // Behind the one that nobody tried: it may have been what the process died of.
        assert_eq!(queue.state(&hash("a")).await.unwrap(), JobState::Waiting { before: u64::from(attempt > 1) });
        if attempt > 1 {
            leased(&queue, "b").await.fail(Failure::Later { after: Duration::ZERO }).await.unwrap();
        }
        let lease = leased(&queue, "a").await;
        assert_eq!(lease.attempt(), attempt);
        // As a process does that is killed.
        std::mem::forget(lease);
    }
}

#[tokio::test]
async fn attempts_that_do_not_count_are_not_counted_after_a_restart_either() {
    let place = Place::new();
    let queue = place.open().await;
    queue.publish(job("a")).await.unwrap();
    leased(&queue, "a").await.fail(Failure::Retry { after: Duration::ZERO }).await.unwrap();
    leased(&queue, "a").await.fail(Failure::Later { after: Duration::ZERO }).await.unwrap();
    assert_eq!(leased(&place.open().await, "a").await.attempt(), 2);
}

#[tokio::test]
async fn a_delay_and_a_job_s_age_go_on_across_a_restart() {
    let place = Place::new();
    let queue = place.open().await;
    let (began, after) = (Instant::now(), Duration::from_millis(600));
    queue.publish(job("a")).await.unwrap();
    leased(&queue, "a").await.fail(Failure::Retry { after }).await.unwrap();
    let queue = place.open().await;
    let age = queue.depth().await.unwrap().oldest.unwrap();
    assert!(age <= began.elapsed() + Duration::from_millis(50), "{age:?}");
    drop(leased(&queue, "a").await);
    // Some slack: what is kept is kept in milliseconds.
    assert!(began.elapsed() + Duration::from_millis(50) >= after, "it came too early");
    assert!(place.open().await.depth().await.unwrap().oldest.unwrap() + Duration::from_millis(50) >= after);
}

#[tokio::test]
async fn dead_letters_outlive_the_process() {
    let place = Place::new();
    let queue = place.open().await;
    for name in ["a", "b"] {
        queue.publish(job(name)).await.unwrap();
        leased(&queue, name).await.fail(never(name)).await.unwrap();
    }
    let letters = queue.dead_letters(10).await.unwrap();
    let queue = place.open().await;
    assert_eq!(queue.dead_letters(10).await.unwrap(), letters);
    assert_eq!(queue.depth().await.unwrap().dead, 2);
    queue.publish(job("a")).await.unwrap();
    let queue = place.open().await;
    assert_eq!(queue.dead_letters(10).await.unwrap(), letters[..1], "that of b");
    assert_eq!(leased(&queue, "a").await.attempt(), 1);
}

#[tokio::test]
async fn a_dropped_call_for_a_job_is_no_attempt() {
    let place = Place::new();
    let queue = place.open().await;
    queue.publish(job("a")).await.unwrap();
    for _ in 0..5 {
        let mut call = pin!(queue.lease());
        assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending(), "it has taken the job");
        assert_eq!(queue.state(&hash("a")).await.unwrap(), JobState::Leased);
    }
    assert_eq!(leased(&queue, "a").await.attempt(), 1);
    assert_eq!(leased(&place.open().await, "a").await.attempt(), 2);
}

#[tokio::test]
async fn what_a_call_has_begun_is_finished_when_it_is_dropped() {
    let place = Place::new();
    let queue = place.open().await;
    {
        let mut call = pin!(queue.publish(job("a")));
        assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    let lease = leased(&queue, "a").await;
    {
        let mut call = pin!(lease.acknowledge());
        assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    let gone = async {
        while queue.state(&hash("a")).await.unwrap() != JobState::Absent {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), gone).await.expect("it was acknowledged");
    assert_eq!(place.open().await.state(&hash("a")).await.unwrap(), JobState::Absent);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_repeats_published_at_once_one_is_kept_until_it_is_leased() {
    let place = Place::new();
    let queue = place.open().await;
    let publish = async |times: usize| {
        let repeats: Vec<_> = (0..times)
            .map(|_| {
                let queue = queue.clone();
                tokio::spawn(async move { queue.publish(job("a")).await.unwrap() })
            })
            .collect();
        for repeat in repeats {
            repeat.await.unwrap();
        }
    };
    publish(8).await;
    assert_eq!(place.open().await.depth().await.unwrap().waiting, 1);
    let lease = leased(&queue, "a").await;
    publish(8).await;
    assert_eq!(queue.state(&hash("a")).await.unwrap(), JobState::Waiting { before: 0 });
    lease.acknowledge().await.unwrap();
    assert_eq!(place.open().await.depth().await.unwrap().waiting, 1, "the one that came while it was leased");
}

#[tokio::test]
async fn a_lease_may_be_granted_for_longer_than_clocks_go() {
    let place = Place::new();
    let queue = vocalizer_queue::SqliteQueue::open(&place.path(), Duration::MAX).await.unwrap();
    queue.publish(job("a")).await.unwrap();
    leased(&queue, "a").await.fail(Failure::Retry { after: Duration::MAX }).await.unwrap();
    assert_eq!(place.open().await.state(&hash("a")).await.unwrap(), JobState::Waiting { before: 0 });
    assert!(tokio::time::timeout(VISIBILITY / 10_000, queue.lease()).await.is_err());
}

#[tokio::test]
async fn a_clock_that_was_ahead_lengthens_no_delay() {
    let place = Place::new();
    let queue = place.open().await;
    let after = Duration::from_millis(300);
    for name in ["waits", "put off"] {
        queue.publish(job(name)).await.unwrap();
    }
    leased(&queue, "waits").await.fail(Failure::Retry { after: Duration::ZERO }).await.unwrap();
    leased(&queue, "put off").await.fail(Failure::Retry { after }).await.unwrap();
    drop(queue);
    // As the same calls would have written under a clock that is 60 days ahead.
    let ahead = "c.execute('UPDATE queue_jobs SET ready_at_ms = ready_at_ms + 5184000000, \
                 published_at_ms = published_at_ms + 5184000000')";
    let program = format!("import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); {ahead}; c.commit(); c.close()");
    let output = std::process::Command::new("python3").args(["-c", &program]).arg(place.path()).output().unwrap();
    assert!(output.status.success(), "{output:?}");

    let (queue, began) = (place.open().await, Instant::now());
    leased(&queue, "waits").await.acknowledge().await.unwrap();
    leased(&queue, "put off").await.acknowledge().await.unwrap();
    assert!(began.elapsed() + Duration::from_millis(50) >= after, "it came too early");
    assert!(began.elapsed() < Duration::from_secs(50), "it waited for longer than it was put off for");
}
