//! The status server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use vocalizer_http::status::{Metric, MoreMetrics, Readiness, StatusServer};

use super::support::{Answer, request};

#[derive(Default)]
struct Model(AtomicBool);

#[async_trait]
impl Readiness for Model {
    fn name(&self) -> &'static str {
        "model"
    }

    async fn check(&self) -> Result<(), String> {
        if self.0.load(Ordering::SeqCst) { Ok(()) } else { Err("is being loaded".to_owned()) }
    }
}

impl MoreMetrics for Model {
    fn metrics(&self) -> Vec<Metric> {
        let labels = vec![("device", "a \"card\"\n".to_owned())];
        vec![
            Metric::Info { name: "worker", help: "The device.", labels },
            Metric::Counters {
                name: "songs",
                help: "Songs.",
                label: "outcome",
                counts: vec![("done".into(), 3), ("failed".into(), 0)],
            },
            Metric::Seconds { name: "busy", help: "Work.", total: Duration::from_millis(1_500) },
        ]
    }
}

async fn send(address: SocketAddr, method: &str, path: &str) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request(method, path, "", "").as_bytes()).await.unwrap();
    Answer::read(&mut stream).await
}

/// A readiness check with a delay.
struct Slow(Duration);

#[async_trait]
impl Readiness for Slow {
    fn name(&self) -> &'static str {
        "slow"
    }

    async fn check(&self) -> Result<(), String> {
        tokio::time::sleep(self.0).await;
        Ok(())
    }
}

/// Uses paused time, so that a slow machine does not matter.
#[tokio::test(start_paused = true)]
async fn readyz_responds_within_a_second_despite_slow_checks() {
    for (takes, expected) in [(Duration::from_secs(2), 200), (Duration::MAX, 503)] {
        let status = StatusServer::new(vec![Arc::new(Slow(takes)), Arc::new(Model(AtomicBool::new(true)))], Vec::new());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let running = tokio::spawn(status.run(listener, std::future::pending()));
        for round in 0..20 {
            let began = tokio::time::Instant::now();
            let ready = send(address, "GET", "/readyz").await;
            assert!(began.elapsed() <= Duration::from_secs(1), "{:?}", began.elapsed());
            let first = round == 0;
            assert_eq!(ready.status, if first { 503 } else { expected }, "round {round}: {}", ready.text());
            assert_eq!(ready.json()["checks"]["model"], "ok");
            tokio::time::sleep(if first { Duration::from_secs(3) } else { Duration::from_millis(500) }).await;
        }
        running.abort();
    }
}

#[tokio::test]
async fn status_server_has_only_status_endpoints() {
    let model = Arc::new(Model::default());
    let status = StatusServer::new(vec![Arc::clone(&model) as _], vec![Arc::clone(&model) as _]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(status.run(listener, async { stopped.await.unwrap_or_default() }));

    let live = send(address, "GET", "/livez").await;
    assert_eq!((live.status, live.text().as_str()), (200, "ok\n"));
    let ready = send(address, "GET", "/readyz").await;
    let expected = json!({"ready": false, "checks": {"model": "is being loaded"}});
    assert_eq!((ready.status, ready.json()), (503, expected));
    model.0.store(true, Ordering::SeqCst);
    let mut ready = send(address, "GET", "/readyz").await;
    while ready.status == 503 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        ready = send(address, "GET", "/readyz").await;
    }
    assert_eq!((ready.status, ready.json()), (200, json!({"ready": true, "checks": {"model": "ok"}})));
    let metrics = send(address, "GET", "/metrics").await;
    let expected = [
        "# HELP vocalizer_worker The device.",
        "# TYPE vocalizer_worker info",
        r#"vocalizer_worker_info{device="a \"card\"\n"} 1"#,
        "# HELP vocalizer_songs Songs.",
        "# TYPE vocalizer_songs counter",
        r#"vocalizer_songs_total{outcome="done"} 3"#,
        r#"vocalizer_songs_total{outcome="failed"} 0"#,
        "# HELP vocalizer_busy_seconds Work.",
        "# TYPE vocalizer_busy_seconds counter",
        "# UNIT vocalizer_busy_seconds seconds",
        "vocalizer_busy_seconds_total 1.5",
        "# EOF\n",
    ];
    assert_eq!((metrics.status, metrics.text()), (200, expected.join("\n")));
    assert!(metrics.header("content-type").starts_with("application/openmetrics-text"));
    assert_eq!(metrics.header("x-content-type-options"), "nosniff");

    let head = send(address, "HEAD", "/livez").await;
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, "3", 0));
    let posted = send(address, "POST", "/metrics").await;
    posted.assert_error(405, "method_not_allowed", None);
    assert_eq!(posted.header("allow"), "GET, HEAD");
    for path in ["/", "/songs/", "/openapi.json", "/metrics/"] {
        send(address, "GET", path).await.assert_error(404, "not_found", None);
    }

    stop.send(()).unwrap();
    running.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err(), "the server has stopped");
}
