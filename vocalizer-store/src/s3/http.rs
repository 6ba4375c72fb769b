//! How the endpoint is spoken to.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use object_store::{ClientConfigKey, ClientOptions};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use vocalizer_core::ports::BoxError;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(3);

/// How long the endpoint may keep silent. That holds for uploads too, where it keeps silent until a part is in: what
/// takes longer than this for 8 MiB is no line for a bucket.
const SILENCE: Duration = Duration::from_secs(60);

/// Makes clients with TLS of our own, so that they need no provider for all of the process.
#[derive(Debug)]
pub(super) struct Connector(ClientConfig);

impl Connector {
    /// With TLS by ring, and the certificates that the system trusts. None are read where nothing is encrypted: a
    /// container without any can still talk to a server beside it.
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
        // That alone differs between the bucket and those who give the machine credentials.
        let allow_http = options.get_config_value(&ClientConfigKey::AllowHttp).is_some_and(|value| value == "true");
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(self.0.clone())
            .https_only(!allow_http)
            .http1_only()
            .redirect(Policy::none())
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .user_agent(concat!("vocalizer-store/", env!("CARGO_PKG_VERSION")))
            .build();
        match client {
            Ok(client) => Ok(HttpClient::new(Client(client))),
            Err(error) => Err(object_store::Error::Generic { store: "S3", source: error.into() }),
        }
    }
}

/// A client that knows a list from a web page, which object_store takes for an empty one: whoever gives the address of
/// a server's console for that of the server is to be told.
#[derive(Debug)]
struct Client(reqwest::Client);

#[async_trait]
impl HttpService for Client {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let is_list = request.uri().query().is_some_and(|query| query.contains("list-type=2"));
        let answer = self.0.call(request).await?;
        let kind = answer.headers().get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        if is_list && answer.status().is_success() && kind.starts_with(b"text/html") {
            let page = io::Error::other("a web page came instead of a list");
            return Err(HttpError::new(HttpErrorKind::Decode, page));
        }
        Ok(answer)
    }
}
