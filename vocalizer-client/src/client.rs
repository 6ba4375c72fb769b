//! The client and its requests.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, RequestBuilder};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::sleep;
use url::Url;

use crate::retry::Retry;
use crate::{Error, answer};

/// A client for one server, with at most one session or API token.
///
/// Every call can fail with [`Error::Transport`], [`Error::TimedOut`], [`Error::Api`] and the errors for invalid
/// responses ([`Error::WrongType`], [`Error::Malformed`], [`Error::Limit`]). Calls that only read are retried after
/// transient errors, as [`with_retries`](crate::ClientBuilder::with_retries) says. Other calls are sent once, because a
/// failed one may have reached the server. The same is true for a call whose future is dropped.
#[derive(Clone)]
pub struct Client {
    pub(crate) http: reqwest::Client,
    pub(crate) base: Arc<Url>,
    pub(crate) settings: Settings,
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
    pub(crate) fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, Error> {
        Ok(self.http.request(method, self.url(path)?))
    }

    pub(crate) fn url(&self, path: &str) -> Result<Url, Error> {
        self.base.join(path).map_err(|_| Error::Address { reason: "paths cannot be joined to it" })
    }

    /// Sends a request with a JSON body, once.
    pub(crate) async fn send<T>(&self, method: Method, path: &str, body: &impl Serialize) -> Result<T, Error>
    where
        T: DeserializeOwned,
    {
        let json = serde_json::to_vec(body).map_err(|error| Error::Setup(error.into()))?;
        self.call(self.request(method, path)?.header(CONTENT_TYPE, "application/json").body(json)).await
    }

    /// Sends a `GET` request, with retries.
    pub(crate) async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        let mut retry = self.retries();
        loop {
            match self.call(self.request(Method::GET, path)?).await {
                Err(error) => match retry.after(&error) {
                    Some(pause) => sleep(pause).await,
                    None => return Err(error),
                },
                Ok(data) => return Ok(data),
            }
        }
    }

    /// Sends a request once and reads the response.
    pub(crate) async fn call<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Error> {
        self.call_unbounded(request.timeout(self.settings.timeout)).await
    }

    /// Like [`Client::call`], without a timeout.
    pub(crate) async fn call_unbounded<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Error> {
        answer::data(request.send().await.map_err(Error::from_reqwest)?, self.settings.max_answer_bytes).await
    }

    pub(crate) const fn retries(&self) -> Retry {
        Retry::new(self.settings.retries, self.settings.first_pause)
    }
}

/// Shows the server only: the session and the token are secrets.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}
