//! The client and its requests.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Method, RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep};
use tracing::Instrument as _;
use url::Url;
use vocalizer_api::LimitsView;
use vocalizer_api::secret::Secret;

use crate::identity::Identity;
use crate::retry::{OnRetry, Retry};
use crate::service::{self, HttpService};
use crate::traceparent::Traceparent;
use crate::{Error, answer};

/// A client for one server, with at most one session or API token.
///
/// Every call can fail with [`Error::Transport`], [`Error::TimedOut`], [`Error::Api`] and the errors for invalid
/// responses ([`Error::WrongType`], [`Error::Malformed`], [`Error::Limit`]). Calls that only read are retried after
/// transient errors, as [`with_retries`](crate::ClientBuilder::with_retries) says, and so are uploads. Other calls are sent
/// once, because a failed one may have reached the server. The same is true for a call whose future is dropped.
#[derive(Clone)]
pub struct Client {
    /// Creates requests. They are sent through `service`.
    pub(crate) http: reqwest::Client,
    pub(crate) service: HttpService,
    pub(crate) base: Arc<Url>,
    /// Headers of all requests.
    pub(crate) headers: Arc<HeaderMap>,
    pub(crate) identity: Identity,
    pub(crate) trace: Traceparent,
    pub(crate) on_retry: Option<OnRetry>,
    pub(crate) settings: Settings,
    /// The server's limits, and when they were read.
    pub(crate) limits: Arc<Mutex<Option<(Instant, LimitsView)>>>,
}

/// The settings of a client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) timeout: Duration,
    pub(crate) stall_timeout: Duration,
    pub(crate) ready_timeout: Duration,
    pub(crate) retries: u32,
    pub(crate) first_pause: Duration,
    pub(crate) max_answer_bytes: u64,
    pub(crate) first_poll: Duration,
    pub(crate) longest_poll: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(60),
            stall_timeout: Duration::from_secs(60),
            ready_timeout: Duration::from_secs(60),
            retries: 4,
            first_pause: Duration::from_millis(250),
            max_answer_bytes: 16 * 1024 * 1024,
            first_poll: Duration::from_millis(250),
            longest_poll: Duration::from_secs(5),
        }
    }
}

impl Client {
    /// Returns a client for the same server that acts as the owner of this API token. It shares the connections.
    ///
    /// ```no_run
    /// # use vocalizer_client::{Client, Error};
    /// # async fn songs_of(client: &Client, token: &str) -> Result<(), Error> {
    /// let mine = client.with_token(token)?.songs().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Setup`] if the token is invalid.
    pub fn with_token(&self, token: impl Into<Secret<String>>) -> Result<Self, Error> {
        Ok(Self { identity: Identity::token(&token.into())?, ..self.clone() })
    }

    /// Returns a client for the same server with a session of its own, anonymous until it logs in. It shares the
    /// connections.
    ///
    /// ```no_run
    /// # use vocalizer_client::{Client, Error, Secret};
    /// # async fn demo(client: &Client, name: &str, password: &Secret<String>) -> Result<(), Error> {
    /// let theirs = client.with_session();
    /// // `client` keeps its own session.
    /// theirs.login(name, password).await?;
    /// println!("{name} has {} songs", theirs.songs().await?.len());
    /// theirs.logout().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_session(&self) -> Self {
        Self { identity: Identity::session(), ..self.clone() }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, Error> {
        Ok(self.http.request(method, self.url(path)?))
    }

    /// Sends a request with the client's headers and credentials, and keeps the cookies of the response.
    pub(crate) async fn exchange(&self, request: RequestBuilder) -> Result<Response, Error> {
        let request = self.identity.authorize(request.headers((*self.headers).clone()));
        let mut request = request.build().map_err(Error::from_reqwest)?;
        self.trace.add_to(&mut request);
        let span = service::span(&request);
        let result = self.service.send(request).instrument(span.clone()).await;
        service::record(&span, &result);
        let response = result?;
        self.identity.keep(&response);
        Ok(response)
    }

    pub(crate) fn url(&self, path: &str) -> Result<Url, Error> {
        self.base.join(path).map_err(|_| Error::Address { reason: "paths cannot be joined to it" })
    }

    /// Sends a request with a JSON body, once.
    pub(crate) async fn send<T>(&self, method: Method, path: &str, body: &(impl Serialize + Sync)) -> Result<T, Error>
    where
        T: DeserializeOwned,
    {
        let json = serde_json::to_vec(body).map_err(|error| Error::Setup(error.into()))?;
        self.call(self.request(method, path)?.header(CONTENT_TYPE, "application/json").body(json)).await
    }

    /// Sends a `GET` request, with retries.
    pub(crate) async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.retrying(|| async { self.call(self.request(Method::GET, path)?).await }).await
    }

    /// Repeats an attempt after transient errors.
    pub(crate) async fn retrying<T, F>(&self, attempt: impl Fn() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut retry = self.retries();
        loop {
            let error = match attempt().await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let Some(pause) = retry.after(&error) else { return Err(error) };
            sleep(pause).await;
        }
    }

    /// Sends a request once and reads the response.
    pub(crate) async fn call<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Error> {
        self.call_unbounded(request.timeout(self.settings.timeout)).await
    }

    /// Like [`Client::call`], without a timeout.
    pub(crate) async fn call_unbounded<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Error> {
        answer::data(self.exchange(request).await?, self.settings.max_answer_bytes).await
    }

    pub(crate) fn retries(&self) -> Retry {
        Retry::new(self.settings.retries, self.settings.first_pause, self.on_retry.clone())
    }
}

/// Shows the server only: the session and the token are secrets.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}
