//! A status server for programs without an API of their own, such as remote workers.
//!
//! It serves the same `/livez`, `/readyz` and `/metrics` as [`server`](crate::server).

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;

use http::{HeaderValue, Method, Request, Response, header};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;

use crate::accept::{MAX_HEAD_BYTES, accept};
use crate::body::{Body, full};
use crate::caps::Connections;
use crate::failure::Failure;
use crate::handlers::operations::{exposition, live, readiness};
use crate::metrics;
pub use crate::metrics::{Metric, MoreMetrics};
use crate::probe::Probe;
pub use crate::probe::Readiness;
use crate::pulse::Pulse;
use crate::server::head_only;
use crate::settings::{Caps, Timeouts};

/// A server with only `/livez`, `/readyz` and `/metrics`.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use vocalizer_http::status::{Metric, MoreMetrics, StatusServer};
///
/// struct Songs;
///
/// impl MoreMetrics for Songs {
///     fn metrics(&self) -> Vec<Metric> {
///         let counts = vec![("done".into(), 3), ("failed".into(), 0)];
///         vec![Metric::Counters { name: "songs", help: "Songs by outcome.", label: "outcome", counts }]
///     }
/// }
///
/// # async fn run() -> std::io::Result<()> {
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:9100").await?;
/// let status = StatusServer::new(Vec::new(), vec![Arc::new(Songs)]);
/// status.run(listener, std::future::pending()).await;
/// # Ok(())
/// # }
/// ```
pub struct StatusServer {
    probe: Probe,
    registry: Registry,
    pulse: Arc<Pulse>,
}

impl StatusServer {
    /// Creates a server with these readiness checks and metrics.
    #[must_use]
    pub fn new(readiness: Vec<Arc<dyn Readiness>>, more_metrics: Vec<Arc<dyn MoreMetrics>>) -> Self {
        let mut probe = Probe::default();
        readiness.into_iter().for_each(|readiness| probe.add_readiness(readiness));
        let mut registry = metrics::registry();
        more_metrics.into_iter().for_each(|more| metrics::add(&mut registry, more));
        Self { probe, registry, pulse: Arc::new(Pulse::new(Timeouts::default().progress)) }
    }

    /// Serves until `stop` completes.
    pub async fn run(self, listener: TcpListener, stop: impl Future<Output = ()>) {
        let (status, timeouts) = (Arc::new(self), Timeouts::default());
        let connections = Connections::new(&Caps::default(), &[]);
        let _watching = status.pulse.start();
        let connect = |stream, _| {
            let status = Arc::clone(&status);
            let service = service_fn(move |request| {
                let status = Arc::clone(&status);
                async move { Ok::<_, Infallible>(status.respond(&request).await) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(timeouts.head)
                .max_buf_size(MAX_HEAD_BYTES)
                .serve_connection(TokioIo::new(stream), service);
            (connection, ())
        };
        accept(listener, stop, timeouts, &connections, connect, || ()).await;
    }

    async fn respond(&self, request: &Request<hyper::body::Incoming>) -> Response<Body> {
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        let mut response = match request.uri().path() {
            "/livez" | "/readyz" | "/metrics" if !reads => {
                Failure::method_not_allowed("GET, HEAD".to_owned()).into_response().map(full)
            }
            "/livez" => live(&self.pulse).unwrap_or_else(|failure| failure.into_response().map(full)),
            "/readyz" => readiness(&self.probe).await,
            "/metrics" => exposition(&self.registry),
            _ => Failure::not_found().into_response().map(full),
        };
        if *request.method() == Method::HEAD {
            head_only(&mut response);
        }
        response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response
    }
}
