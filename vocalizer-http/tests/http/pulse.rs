//! `/livez` when the blocking pool is stuck.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinSet, spawn_blocking};
use vocalizer_http::settings::{HttpSettings, Timeouts};

use super::support::{Answer, Service, request};

async fn live(address: SocketAddr) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request("GET", "/livez", "", "").as_bytes()).await.unwrap();
    Answer::read(&mut stream).await
}

async fn wait_for_status(address: SocketAddr, status: u16) -> Answer {
    for _ in 0..1000 {
        let answer = live(address).await;
        if answer.status == status {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("/livez never returned {status}");
}

#[test]
fn livez_fails_while_blocking_pool_is_stuck() {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).max_blocking_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let timeouts = Timeouts { progress: Duration::from_millis(500), ..Timeouts::default() };
        let server = Service::with_settings(HttpSettings { timeouts, ..HttpSettings::default() }).server;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let _server = JoinSet::from_iter([async move { server.run(listener, std::future::pending()).await }]);
        assert_eq!(wait_for_status(address, 200).await.text(), "ok\n");

        let (release, held): (_, Receiver<()>) = channel();
        let stuck = spawn_blocking(move || held.recv());
        wait_for_status(address, 503).await.assert_error(503, "unavailable", None);

        drop(release);
        stuck.await.unwrap().unwrap_err();
        wait_for_status(address, 200).await;
    });
}
