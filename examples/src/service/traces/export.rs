//! Exports spans by OTLP over HTTP. The exporter has a thread and a runtime of its own, so that a slow collector holds
//! nothing up; spans that do not fit its queue are dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::{InstrumentationScope, Key, KeyValue};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter as OtlpExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SpanData, SpanExporter, SpanProcessor as _};
use reqwest::redirect::Policy;
use tokio::runtime::{Builder, Runtime};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use super::super::error::{ConfigError, invalid};
use super::span_fields::ExportLayer;
use super::variable;

/// How long the remaining spans may take at shutdown.
const FLUSH: Duration = Duration::from_secs(3);

/// The default timeout of a request, by the specification.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The longest response that is read; the rest says nothing of use.
const MAX_RESPONSE_BYTES: usize = 64 * 1024;

const WHAT: &str = "OTEL_EXPORTER_OTLP_*";

/// Sends spans to a collector.
pub(super) struct Exporter {
    processor: Arc<BatchSpanProcessor>,
}

impl Exporter {
    /// Reads the variables.
    pub(super) fn from_env(name: &'static str) -> Result<Self, ConfigError> {
        let timeouts = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];
        let timeout = timeouts.into_iter().find_map(variable).map(|ms| match ms.parse() {
            Ok(ms) if ms > 0 => Ok(Duration::from_millis(ms)),
            _ => Err(invalid(timeouts[1], "expected milliseconds, such as 10000")),
        });
        let client = Client::new(timeout.transpose()?.unwrap_or(TIMEOUT));
        let client = client.map_err(|error| invalid(WHAT, error))?;
        let protocol = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
        if protocol.into_iter().find_map(variable).is_some_and(|protocol| protocol != "http/protobuf") {
            return Err(invalid("OTEL_EXPORTER_OTLP_PROTOCOL", "only http/protobuf is supported; its port is 4318"));
        }
        let exporter = OtlpExporter::builder().with_http().with_http_client(client).with_protocol(Protocol::HttpBinary);
        let exporter = exporter.build().map_err(|error| invalid(WHAT, error))?;
        let exporter = Warned { exporter, is_failing: AtomicBool::new(false) };
        let mut processor = BatchSpanProcessor::builder(exporter).build();
        processor.set_resource(&resource(name));
        Ok(Self { processor: Arc::new(processor) })
    }

    pub(super) fn layer<S>(&self) -> Box<dyn Layer<S> + Send + Sync>
    where
        S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    {
        let scope = InstrumentationScope::builder("vocalizer").with_version(env!("CARGO_PKG_VERSION")).build();
        let layer = ExportLayer::new(Arc::clone(&self.processor), scope);
        // Whatever RUST_LOG says; spans of other crates are in no trace.
        layer.with_filter(filter_fn(|span| span.is_span() && span.target().starts_with("vocalizer"))).boxed()
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        if let Err(error) = self.processor.shutdown_with_timeout(FLUSH) {
            tracing::debug!(%error, "exporting the last spans failed");
        }
    }
}

/// Returns what the process is: `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, or the default name.
fn resource(name: &'static str) -> Resource {
    const NAME: &str = "service.name";
    let known = Resource::builder().build();
    let is_named = known.get(&Key::new(NAME)).is_some_and(|name| !name.as_str().starts_with("unknown_service"));
    let builder = Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    match is_named {
        true => builder.build(),
        false => builder.with_attribute(KeyValue::new(NAME, name)).build(),
    }
}

/// Warns when exporting begins to fail, not at each failure.
#[derive(Debug)]
struct Warned {
    exporter: OtlpExporter,
    is_failing: AtomicBool,
}

impl SpanExporter for Warned {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let exported = self.exporter.export(batch).await;
        match (&exported, self.is_failing.swap(exported.is_err(), Ordering::Relaxed)) {
            (Err(error), false) => {
                tracing::warn!(%error, "exporting traces failed; spans are lost until the collector answers");
            }
            (Ok(()), true) => tracing::info!("exporting traces works again"),
            _ => {}
        }
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// The HTTP client of the program, for the exporter's thread.
#[derive(Debug)]
struct Client {
    http: reqwest::Client,
    runtime: Runtime,
}

impl Client {
    fn new(timeout: Duration) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        // `reqwest` uses the process's provider; nothing else here does.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().redirect(Policy::none()).timeout(timeout).build()?;
        Ok(Self { http, runtime: Builder::new_current_thread().enable_all().build()? })
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        // Blocks the exporter's thread, which does nothing else.
        self.runtime.block_on(async {
            let mut response = self.http.execute(reqwest::Request::try_from(request)?).await?;
            let (status, mut body) = (response.status(), Vec::new());
            while let Some(chunk) = response.chunk().await? {
                if body.len() + chunk.len() > MAX_RESPONSE_BYTES {
                    break;
                }
                body.extend_from_slice(&chunk);
            }
            let mut answer = Response::new(Bytes::from(body));
            *answer.status_mut() = status;
            Ok(answer)
        })
    }
}
