//! The HTTP client.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use object_store::{ClientConfigKey, ClientOptions};
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderValue, LOCATION};
use reqwest::redirect::Policy;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use thiserror::Error;
use vocalizer_core::ports::BoxError;

/// Connect timeout.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Read timeout. It also applies to uploads, where the endpoint sends nothing until a part is complete: a connection
/// that needs longer for 8 MiB is too slow for S3.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// Creates clients with their own TLS configuration, so that no process-wide provider is needed.
#[derive(Debug)]
pub(super) struct Connector(ClientConfig);

impl Connector {
    /// Uses ring and the certificates that the system trusts. Without encryption no certificates are loaded: a
    /// container without any can still use a local server.
    pub(super) fn new(encrypted: bool) -> Result<Self, BoxError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let builder = if encrypted {
            builder.with_platform_verifier()?
        } else {
            builder.with_root_certificates(RootCertStore::empty())
        };
        Ok(Self(builder.with_no_client_auth()))
    }
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        // The only option that differs between the bucket and the credential endpoints.
        let allow_http = options.get_config_value(&ClientConfigKey::AllowHttp).is_some_and(|value| value == "true");
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(self.0.clone())
            .https_only(!allow_http)
            .http1_only()
            .redirect(Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .user_agent(concat!("vocalizer-store/", env!("CARGO_PKG_VERSION")))
            .build();
        match client {
            Ok(client) => Ok(HttpClient::new(Client(client))),
            Err(error) => Err(object_store::Error::Generic { store: "S3", source: error.into() }),
        }
    }
}

/// A redirect without a target: the bucket is in another region.
#[derive(Debug, Error)]
#[error("redirect without a target; the region may be wrong")]
pub(super) struct BareRedirect;

/// A client that rejects a redirect without a target, which `object_store` reports only as text. It also rejects a web
/// page in response to a list request, which `object_store` would read as an empty list: this helps users who configure
/// the address of a server's console.
#[derive(Debug)]
struct Client(reqwest::Client);

#[async_trait]
impl HttpService for Client {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let is_list = request.uri().query().is_some_and(|query| query.contains("list-type=2"));
        let response = self.0.call(request).await?;
        let status = response.status();
        if status.is_redirection() && status != StatusCode::NOT_MODIFIED && !response.headers().contains_key(LOCATION) {
            return Err(HttpError::new(HttpErrorKind::Decode, BareRedirect));
        }
        let kind = response.headers().get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        if is_list && status.is_success() && kind.starts_with(b"text/html") {
            let page = io::Error::other("received a web page instead of a list");
            return Err(HttpError::new(HttpErrorKind::Decode, page));
        }
        Ok(response)
    }
}
