//! A scripted HTTP server.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// A received request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) path: String,
    /// Start of the requested range.
    pub(crate) from: Option<usize>,
}

/// A scripted response.
#[derive(Debug, Clone)]
pub(crate) enum Response {
    /// A status line, headers and a body; then the connection closes, whatever length was announced.
    Say(String, Vec<u8>),
    /// No response while the server runs.
    Silence,
}

impl Response {
    pub(crate) fn status(status: &str) -> Self {
        Self::Say(format!("{status}\r\nContent-Length: 0"), Vec::new())
    }

    pub(crate) fn whole(file: &[u8]) -> Self {
        Self::Say(format!("200 OK\r\nContent-Length: {}", file.len()), file.to_vec())
    }

    /// The response of a server with range support.
    pub(crate) fn ranged(file: &[u8], request: &Request) -> Self {
        let Some(from) = request.from else { return Self::whole(file) };
        let (rest, total) = (&file[from..], file.len());
        let last = total - 1;
        let head =
            format!("206 Partial\r\nContent-Length: {}\r\nContent-Range: bytes {from}-{last}/{total}", rest.len());
        Self::Say(head, rest.to_vec())
    }

    /// Truncates the body to `length` bytes.
    pub(crate) fn cut(self, length: usize) -> Self {
        match self {
            Self::Say(head, body) => Self::Say(head, body[..length].to_vec()),
            Self::Silence => Self::Silence,
        }
    }
}

type Script = Box<dyn Fn(usize, &Request) -> Response + Send + Sync>;

struct State {
    script: Script,
    requests: Mutex<Vec<Request>>,
    silent: Mutex<Vec<TcpStream>>,
    ended: Mutex<bool>,
}

/// A running server. Dropping it stops the server.
pub(crate) struct Server {
    address: SocketAddr,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// `script` gets each request with its number, from 0.
    pub(crate) fn start(script: impl Fn(usize, &Request) -> Response + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(State {
            script: Box::new(script),
            requests: Mutex::default(),
            silent: Mutex::default(),
            ended: Mutex::new(false),
        });
        let shared = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if *locked(&shared.ended) {
                    return;
                }
                let state = Arc::clone(&shared);
                std::thread::spawn(move || state.serve(stream.expect("a connection")));
            }
        });
        Self { address, state, thread: Some(thread) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn name(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        locked(&self.state.requests).clone()
    }

    /// Starts of the requested ranges, one per request.
    pub(crate) fn ranges(&self) -> Vec<Option<usize>> {
        self.requests().iter().map(|request| request.from).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        *locked(&self.state.ended) = true;
        let _ = TcpStream::connect(self.address); // wakes the thread that accepts
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl State {
    fn serve(&self, mut stream: TcpStream) {
        let Some(request) = read(&mut stream) else { return };
        let number = {
            let mut requests = locked(&self.requests);
            requests.push(request.clone());
            requests.len() - 1
        };
        match (self.script)(number, &request) {
            Response::Say(head, body) => {
                // The client may disconnect early.
                let head = format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n");
                let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
            }
            Response::Silence => locked(&self.silent).push(stream),
        }
    }
}

fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.extend(byte);
    }
    let head = String::from_utf8(head).ok()?;
    let path = head.split(' ').nth(1)?.to_owned();
    let range =
        head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("range: bytes=").map(str::to_owned));
    let from = range.map(|range| range.trim_end_matches('-').parse().expect("an open range"));
    Some(Request { path, from })
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
