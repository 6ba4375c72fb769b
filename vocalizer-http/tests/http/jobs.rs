//! The job API of workers.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncWriteExt as _, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::support::{Answer, Service, request, worker};

/// Longer than any step here takes, even on a slow machine.
const LONG_TIMEOUT: Duration = Duration::from_secs(60);

/// Leases the next job, which must exist.
async fn lease_job(service: &Service) -> Value {
    let data = service.post("/jobs/lease", "wait_s=0").await.data();
    assert!(data["job"].is_object(), "{data}");
    data["job"].clone()
}

fn path(job: &Value, what: &str) -> String {
    format!("/jobs/{}/{what}", job["lease"].as_str().unwrap())
}

#[tokio::test]
async fn leased_job_has_all_fields() {
    for inline in [false, true] {
        let service = Service::new();
        // Even with a broker that carries songs inline, HTTP workers download them.
        service.queue.0.inline.store(inline, Ordering::SeqCst);
        let (hash, _) = service.song(b"a song").await;
        let job = lease_job(&service).await;
        assert_eq!(job["hash"], hash.to_string());
        assert_eq!((&job["attempt"], &job["visibility_ms"]), (&json!(1), &json!(60_000)));
        assert_eq!(job["model"], "htdemucs");
        assert_eq!(job.as_object().unwrap().len(), 5, "{job}");
        assert_eq!(service.post("/jobs/lease", "wait_s=0").await.data(), json!({"job": null}), "already leased");
    }
}

#[tokio::test]
async fn wait_is_limited_to_one_minute() {
    let service = Service::new();
    service.song(b"a song").await;
    for bad in ["wait_s=61", "wait_s=-1", "wait_s=0.5", "wait_s=soon", "wait_s=99999999999999999999"] {
        service.post("/jobs/lease", bad).await.assert_error(422, "invalid", Some("wait_s"));
    }
    service.send("POST", "/jobs/lease", &worker(), "").await.assert_error(415, "unsupported", None);
    assert_eq!(service.queue.waiting(), 1);
    // Without wait_s the default applies; the job is there at once.
    assert!(service.post("/jobs/lease", "").await.data()["job"].is_object());
}

#[tokio::test]
async fn lease_can_be_extended_and_acknowledged_once() {
    let service = Service::new();
    service.song(b"a song").await;
    let job = lease_job(&service).await;
    for _ in 0..2 {
        assert_eq!(service.post(&path(&job, "extend"), "").await.data(), Value::Null);
    }
    assert_eq!(service.post(&path(&job, "acknowledge"), "").await.data(), Value::Null);
    assert_eq!(service.queue.settled(), ["done"]);
    for what in ["extend", "acknowledge", "fail"] {
        service.post(&path(&job, what), "kind=later").await.assert_error(409, "conflict", None);
    }
    assert_eq!(service.queue.settled(), ["done"]);
}

#[tokio::test]
async fn failure_kind_settles_job() {
    for (form, settled) in [
        ("kind=retry", "retry after 0ns"),
        ("kind=retry&after_ms=1500", "retry after 1.5s"),
        ("kind=later&after_ms=86400000", "later, after 86400s"),
        ("kind=never&reason=it+is%0ano+song&after_ms=5", "never: it is no song"),
        ("kind=never", "never: no reason was given"),
    ] {
        let service = Service::new();
        service.song(b"a song").await;
        let job = lease_job(&service).await;
        assert_eq!(service.post(&path(&job, "fail"), form).await.data(), Value::Null);
        assert_eq!(service.queue.settled(), [settled]);
    }
}

#[tokio::test]
async fn invalid_failure_does_not_settle_job() {
    let service = Service::new();
    service.song(b"a song").await;
    let job = lease_job(&service).await;
    for (form, field) in [
        ("", "kind"),
        ("kind=sometimes", "kind"),
        ("kind=Retry", "kind"),
        ("kind=retry&after_ms=-1", "after_ms"),
        ("kind=retry&after_ms=86400001", "after_ms"),
        ("kind=later&after_ms=soon", "after_ms"),
    ] {
        service.post(&path(&job, "fail"), form).await.assert_error(422, "invalid", Some(field));
    }
    service.send("POST", &path(&job, "fail"), &worker(), "kind=later").await.assert_error(415, "unsupported", None);
    assert_eq!(service.queue.settled(), [""; 0]);
    service.post(&path(&job, "acknowledge"), "").await.data();
}

#[tokio::test]
async fn lost_lease_returns_409_and_invalid_id_404() {
    let service = Service::new();
    let never = json!({"lease": "00000000-0000-4000-8000-000000000000"});
    let none = json!({"lease": "00000000-0000-4000-8000-00000000000A"});
    for what in ["extend", "acknowledge", "fail"] {
        service.post(&path(&never, what), "kind=later").await.assert_error(409, "conflict", None);
        service.post(&path(&none, what), "kind=later").await.assert_error(404, "not_found", None);
        service.song(b"a song").await;
        let job = lease_job(&service).await;
        service.queue.0.lost.store(true, Ordering::SeqCst);
        service.post(&path(&job, what), "kind=later").await.assert_error(409, "conflict", None);
        service.queue.0.lost.store(false, Ordering::SeqCst);
    }
    assert_eq!(service.queue.settled(), [""; 0]);
}

#[tokio::test]
async fn unavailable_queue_returns_503() {
    let service = Service::new();
    service.song(b"a song").await;
    let job = lease_job(&service).await;
    service.queue.0.unavailable.store(true, Ordering::SeqCst);
    for (path, form) in [("/jobs/lease".to_owned(), "wait_s=60"), (path(&job, "extend"), "")] {
        let answer = service.post(&path, form).await;
        answer.assert_error(503, "unavailable", None);
        assert_eq!(answer.header("retry-after"), "5");
    }
}

#[tokio::test]
async fn waiting_worker_gets_new_job() {
    let service = Service::new();
    let lease = service.post("/jobs/lease", "wait_s=60");
    let publish = async {
        service.queue.wait_for_lease_request().await;
        service.song(b"a song").await
    };
    let (answer, (hash, _)) = tokio::join!(lease, publish);
    assert_eq!(answer.data()["job"]["hash"], hash.to_string());
}

#[tokio::test]
async fn disconnected_worker_does_not_take_job() {
    let service = Service::new();
    let form_type = "Content-Type: application/x-www-form-urlencoded\r\n";
    let lease = request("POST", "/jobs/lease", &format!("{}{form_type}", worker()), "wait_s=60");
    let (mut client, server) = duplex(64 * 1024);
    let disconnect = async {
        client.write_all(lease.as_bytes()).await.unwrap();
        service.queue.wait_for_lease_request().await;
        drop(client);
    };
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    // The connection ends with the worker, not after the wait of a minute.
    let (_, ()) =
        tokio::time::timeout(LONG_TIMEOUT / 2, async { tokio::join!(service.server.serve(server, peer), disconnect) })
            .await
            .unwrap();
    service.song(b"a song").await;
    lease_job(&service).await;
}

#[tokio::test]
async fn shutdown_ends_waiting_lease_requests() {
    let service = Service::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let queue = service.queue.clone();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(service.server.run(listener, async { stopped.await.unwrap_or_default() }));
    let form_type = "Content-Type: application/x-www-form-urlencoded\r\n";
    let lease = request("POST", "/jobs/lease", &format!("{}{form_type}", worker()), "wait_s=60");
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(lease.as_bytes()).await.unwrap();
    queue.wait_for_lease_request().await;
    stop.send(()).unwrap();
    let answer = tokio::time::timeout(LONG_TIMEOUT / 2, Answer::read(&mut client)).await.unwrap();
    assert_eq!(answer.data(), json!({"job": null}));
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn shutdown_returns_jobs_without_counting_attempts() {
    let service = Service::new();
    service.song(b"a song").await;
    lease_job(&service).await;
    let queue = service.queue.clone();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    service.server.run(listener, async {}).await.unwrap();
    assert_eq!(queue.settled(), ["later, after 0ns"]);
}
