//! The server of programs that have no interface of their own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use vocalizer_http::status::{MoreMetrics, Readiness, StatusServer};

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
    fn write(&self, out: &mut String) {
        out.push_str("# TYPE songs counter\nsongs_total 3\n");
    }
}

async fn ask(address: SocketAddr, method: &str, path: &str) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request(method, path, "", "").as_bytes()).await.unwrap();
    Answer::read(&mut stream).await
}

/// Answers when it likes.
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

/// On time that passes when nothing is left to do, so that a slow machine changes nothing.
#[tokio::test(start_paused = true)]
async fn what_does_not_answer_is_told_within_a_second_and_what_is_slow_is_ready() {
    for (takes, expected) in [(Duration::from_secs(2), 200), (Duration::MAX, 503)] {
        let status = StatusServer::new(vec![Arc::new(Slow(takes)), Arc::new(Model(AtomicBool::new(true)))], Vec::new());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let running = tokio::spawn(status.run(listener, std::future::pending()));
        for round in 0..20 {
            let began = tokio::time::Instant::now();
            let ready = ask(address, "GET", "/readyz").await;
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
async fn it_tells_how_the_program_is_and_nothing_else() {
    let model = Arc::new(Model::default());
    let status = StatusServer::new(vec![Arc::clone(&model) as _], vec![Arc::clone(&model) as _]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(status.run(listener, async { stopped.await.unwrap_or_default() }));

    let live = ask(address, "GET", "/livez").await;
    assert_eq!((live.status, live.text().as_str()), (200, "ok\n"));
    let ready = ask(address, "GET", "/readyz").await;
    let said = json!({"ready": false, "checks": {"model": "is being loaded"}});
    assert_eq!((ready.status, ready.json()), (503, said));
    model.0.store(true, Ordering::SeqCst);
    let mut ready = ask(address, "GET", "/readyz").await;
    while ready.status == 503 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        ready = ask(address, "GET", "/readyz").await;
    }
    assert_eq!((ready.status, ready.json()), (200, json!({"ready": true, "checks": {"model": "ok"}})));
    let figures = ask(address, "GET", "/metrics").await;
    assert_eq!((figures.status, figures.text().as_str()), (200, "# TYPE songs counter\nsongs_total 3\n# EOF\n"));
    assert!(figures.header("content-type").starts_with("application/openmetrics-text"));
    assert_eq!(figures.header("x-content-type-options"), "nosniff");

    let head = ask(address, "HEAD", "/livez").await;
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, "3", 0));
    let posted = ask(address, "POST", "/metrics").await;
    posted.refused(405, "method_not_allowed", None);
    assert_eq!(posted.header("allow"), "GET, HEAD");
    for path in ["/", "/songs/", "/openapi.json", "/metrics/"] {
        ask(address, "GET", path).await.refused(404, "not_found", None);
    }

    stop.send(()).unwrap();
    running.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err(), "it has ended");
}
