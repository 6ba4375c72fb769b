//! The client builder.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use tower::{Layer, Service};
use url::Url;
use vocalizer_api::causes::BoxError;
use vocalizer_api::secret::Secret;

use crate::client::Settings;
use crate::identity::Identity;
use crate::retry::OnRetry;
use crate::service::{HttpService, Layers};
use crate::traceparent::Traceparent;
use crate::{Client, Error, tls};

/// Builds a [`Client`]; see [`Client::builder`].
///
/// ```
/// use std::time::Duration;
///
/// use vocalizer_client::{Client, Error};
///
/// # fn main() -> Result<(), Error> {
/// let client = Client::builder("http://127.0.0.1:8000")
///     .with_token("vct_4f1c")
///     .with_timeout(Duration::from_secs(20))
///     .with_stall_timeout(Duration::from_secs(120))
///     .with_ready_timeout(Duration::from_secs(300))
///     .with_retries(6, Duration::from_millis(500))
///     .with_polling(Duration::from_secs(1), Duration::from_secs(30))
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct ClientBuilder {
    address: Secret<String>,
    token: Option<Secret<String>>,
    roots_pem: Vec<Bytes>,
    http: Option<reqwest::Client>,
    layers: Layers,
    headers: HeaderMap,
    trace: Traceparent,
    on_retry: Option<OnRetry>,
    settings: Settings,
}

impl Client {
    /// Returns a builder for the server at this address, such as `https://vocalizer.example` or
    /// `http://127.0.0.1:8000`. If the address has a path, requests go below it.
    ///
    /// ```
    /// use vocalizer_client::{Client, Error};
    ///
    /// # fn main() -> Result<(), Error> {
    /// let client = Client::builder("http://127.0.0.1:8000").build()?;
    /// // Behind a proxy that serves several applications; songs are below `/vocalizer/songs/`.
    /// let behind_proxy = Client::builder("http://127.0.0.1:8080/vocalizer").build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder(address: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(address.into())
    }
}

impl ClientBuilder {
    pub(crate) fn new(address: String) -> Self {
        Self {
            address: address.into(),
            token: None,
            roots_pem: Vec::new(),
            http: None,
            layers: Layers::default(),
            headers: HeaderMap::new(),
            trace: Traceparent::default(),
            on_retry: None,
            settings: Settings::default(),
        }
    }

    /// Acts as the owner of this API token, without a login. Tokens come from [`Client::create_token`].
    ///
    /// ```no_run
    /// # use vocalizer_client::Client;
    /// # async fn demo() -> Result<(), Box<dyn std::error::Error>> {
    /// let token = std::env::var("VOCALIZER_TOKEN")?;
    /// let client = Client::builder("https://vocalizer.example").with_token(token).build()?;
    /// println!("{} songs", client.songs().await?.len());
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_token(self, token: impl Into<Secret<String>>) -> Self {
        Self { token: Some(token.into()), ..self }
    }

    /// Trusts these root certificates in PEM, in addition to the system's: for servers with a private CA.
    ///
    /// A self-signed server certificate also works, unless it is marked as a CA (`CA:TRUE`). `openssl req -x509` marks
    /// it so by default; `-addext basicConstraints=CA:FALSE` prevents that.
    ///
    /// ```no_run
    /// # use vocalizer_client::Client;
    /// # async fn demo() -> Result<(), Box<dyn std::error::Error>> {
    /// let client = Client::builder("https://vocalizer.internal")
    ///     .with_root_certificate_pem(std::fs::read("company-ca.pem")?)
    ///     .build()?;
    /// # client.limits().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_root_certificate_pem(mut self, pem: impl Into<Bytes>) -> Self {
        self.roots_pem.push(pem.into());
        self
    }

    /// Sends requests through this HTTP client, with its TLS, proxy and connection pool. It should not follow
    /// redirects ([`redirect::Policy::none`](reqwest::redirect::Policy::none)), and needs no cookie store.
    ///
    /// [`with_root_certificate_pem`](Self::with_root_certificate_pem) then has no effect. `reqwest` is re-exported, for
    /// the right version.
    ///
    /// ```no_run
    /// use vocalizer_client::{Client, reqwest};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let http = reqwest::Client::builder()
    ///     .redirect(reqwest::redirect::Policy::none())
    ///     .proxy(reqwest::Proxy::all("http://proxy.internal:3128")?)
    ///     .build()?;
    /// let client = Client::builder("https://vocalizer.example").with_http_client(http).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_http_client(mut self, http: reqwest::Client) -> Self {
        self.http = Some(http);
        self
    }

    /// Sends requests through a [`tower`] layer, for metrics, signatures, rate limits and the like. Layers that are added
    /// later see requests first.
    ///
    /// A layer sees each attempt of a call, with the client's headers and credentials: the client's own retries are above
    /// it. It should not retry itself, since the body of an upload cannot be sent twice. Its errors become
    /// [`Error::Transport`], which is transient.
    ///
    /// ```
    /// use vocalizer_client::{Client, Error, reqwest};
    ///
    /// # fn main() -> Result<(), Error> {
    /// let client = Client::builder("http://127.0.0.1:8000")
    ///     .with_layer(tower::util::MapRequestLayer::new(|request: reqwest::Request| {
    ///         println!("{} {}", request.method(), request.url().path());
    ///         request
    ///     }))
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_layer<L>(mut self, layer: L) -> Self
    where
        L: Layer<HttpService> + Send + Sync + 'static,
        L::Service: Service<reqwest::Request, Response = reqwest::Response, Error: Into<BoxError>, Future: Send>
            + Clone
            + Send
            + Sync
            + 'static,
    {
        self.layers.push(layer);
        self
    }

    /// Adds a header to all requests, for example for a proxy in front of the server.
    ///
    /// ```
    /// use vocalizer_client::{Client, Error};
    ///
    /// # fn main() -> Result<(), Error> {
    /// let client = Client::builder("http://127.0.0.1:8000").with_header("X-Gateway-Key", "4f1c")?.build()?;
    ///
    /// let rejected = Client::builder("http://127.0.0.1:8000").with_header("two words", "4f1c");
    /// assert!(matches!(rejected, Err(Error::Setup(_))));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setup`] if the name or the value is invalid.
    pub fn with_header(mut self, name: &str, value: &str) -> Result<Self, Error> {
        let name = HeaderName::try_from(name).map_err(|error| Error::Setup(error.into()))?;
        let mut value = HeaderValue::try_from(value).map_err(|error| Error::Setup(error.into()))?;
        value.set_sensitive(true);
        self.headers.insert(name, value);
        Ok(self)
    }

    /// Calls a function for each request, which then belongs to the trace that it returns: the value of the header
    /// `traceparent` by the W3C recommendation "Trace Context". Another value is not sent.
    ///
    /// ```
    /// use vocalizer_client::{Client, Error};
    ///
    /// # fn main() -> Result<(), Error> {
    /// // With OpenTelemetry, return the context of the current span.
    /// let trace = || Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
    /// let client = Client::builder("http://127.0.0.1:8000").with_traceparent(trace).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_traceparent(self, trace: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        Self { trace: Traceparent::of(trace), ..self }
    }

    /// Calls a function before each retry, with the error and the pause.
    ///
    /// ```
    /// use vocalizer_client::{Client, Error};
    ///
    /// # fn main() -> Result<(), Error> {
    /// let client = Client::builder("http://127.0.0.1:8000")
    ///     .with_on_retry(|error, pause| eprintln!("{error}; next attempt in {} ms", pause.as_millis()))
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_on_retry(mut self, on_retry: impl Fn(&Error, Duration) + Send + Sync + 'static) -> Self {
        self.on_retry = Some(OnRetry(Arc::new(on_retry)));
        self
    }

    /// Sets the timeout for a response, and for each next chunk of a download. Default: 60 s.
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = timeout;
        self
    }

    /// Sets how long an upload may stall, because the server or the source makes no progress. Default: 60 s.
    ///
    /// The upload as a whole has no timeout.
    pub fn with_stall_timeout(mut self, stall_timeout: Duration) -> Self {
        self.settings.stall_timeout = stall_timeout;
        self
    }

    /// Sets the number of retries and the first pause. Default: 4 retries, after 250 ms.
    ///
    /// Retries apply to calls that only read and to uploads, after a [transient](Error::is_transient) error, and to
    /// resuming downloads. Pauses double up to 10 s and have jitter. `Retry-After` is added to them; if it is more than a
    /// minute, the error is returned at once.
    pub fn with_retries(mut self, most: u32, first_pause: Duration) -> Self {
        (self.settings.retries, self.settings.first_pause) = (most, first_pause);
        self
    }

    /// Sets how long a download waits for a file that is [not ready](crate::ErrorCode::NotReady), retrying at the
    /// server's interval. Default: 60 s.
    pub fn with_ready_timeout(mut self, ready_timeout: Duration) -> Self {
        self.settings.ready_timeout = ready_timeout;
        self
    }

    /// Sets the maximum size of a response, except files. Default: 16 MiB, about 50 000 songs in a list.
    pub fn with_max_answer_bytes(mut self, max_answer_bytes: u64) -> Self {
        self.settings.max_answer_bytes = max_answer_bytes;
        self
    }

    /// Sets the first and the longest poll interval of [`Client::wait`]. Default: 250 ms and 5 s.
    pub fn with_polling(mut self, first: Duration, longest: Duration) -> Self {
        (self.settings.first_poll, self.settings.longest_poll) = (first, longest);
        self
    }

    /// Builds the client. It does not connect yet.
    ///
    /// ```
    /// use vocalizer_client::{Client, Error};
    ///
    /// // The scheme is missing.
    /// let built = Client::builder("localhost:8000").build();
    /// assert!(matches!(built, Err(Error::Address { .. })));
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Address`] if the address is not `http` or `https`, or has more than a host, a port and a path;
    /// [`Error::Setup`] if TLS cannot be set up, or a root certificate or the token is invalid.
    pub fn build(self) -> Result<Client, Error> {
        let base = base(self.address.expose())?;
        let identity = self.token.as_ref().map_or_else(|| Ok(Identity::session()), Identity::token)?;
        let http = match self.http {
            Some(http) => http,
            None => {
                let http = reqwest::Client::builder()
                    .redirect(Policy::none())
                    .connect_timeout(self.settings.timeout)
                    .user_agent(concat!("vocalizer-client/", env!("CARGO_PKG_VERSION")));
                let http = tls::setup(http, base.scheme() == "https", &self.roots_pem).map_err(Error::Setup)?;
                http.build().map_err(|error| Error::Setup(error.into()))?
            }
        };
        let (base, headers, on_retry) = (Arc::new(base), Arc::new(self.headers), self.on_retry);
        let service = self.layers.wrap(http.clone());
        let (trace, settings, limits) = (self.trace, self.settings, Arc::default());
        Ok(Client { http, service, base, headers, identity, trace, on_retry, settings, limits })
    }
}

/// Parses the address and adds a trailing slash, so that paths are joined below it.
fn base(address: &str) -> Result<Url, Error> {
    let refused = |reason| Error::Address { reason };
    let mut base = Url::parse(address).map_err(|_| refused("not a valid URL"))?;
    if !matches!(base.scheme(), "http" | "https") {
        return Err(refused("the scheme must be http:// or https://"));
    }
    if !base.username().is_empty() || base.password().is_some() {
        return Err(refused("it contains a user name or a password; log in instead"));
    }
    if base.query().is_some() || base.fragment().is_some() {
        return Err(refused("it contains a query or a fragment"));
    }
    if !base.path().ends_with('/') {
        base.set_path(&format!("{}/", base.path()));
    }
    Ok(base)
}
