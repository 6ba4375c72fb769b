//! Many clients that send or read almost nothing, beside one normal client.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::task::JoinSet;
use tokio::time::sleep;
use vocalizer_core::ports::Stems;

use super::server::Server;
use super::support::{id, song, stems};

/// Number of slow clients; `VOCALIZER_SLOW_CLIENTS` sets another.
fn clients() -> usize {
    std::env::var("VOCALIZER_SLOW_CLIENTS").map_or(1000, |clients| clients.parse().unwrap())
}

/// A client that sends `at_once`, then repeats `then` at a byte per second, and does not read the response.
#[derive(Clone)]
struct Slow {
    at_once: String,
    then: &'static str,
}

impl Slow {
    /// Repeats this with new connections.
    async fn run(self, from: String, to: std::net::SocketAddr) {
        loop {
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_recv_buffer_size(4 * 1024).unwrap();
            socket.bind(from.parse().unwrap()).unwrap();
            // Reconnects after the server closes the connection.
            if let Ok(mut stream) = socket.connect(to).await
                && stream.write_all(self.at_once.as_bytes()).await.is_ok()
            {
                let _ = stream.read(&mut [0; 12]).await;
                for byte in self.then.bytes().cycle() {
                    sleep(Duration::from_secs(1)).await;
                    if stream.write_all(&[byte]).await.is_err() {
                        break;
                    }
                }
            }
            sleep(Duration::from_millis(100)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousand_slow_clients_do_not_delay_normal_client() {
    rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"));
    let browser = server.browser();
    let open = browser.upload("x", &song(1)).await;
    let Stems { drums, bass, other, vocals } = stems();
    let large = Stems { drums: drums.repeat(400).into(), bass, other, vocals };
    browser.result(&open, vocalizer_store::archive::write(&large, Vec::new()).unwrap()).await.data();

    let part = |name: &str| format!("GET /songs/{}/{name} HTTP/1.1\r\nHost: localhost\r\n\r\n", id(&open));
    let upload = "POST /songs/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\
                  Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n\
                  Content-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\nRIFF";
    let kinds = [
        Slow { at_once: "GET /livez HTTP/1.1\r\n".to_owned(), then: "X-Slow: yes\r\n" },
        Slow { at_once: upload.to_owned(), then: "x" },
        Slow { at_once: part("drums.mp3"), then: "\r\n" },
        Slow { at_once: part("stems.zip"), then: "\r\n" },
        Slow { at_once: part("stems.tar"), then: "\r\n" },
    ];
    let mut slow = JoinSet::new();
    for (number, kind) in (0..clients()).zip(kinds.iter().cycle()) {
        // Use several addresses, since the number of connections per address is limited.
        slow.spawn(kind.clone().run(format!("127.0.1.{}:0", number / 800), server.address()));
    }
    sleep(Duration::from_secs(2)).await;

    // Long enough for the server to disconnect slow clients and for those to reconnect.
    let (mut took, mut number, working) = (Vec::new(), 0, Instant::now());
    while working.elapsed() < Duration::from_secs(45) {
        number += 1;
        let begun = Instant::now();
        let uploaded = browser.upload("y", &song(1000 + number)).await;
        took.push(begun.elapsed());
        for path in ["/readyz".to_owned(), "/songs/?limit=20".to_owned(), format!("/songs/{}/vocals.mp3", id(&open))] {
            let begun = Instant::now();
            let answer = browser.get(&path).await;
            assert_eq!(answer.status, 200, "{path}: {answer:?}");
            took.push(begun.elapsed());
        }
        let begun = Instant::now();
        browser.delete(&format!("/songs/{}", id(&uploaded))).await.data();
        took.push(begun.elapsed());
    }
    took.sort();
    let [median, p99] = [took[took.len() / 2], took[took.len() * 99 / 100]];
    println!("{} requests among {} slow clients: median {median:?}, p99 {p99:?}", took.len(), clients());
    assert!(p99 < Duration::from_secs(1), "{p99:?}");
}
