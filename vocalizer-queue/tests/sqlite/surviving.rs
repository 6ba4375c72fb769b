use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use vocalizer_core::account::UserId;
use vocalizer_core::ports::{Depth, Failure, JobLine, JobQueue, JobState, JobTrace};

use super::support::{TestFile, VISIBILITY, hash, job, leased, never};

#[tokio::test]
async fn restart_keeps_jobs_in_order() {
    let place = TestFile::new();
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
async fn restart_keeps_traces() {
    let place = TestFile::new();
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().unwrap();
    let trace = Some(JobTrace { parent, published_at_ms: Some(7) });
    place.open().await.publish(job("a").with_trace(trace)).await.unwrap();
    let lease = leased(&place.open().await, "a").await;
    assert_eq!(lease.job().trace, trace);
    // Like a killed process.
    std::mem::forget(lease);
    assert_eq!(leased(&place.open().await, "a").await.job().trace, trace);
}

#[tokio::test]
async fn restart_keeps_lines_and_withdrawals() {
    let place = TestFile::new();
    let queue = place.open().await;
    let line = |priority| JobLine { owner: Some(UserId::random()), priority };
    let (ada, bob) = (line(0), line(0));
    for (name, line) in
        [("a1", ada), ("a2", ada), ("a3", ada), ("b1", bob), ("b2", bob), ("low", line(-1)), ("up", ada)]
    {
        queue.publish_in(job(name), line).await.unwrap();
    }
    queue.move_ahead(&hash("up"), line(1)).await.unwrap();
    queue.withdraw(&hash("a2")).await.unwrap();
    let queue = place.open().await;
    for name in ["up", "a1", "b1", "a3", "b2", "low"] {
        leased(&queue, name).await.acknowledge().await.unwrap();
    }
    assert_eq!(place.open().await.depth().await.unwrap().waiting, 0);
}

#[tokio::test]
async fn jobs_leased_by_a_dead_process_are_ready_and_count_an_attempt() {
    let place = TestFile::new();
    let queue = place.open().await;
    for name in ["a", "b"] {
        queue.publish(job(name)).await.unwrap();
    }
    for attempt in 1..=3 {
        let queue = place.open().await;
        // It comes after untried jobs, because it may have crashed the process.
        assert_eq!(queue.state(&hash("a")).await.unwrap(), JobState::Waiting { before: u64::from(attempt > 1) });
        if attempt > 1 {
            leased(&queue, "b").await.fail(Failure::Later { after: Duration::ZERO }).await.unwrap();
        }
        let lease = leased(&queue, "a").await;
        assert_eq!(lease.attempt(), attempt);
        // Like a killed process.
        std::mem::forget(lease);
    }
}

#[tokio::test]
async fn restart_keeps_uncounted_attempts_uncounted() {
    let place = TestFile::new();
    let queue = place.open().await;
    queue.publish(job("a")).await.unwrap();
    leased(&queue, "a").await.fail(Failure::Retry { after: Duration::ZERO }).await.unwrap();
    leased(&queue, "a").await.fail(Failure::Later { after: Duration::ZERO }).await.unwrap();
    assert_eq!(leased(&place.open().await, "a").await.attempt(), 2);
}

#[tokio::test]
async fn delay_and_age_continue_after_a_restart() {
    let place = TestFile::new();
    let queue = place.open().await;
    let (started, after) = (Instant::now(), Duration::from_millis(600));
    queue.publish(job("a")).await.unwrap();
    leased(&queue, "a").await.fail(Failure::Retry { after }).await.unwrap();
    let queue = place.open().await;
    let age = queue.depth().await.unwrap().oldest.unwrap();
    assert!(age <= started.elapsed() + Duration::from_millis(50), "{age:?}");
    drop(leased(&queue, "a").await);
    // With tolerance, because times are stored in milliseconds.
    assert!(started.elapsed() + Duration::from_millis(50) >= after, "the job arrived too early");
    assert!(place.open().await.depth().await.unwrap().oldest.unwrap() + Duration::from_millis(50) >= after);
}

#[tokio::test]
async fn restart_keeps_dead_letters() {
    let place = TestFile::new();
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
    assert_eq!(queue.dead_letters(10).await.unwrap(), letters[..1], "only the dead letter of b is left");
    assert_eq!(leased(&queue, "a").await.attempt(), 1);
}

#[tokio::test]
async fn cancelled_lease_call_counts_no_attempt() {
    let place = TestFile::new();
    let queue = place.open().await;
    queue.publish(job("a")).await.unwrap();
    for _ in 0..5 {
        let mut call = pin!(queue.lease());
        assert!(
            call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending(),
            "the call must not complete yet"
        );
        assert_eq!(queue.state(&hash("a")).await.unwrap(), JobState::Leased);
    }
    assert_eq!(leased(&queue, "a").await.attempt(), 1);
    assert_eq!(leased(&place.open().await, "a").await.attempt(), 2);
}

#[tokio::test]
async fn cancelled_calls_still_complete() {
    let place = TestFile::new();
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
    tokio::time::timeout(Duration::from_secs(60), gone).await.expect("the job was not acknowledged");
    assert_eq!(place.open().await.state(&hash("a")).await.unwrap(), JobState::Absent);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_repeats_leave_one_waiting_job() {
    let place = TestFile::new();
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
    assert_eq!(place.open().await.depth().await.unwrap().waiting, 1, "the repeat published during the lease is kept");
}

#[tokio::test]
async fn lease_longer_than_the_clock_range_is_capped() {
    let place = TestFile::new();
    let queue = vocalizer_queue::SqliteQueue::open(&place.path(), Duration::MAX).await.unwrap();
    queue.publish(job("a")).await.unwrap();
    leased(&queue, "a").await.fail(Failure::Retry { after: Duration::MAX }).await.unwrap();
    assert_eq!(place.open().await.state(&hash("a")).await.unwrap(), JobState::Waiting { before: 0 });
    assert!(tokio::time::timeout(VISIBILITY / 10_000, queue.lease()).await.is_err());
}

#[tokio::test]
async fn clock_set_back_lengthens_no_delay() {
    let place = TestFile::new();
    let queue = place.open().await;
    let after = Duration::from_millis(300);
    for name in ["waits", "postponed"] {
        queue.publish(job(name)).await.unwrap();
    }
    leased(&queue, "waits").await.fail(Failure::Retry { after: Duration::ZERO }).await.unwrap();
    leased(&queue, "postponed").await.fail(Failure::Retry { after }).await.unwrap();
    drop(queue);
    // Simulates a clock that was 60 days ahead during these calls.
    let ahead = "c.execute('UPDATE queue_jobs SET ready_at_ms = ready_at_ms + 5184000000, \
                 published_at_ms = published_at_ms + 5184000000')";
    let program = format!("import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); {ahead}; c.commit(); c.close()");
    let output = std::process::Command::new("python3").args(["-c", &program]).arg(place.path()).output().unwrap();
    assert!(output.status.success(), "{output:?}");

    let (queue, started) = (place.open().await, Instant::now());
    leased(&queue, "waits").await.acknowledge().await.unwrap();
    leased(&queue, "postponed").await.acknowledge().await.unwrap();
    assert!(started.elapsed() + Duration::from_millis(50) >= after, "the job arrived too early");
    assert!(started.elapsed() < Duration::from_secs(50), "the delay was lengthened");
}
