//! The HTTP server.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::join;
use http::{HeaderName, HeaderValue, Method, Response, header};
use http_body_util::BodyExt as _;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::field::Empty;
use vocalizer_core::api::ErrorCode;
use vocalizer_core::service::{AccountService, AdminService, RemoteLeases, SongService};

use crate::accept::{MAX_HEAD_BYTES, accept};
use crate::app::App;
use crate::body::{Body, Incoming, RequestBody, full, in_span};
use crate::caps::{Connections, LongResponses};
use crate::failure::Failure;
use crate::handlers::resumable;
use crate::handlers::sign_in::Refused;
use crate::metrics::{self, Metrics, WebhookMetrics, WorkMetrics};
pub use crate::metrics::{Metric, MoreMetrics};
use crate::page::{Page, PageFile};
use crate::probe::Probe;
pub use crate::probe::Readiness;
use crate::pulse::Pulse;
use crate::request::{Peer, Request, check_worker, proof, token};
use crate::routes::{Access, Found, Operation, Route, Routes};
use crate::settings::HttpSettings;
use crate::{hosts, openapi, origin, share, trace};

/// Keeps search engines from listing what a share link opens.
const ROBOTS: HeaderName = HeaderName::from_static("x-robots-tag");

/// The header with the request id.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The HTTP server, without a listener.
pub struct Server {
    app: Arc<App>,
    routes: Arc<Routes>,
    /// The time between sweeps; `None` if the server does not run the background work.
    sweep_interval: Option<Duration>,
}

/// The default time between sweeps.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10 * 60);

/// An error of a [`Server`].
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The background work failed. This is a bug.
    #[error("the background work failed")]
    Background(#[source] vocalizer_core::ports::BoxError),
    /// The routing table is inconsistent. This is a bug.
    #[error("conflicting routes")]
    Routes(#[source] vocalizer_core::ports::BoxError),
}

impl Server {
    /// Creates a server for these services.
    ///
    /// # Errors
    ///
    /// [`ServerError::Routes`].
    pub fn new(songs: SongService, accounts: AccountService, settings: HttpSettings) -> Result<Self, ServerError> {
        let routes = Routes::new().map_err(|error| ServerError::Routes(error.into()))?;
        let leases = Arc::new(RemoteLeases::new(Arc::clone(songs.queue()), Arc::clone(songs.clock())));
        let caps = settings.caps;
        let probe = probe(&songs);
        let mut metrics = Metrics::new();
        metrics::add(&mut metrics.registry, Arc::new(WebhookMetrics(songs.clone())));
        metrics::add(&mut metrics.registry, Arc::new(WorkMetrics(songs.clone())));
        let app = App {
            archives: LongResponses::archives(&caps),
            event_streams: LongResponses::event_streams(&caps),
            pulse: Arc::new(Pulse::new(settings.timeouts.progress)),
            leases,
            songs,
            accounts,
            administration: None,
            reporting: tokio::sync::Mutex::new(()),
            settings,
            metrics,
            probe,
            page: Page::default(),
            interceptor: None,
            openapi: openapi::document().to_string().into(),
            closing: CancellationToken::new(),
        };
        Ok(Self { app: Arc::new(app), routes: Arc::new(routes), sweep_interval: Some(SWEEP_INTERVAL) })
    }

    /// Sets the time between sweeps of the [background work](SongService::run_background). Default: ten minutes.
    #[must_use]
    pub fn with_sweep_interval(mut self, interval: Duration) -> Self {
        self.sweep_interval = Some(interval);
        self
    }

    /// Leaves the [background work](SongService::run_background) to the caller. The check `outbox` of `/readyz` fails while
    /// nothing in this process runs it.
    #[must_use]
    pub fn without_background(mut self) -> Self {
        self.sweep_interval = None;
        self
    }

    /// Adds the routes under `/admin`, for administrators. Without it they are not found.
    #[must_use]
    pub fn with_administration(mut self, administration: AdminService) -> Self {
        if let Some(app) = Arc::get_mut(&mut self.app) {
            app.administration = Some(administration);
        }
        self
    }

    /// Adds a readiness check.
    #[must_use]
    pub fn with_readiness(mut self, readiness: Arc<dyn Readiness>) -> Self {
        if let Some(app) = Arc::get_mut(&mut self.app) {
            app.probe.add_readiness(readiness);
        }
        self
    }

    /// Adds metrics to `/metrics`.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Arc<dyn MoreMetrics>) -> Self {
        if let Some(app) = Arc::get_mut(&mut self.app) {
            metrics::add(&mut app.metrics.registry, metrics);
        }
        self
    }

    /// Adds a web page. Its files are served at paths that no API operation has.
    #[must_use]
    pub fn with_page(mut self, files: &[PageFile]) -> Self {
        if let Some(app) = Arc::get_mut(&mut self.app) {
            app.page = Page::new(files);
        }
        self
    }

    /// Calls a function with the method and the path of each request. If it returns a code, the request fails with it: for
    /// maintenance, or for tests of clients.
    #[must_use]
    pub fn with_interceptor(
        mut self,
        interceptor: impl Fn(&str, &str) -> Option<ErrorCode> + Send + Sync + 'static,
    ) -> Self {
        if let Some(app) = Arc::get_mut(&mut self.app) {
            app.interceptor = Some(Box::new(interceptor));
        }
        self
    }

    /// Serves connections, and runs the background work of the services, until `stop` completes. Then it waits up to
    /// [`Timeouts::shutdown`](crate::settings::Timeouts::shutdown) for open requests and returns.
    ///
    /// # Errors
    ///
    /// [`ServerError::Background`] if the background work panics: a server without it loses jobs, so it stops.
    pub async fn run(self, listener: TcpListener, stop: impl Future<Output = ()>) -> Result<(), ServerError> {
        let HttpSettings { timeouts, caps, ref trusted_proxies, .. } = self.app.settings;
        let connections = Connections::new(&caps, trusted_proxies);
        let _watching = self.app.pulse.start();
        let connect = |stream, peer| (self.connection(stream, peer), self.app.metrics.connected());
        let closing = || self.app.closing.cancel();
        // In a task of its own, so that a panic can be handled.
        let mut background = JoinSet::new();
        if let Some(interval) = self.sweep_interval {
            let (songs, accounts) = (self.app.songs.clone(), self.app.accounts.clone());
            background
                .spawn(async move { join(songs.run_background(interval), accounts.run_background(interval)).await });
        }
        let mut failure = None;
        let stop = async {
            tokio::select! {
                () = stop => {}
                Some(Err(error)) = background.join_next() => failure = Some(error),
            }
        };
        tokio::select! {
            () = accept(listener, stop, timeouts, &connections, connect, closing) => {}
            () = self.app.leases.run() => {}
        }
        self.app.leases.close().await;
        failure.map_or(Ok(()), |error| Err(ServerError::Background(error.into())))
    }

    /// Serves a single connection over any transport until it ends.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::Other`] if the connection fails or the client does not send valid HTTP.
    pub async fn serve<S>(&self, stream: S, peer: SocketAddr) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.connection(stream, peer).await.map_err(io::Error::other)
    }

    fn connection<S>(
        &self,
        stream: S,
        peer: SocketAddr,
    ) -> http1::Connection<
        TokioIo<S>,
        impl hyper::service::Service<
            http::Request<hyper::body::Incoming>,
            Response = Response<Body>,
            Error = std::convert::Infallible,
            Future: Send,
        > + use<S>,
    >
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (app, routes) = (Arc::clone(&self.app), Arc::clone(&self.routes));
        let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
            let (app, routes) = (Arc::clone(&app), Arc::clone(&routes));
            let request = request.map(|body| body.map_err(Into::into).boxed());
            async move { Ok::<_, std::convert::Infallible>(respond(app, &routes, peer.ip(), request).await) }
        });
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.app.settings.timeouts.head)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), service)
    }
}

/// Returns the readiness checks of the database, the queue and the storage.
fn probe(songs: &SongService) -> Probe {
    let mut probe = Probe::default();
    let (repository, queue, storage) = (Arc::clone(songs.repository()), Arc::clone(songs.queue()), songs.clone());
    probe.add("database", move || {
        let repository = Arc::clone(&repository);
        Box::pin(async move { repository.check().await })
    });
    probe.add("queue", move || {
        let queue = Arc::clone(&queue);
        Box::pin(async move { queue.depth().await.map(|_| ()) })
    });
    let background = songs.clone();
    probe.add_check("outbox", move || background.check_background());
    probe.add("storage", move || {
        let storage = storage.clone();
        Box::pin(async move { storage.check_storage().await })
    });
    probe
}

/// Handles a request. Errors and panics become error responses.
async fn respond(app: Arc<App>, routes: &Routes, peer: IpAddr, request: http::Request<Incoming>) -> Response<Body> {
    let began = Instant::now();
    let id = request_id(&request);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let found = routes.find(&method, &path);
    // A worker waits for a job as long as it asked to, so the time says nothing about the server.
    let timed = !matches!(&found, Found::Route(Route { operation: Operation::LeaseJob, .. }, _));
    let operation = match &found {
        Found::Route(route, _) => route.name,
        Found::Nothing if app.page.has(&path) => "page",
        Found::Methods(_) | Found::Nothing => "none",
    };
    let peer = Peer::of(peer, request.headers(), &app.settings);
    let is_shared = matches!(&found, Found::Route(Route { access: Access::Reader | Access::Share, .. }, _))
        && share::shown(request.headers(), peer, &app.settings).is_some();
    let is_resumable = path.strip_prefix(resumable::PATH).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let logged_path = share::loggable(&path);
    let traced = trace::begin(
        app.songs.settings().traces,
        &request,
        found.route(),
        logged_path,
        peer.secure,
        |trace_id| tracing::info_span!("request", %id, %method, operation, trace_id, status = Empty),
    );
    let span = traced.span().clone();
    let answered = AssertUnwindSafe(answer(&app, found, peer, request)).catch_unwind();
    let mut response = match traced.run(answered).await {
        Ok(Ok(response)) => response,
        Ok(Err(failure)) => {
            if let Some(private) = &failure.private {
                tracing::warn!(parent: &span, error = %private, "request failed");
            }
            failure.into_response().map(full)
        }
        Err(panic) => {
            let what = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
            tracing::error!(parent: &span, panic = what.unwrap_or("?"), "request panicked");
            Failure::internal("request panicked").into_response().map(full)
        }
    };
    if method == Method::HEAD {
        head_only(&mut response);
    }
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static("default-src 'none'; sandbox"));
    headers.entry(header::REFERRER_POLICY).or_insert(HeaderValue::from_static("no-referrer"));
    if is_shared {
        headers.insert(ROBOTS, HeaderValue::from_static("noindex"));
    }
    if is_resumable {
        headers.insert(resumable::RESUMABLE, resumable::VERSION);
    }
    if let Ok(id) = HeaderValue::try_from(id) {
        headers.insert(REQUEST_ID, id);
    }
    let status = response.status().as_u16();
    let counted = response.extensions().get().map_or(status, |Refused(status)| status.as_u16());
    app.metrics.answered(operation, counted, timed.then(|| began.elapsed()));
    let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(parent: &span, path = %logged_path, status, took_ms, "request completed");
    span.record("status", status);
    response.map(|body| in_span(body, span))
}

async fn answer(
    app: &Arc<App>,
    found: Found,
    peer: Peer,
    request: http::Request<Incoming>,
) -> Result<Response<Body>, Failure> {
    let (head, body) = request.into_parts();
    if let Some(intercept) = &app.interceptor
        && let Some(code) = intercept(head.method.as_str(), head.uri.path())
    {
        return Err(Failure::new(code, "the server does not accept this request now"));
    }
    let hosts = hosts::named(head.version, &head.uri, &head.headers)?;
    let body = RequestBody::new(body, &head.headers, app.settings.timeouts);
    let (route, params) = match found {
        Found::Route(route, params) => (route, params),
        Found::Methods(allow) => return Err(Failure::method_not_allowed(allow)),
        Found::Nothing => {
            hosts::check(&hosts, &app.settings.allowed_hosts)?;
            return app.page.answer(&head.method, head.uri.path(), &head.headers);
        }
    };
    // Probes use IP addresses, and workers any name; browsers do not have the workers' tokens.
    let open_result = route.operation == Operation::UploadResult && app.settings.open_upload_result;
    let by_any_name =
        matches!(route.operation, Operation::Live | Operation::Ready) || route.access == Access::Worker && !open_result;
    if !by_any_name {
        hosts::check(&hosts, &app.settings.allowed_hosts)?;
    }
    // Browsers do not attach a token on their own, so such a request is not forged. They do attach a password that a proxy asked for.
    if token(&head.headers, peer, &app.settings).is_none() && !origin::may_act(&head.method, &head.headers) {
        return Err(Failure::cross_site());
    }
    let caller = match route.access {
        Access::Anyone | Access::User | Access::Session | Access::Administrator => {
            app.accounts.authenticate(proof(&head.headers, peer, &app.settings).as_ref()).await?
        }
        Access::Reader => {
            let id = params.iter().find(|(name, _)| name == "song_id").and_then(|(_, id)| id.parse().ok());
            share::reader(app, &head.headers, peer, id).await?
        }
        Access::Worker => {
            // The original accepted results without a token; it had none of the other worker routes.
            if !open_result {
                check_worker(&head.headers, &app.settings)?;
            }
            vocalizer_core::service::Caller::ANONYMOUS
        }
        Access::Public | Access::Share => vocalizer_core::service::Caller::ANONYMOUS,
    };
    // Before anything else is read: others learn nothing, not even which users exist.
    let admin = match (route.access, &app.administration) {
        (Access::Administrator, None) => return Err(Failure::not_found()),
        (Access::Administrator, Some(administration)) => Some(administration.authorize(caller, peer.address).await?),
        _ => None,
    };
    let (method, uri, headers) = (head.method, head.uri, head.headers);
    let (input, query) = (route.input, route.query);
    let request = Request { method, uri, headers, body, peer, caller, admin, params, input, query };
    route.operation.handle(app, request).await
}

/// Returns the client's request id if it is short and plain, so that logs of both sides can be correlated, or a new
/// one.
fn request_id(request: &http::Request<Incoming>) -> String {
    let given = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok());
    let plain = |id: &&str| {
        (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    given.filter(plain).map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned)
}

/// Removes the body and keeps its `Content-Length`.
pub(crate) fn head_only(response: &mut Response<Body>) {
    use hyper::body::Body as _;

    let body = std::mem::replace(response.body_mut(), full(Bytes::new()));
    if let Some(size_bytes) = body.size_hint().exact() {
        response.headers_mut().entry(header::CONTENT_LENGTH).or_insert(HeaderValue::from(size_bytes));
    }
}
