//! The HTTP client behind the layers of the builder.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use reqwest::{Request, Response};
use tower::util::{BoxCloneSyncService, ServiceExt as _};
use tower::{Layer, Service};
use vocalizer_api::causes::{BoxError, chain};

use crate::Error;

/// What a layer of [`ClientBuilder::with_layer`](crate::ClientBuilder::with_layer) wraps: sends requests, through the layers
/// that were added before.
#[derive(Clone)]
pub struct HttpService(BoxCloneSyncService<Request, Response, BoxError>);

impl HttpService {
    fn new<S>(service: S) -> Self
    where
        S: Service<Request, Response = Response, Error: Into<BoxError>, Future: Send> + Clone + Send + Sync + 'static,
    {
        Self(BoxCloneSyncService::new(service.map_err(Into::into)))
    }

    /// Sends a request.
    pub(crate) async fn send(&self, request: Request) -> Result<Response, Error> {
        self.0.clone().oneshot(request).await.map_err(|error| match error.downcast::<reqwest::Error>() {
            Ok(error) => Error::from_reqwest(*error),
            Err(error) => Error::Transport(error),
        })
    }
}

impl Service<Request> for HttpService {
    type Response = Response;
    type Error = BoxError;
    type Future = <BoxCloneSyncService<Request, Response, BoxError> as Service<Request>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        self.0.call(request)
    }
}

impl fmt::Debug for HttpService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpService").finish_non_exhaustive()
    }
}

/// Layers in the order in which they were added.
#[derive(Clone, Default)]
pub(crate) struct Layers(Vec<Arc<dyn Fn(HttpService) -> HttpService + Send + Sync>>);

impl Layers {
    pub(crate) fn push<L>(&mut self, layer: L)
    where
        L: Layer<HttpService> + Send + Sync + 'static,
        L::Service:
            Service<Request, Response = Response, Error: Into<BoxError>, Future: Send> + Clone + Send + Sync + 'static,
    {
        self.0.push(Arc::new(move |inner| HttpService::new(layer.layer(inner))));
    }

    pub(crate) fn wrap(&self, http: reqwest::Client) -> HttpService {
        self.0.iter().fold(HttpService::new(http), |service, layer| layer(service))
    }
}

impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} layers", self.0.len())
    }
}

/// Returns the span of a request, in the terms of OpenTelemetry. The URL is its path: a query may be signed.
pub(crate) fn span(request: &Request) -> tracing::Span {
    tracing::debug_span!(
        "vocalizer_request",
        otel.kind = "client",
        http.request.method = request.method().as_str(),
        url.path = request.url().path(),
        server.address = request.url().host_str(),
        http.response.status_code = tracing::field::Empty,
        request_id = tracing::field::Empty,
        error = tracing::field::Empty,
    )
}

/// Records the outcome of a request in its span.
pub(crate) fn record(span: &tracing::Span, result: &Result<Response, Error>) {
    match result {
        Ok(response) => {
            span.record("http.response.status_code", response.status().as_u16());
            if let Some(id) = crate::answer::request_id(response) {
                span.record("request_id", id);
            }
        }
        Err(error) => {
            span.record("error", chain(error));
        }
    }
}
