//! Jobs, leased and brought back, on the wire.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncWriteExt as _, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::support::{Answer, Service, request, worker};

/// Longer than anything here takes, on however slow a machine.
const EVER: Duration = Duration::from_secs(60);

/// The job that comes next; it has to be there.
async fn leased(service: &Service) -> Value {
    let data = service.post("/jobs/lease", "wait_s=0").await.data();
    assert!(data["job"].is_object(), "{data}");
    data["job"].clone()
}

fn path(job: &Value, what: &str) -> String {
    format!("/jobs/{}/{what}", job["lease"].as_str().unwrap())
}

#[tokio::test]
async fn a_job_says_all_that_a_worker_needs() {
    for inline in [false, true] {
        let service = Service::new();
        // Where a broker carries songs, a worker over HTTP fetches them all the same.
        service.queue.0.inline.store(inline, Ordering::SeqCst);
        let (hash, _) = service.song(b"a song").await;
        let job = leased(&service).await;
        assert_eq!(job["hash"], hash.to_string());
        assert_eq!((&job["attempt"], &job["visibility_ms"]), (&json!(1), &json!(60_000)));
        assert_eq!(job.as_object().unwrap().len(), 4, "{job}");
        assert_eq!(service.post("/jobs/lease", "wait_s=0").await.data(), json!({"job": null}), "it is leased");
    }
}

#[tokio::test]
async fn a_wait_is_a_whole_number_of_seconds_up_to_a_minute() {
    let service = Service::new();
    service.song(b"a song").await;
    for bad in ["wait_s=61", "wait_s=-1", "wait_s=0.5", "wait_s=soon", "wait_s=99999999999999999999"] {
        service.post("/jobs/lease", bad).await.refused(422, "invalid", Some("wait_s"));
    }
    service.ask("POST", "/jobs/lease", &worker(), "").await.refused(415, "unsupported", None);
    assert_eq!(service.queue.waiting(), 1);
    // Nothing said is a while; the job is there.
    assert!(service.post("/jobs/lease", "").await.data()["job"].is_object());
}

#[tokio::test]
async fn a_lease_is_extended_and_acknowledged_once() {
    let service = Service::new();
    service.song(b"a song").await;
    let job = leased(&service).await;
    for _ in 0..2 {
        assert_eq!(service.post(&path(&job, "extend"), "").await.data(), Value::Null);
    }
    assert_eq!(service.post(&path(&job, "acknowledge"), "").await.data(), Value::Null);
    assert_eq!(service.queue.settled(), ["done"]);
    for what in ["extend", "acknowledge", "fail"] {
        service.post(&path(&job, what), "kind=later").await.refused(409, "conflict", None);
    }
    assert_eq!(service.queue.settled(), ["done"]);
}

#[tokio::test]
async fn a_failure_says_what_is_to_become_of_the_job() {
    for (form, settled) in [
        ("kind=retry", "retry after 0ns"),
        ("kind=retry&after_ms=1500", "retry after 1.5s"),
        ("kind=later&after_ms=86400000", "later, after 86400s"),
        ("kind=never&reason=it+is%0ano+song&after_ms=5", "never: it is no song"),
        ("kind=never", "never: no reason was given"),
    ] {
        let service = Service::new();
        service.song(b"a song").await;
        let job = leased(&service).await;
        assert_eq!(service.post(&path(&job, "fail"), form).await.data(), Value::Null);
        assert_eq!(service.queue.settled(), [settled]);
    }
}

#[tokio::test]
async fn a_failure_that_says_something_else_settles_nothing() {
    let service = Service::new();
    service.song(b"a song").await;
    let job = leased(&service).await;
    for (form, field) in [
        ("", "kind"),
        ("kind=sometimes", "kind"),
        ("kind=Retry", "kind"),
        ("kind=retry&after_ms=-1", "after_ms"),
        ("kind=retry&after_ms=86400001", "after_ms"),
        ("kind=later&after_ms=soon", "after_ms"),
    ] {
        service.post(&path(&job, "fail"), form).await.refused(422, "invalid", Some(field));
    }
    service.ask("POST", &path(&job, "fail"), &worker(), "kind=later").await.refused(415, "unsupported", None);
    assert_eq!(service.queue.settled(), [""; 0]);
    service.post(&path(&job, "acknowledge"), "").await.data();
}

#[tokio::test]
async fn a_lease_that_is_not_held_is_a_conflict_and_what_is_none_is_not_found() {
    let service = Service::new();
    let never = json!({"lease": "00000000-0000-4000-8000-000000000000"});
    let none = json!({"lease": "00000000-0000-4000-8000-00000000000A"});
    for what in ["extend", "acknowledge", "fail"] {
        service.post(&path(&never, what), "kind=later").await.refused(409, "conflict", None);
        service.post(&path(&none, what), "kind=later").await.refused(404, "not_found", None);
        service.song(b"a song").await;
        let job = leased(&service).await;
        service.queue.0.lost.store(true, Ordering::SeqCst);
        service.post(&path(&job, what), "kind=later").await.refused(409, "conflict", None);
        service.queue.0.lost.store(false, Ordering::SeqCst);
    }
    assert_eq!(service.queue.settled(), [""; 0]);
}

#[tokio::test]
async fn a_queue_that_is_away_is_unavailable() {
    let service = Service::new();
    service.song(b"a song").await;
    let job = leased(&service).await;
    service.queue.0.away.store(true, Ordering::SeqCst);
    for (path, form) in [("/jobs/lease".to_owned(), "wait_s=60"), (path(&job, "extend"), "")] {
        let answer = service.post(&path, form).await;
        answer.refused(503, "unavailable", None);
        assert_eq!(answer.header("retry-after"), "5");
    }
}

#[tokio::test]
async fn a_worker_that_waits_gets_the_job_when_it_comes() {
    let service = Service::new();
    let asked = service.post("/jobs/lease", "wait_s=60");
    let comes = async {
        service.queue.asked().await;
        service.song(b"a song").await
    };
    let (answer, (hash, _)) = tokio::join!(asked, comes);
    assert_eq!(answer.data()["job"]["hash"], hash.to_string());
}

#[tokio::test]
async fn a_worker_that_hangs_up_takes_no_job_with_it() {
    let service = Service::new();
    let form_type = "Content-Type: application/x-www-form-urlencoded\r\n";
    let asked = request("POST", "/jobs/lease", &format!("{}{form_type}", worker()), "wait_s=60");
    let (mut client, server) = duplex(64 * 1024);
    let leaves = async {
        client.write_all(asked.as_bytes()).await.unwrap();
        service.queue.asked().await;
        drop(client);
    };
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    // The connection ends with the worker, and does not wait for the minute.
    let (_, ()) = tokio::time::timeout(EVER / 2, async { tokio::join!(service.server.serve(server, peer), leaves) })
        .await
        .unwrap();
    service.song(b"a song").await;
    leased(&service).await;
}

#[tokio::test]
async fn a_server_that_closes_tells_waiting_workers_at_once_that_there_is_nothing() {
    let service = Service::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let queue = service.queue.clone();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(service.server.run(listener, async { stopped.await.unwrap_or_default() }));
    let form_type = "Content-Type: application/x-www-form-urlencoded\r\n";
    let asked = request("POST", "/jobs/lease", &format!("{}{form_type}", worker()), "wait_s=60");
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(asked.as_bytes()).await.unwrap();
    queue.asked().await;
    stop.send(()).unwrap();
    let answer = tokio::time::timeout(EVER / 2, Answer::read(&mut client)).await.unwrap();
    assert_eq!(answer.data(), json!({"job": null}));
    running.await.unwrap();
}

#[tokio::test]
async fn a_server_that_stops_gives_its_jobs_back_and_they_were_no_attempts() {
    let service = Service::new();
    service.song(b"a song").await;
    leased(&service).await;
    let queue = service.queue.clone();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    service.server.run(listener, async {}).await;
    assert_eq!(queue.settled(), ["later, after 0ns"]);
}
