use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use vocalizer_core::ports::JobQueue;

use super::support::{job, leased, queue_of};

#[tokio::test(start_paused = true)]
async fn call_cancelled_after_wakeup_takes_no_job() {
    let queue = queue_of(&[]).await;
    {
        let mut waiting = pin!(queue.lease());
        assert!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        queue.publish(job("a")).await.unwrap();
        // Woken, but cancelled before it could check.
    }
    assert_eq!(leased(&queue, "a").await.attempt(), 1);
}

#[tokio::test(start_paused = true)]
async fn dropped_lease_returns_its_job() {
    let queue = queue_of(&["a"]).await;
    {
        let mut call = pin!(queue.lease());
        let Poll::Ready(lease) = call.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("the job is ready");
        };
        drop(lease);
    }
    assert_eq!(leased(&queue, "a").await.attempt(), 2);
}
