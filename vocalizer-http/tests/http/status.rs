//! The server of programs that have no interface of their own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
    let ready = ask(address, "GET", "/readyz").await;
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
