//! A collector of traces: OTLP over HTTP.

use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A span, and the `service.name` of the program that sent it.
#[derive(Debug, Clone)]
pub(super) struct Exported {
    pub(super) service: String,
    pub(super) span: Span,
}

impl Exported {
    /// Returns an attribute as text.
    pub(super) fn attribute(&self, name: &str) -> Option<String> {
        text(&self.span.attributes, name)
    }
}

fn text(attributes: &[KeyValue], name: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == name)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        other => Some(format!("{other:?}")),
    }
}

type Log = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// A real HTTP server on loopback. Dropping it closes it.
pub(super) struct Collector {
    pub(super) url: String,
    /// The heads and bodies of the requests.
    requests: Log,
    _tasks: JoinSet<()>,
}

impl Collector {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (requests, mut tasks) = (Log::default(), JoinSet::new());
        let log = Arc::clone(&requests);
        tasks.spawn(async move {
            let mut open = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let log = Arc::clone(&log);
                open.spawn(async move {
                    let mut stream = BufReader::new(stream);
                    // Until the exporter closes the connection.
                    while answer(&mut stream, &log).await.is_ok() {}
                });
            }
        });
        Self { url, requests, _tasks: tasks }
    }

    /// Returns the heads of the requests.
    pub(super) fn heads(&self) -> Vec<String> {
        self.requests.lock().unwrap().iter().map(|(head, _)| head.clone()).collect()
    }

    /// Returns the spans so far.
    pub(super) fn spans(&self) -> Vec<Exported> {
        let mut spans = Vec::new();
        for (_, body) in self.requests.lock().unwrap().iter() {
            let request = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
            for resource in request.resource_spans {
                let attributes = resource.resource.unwrap().attributes;
                let service = text(&attributes, "service.name").unwrap();
                let found = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
                spans.extend(found.map(|span| Exported { service: service.clone(), span }));
            }
        }
        spans
    }
}

/// Reads a request and accepts it: an empty body is an empty message.
async fn answer(stream: &mut BufReader<TcpStream>, log: &Log) -> std::io::Result<()> {
    let mut head = String::new();
    loop {
        let start = head.len();
        if stream.read_line(&mut head).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if head[start..].trim().is_empty() {
            break;
        }
    }
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap()];
    stream.read_exact(&mut body).await?;
    log.lock().unwrap().push((head, body));
    let response = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
    stream.write_all(response).await
}
