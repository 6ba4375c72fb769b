//! The sender of a server's webhooks.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use tokio::net::lookup_host;
use url::{Host, Url};
use vocalizer_api::causes::BoxError;
use vocalizer_core::ports::{WebhookRequest, WebhookSender};

use super::addresses::is_public;
use super::{ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, sign};
use crate::tls;

/// The longest request, with DNS, connection and response.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How much of a response's body is read, so that small ones end in order. The rest is not received.
const MAX_BODY_BYTES: usize = 16 * 1024;

const NOT_PUBLIC: &str = "the address is not public";

/// A [`WebhookSender`] over HTTP.
///
/// Users choose the addresses, so it refuses what only the server can reach: loopback, private, link-local and other
/// special addresses, whether they are in the URL or DNS returns them. The connection uses the addresses that were
/// checked. It follows no redirects and uses no proxy, whatever the environment says.
///
/// ```
/// use vocalizer_client::webhooks::HttpWebhooks;
/// use vocalizer_core::ports::WebhookSender;
///
/// let sender = HttpWebhooks::new(false, false);
/// assert!(sender.check("https://ada.example.org/songs").is_ok());
/// assert!(sender.check("http://ada.example.org/songs").is_err());
/// assert!(sender.check("https://127.1/songs").is_err());
/// ```
#[derive(Debug)]
pub struct HttpWebhooks {
    allow_private: bool,
    allow_http: bool,
    /// Created for the first request, because it reads the system's root certificates.
    http: OnceLock<Result<reqwest::Client, BoxError>>,
}

impl HttpWebhooks {
    /// Creates a sender. `allow_private` allows every address, `allow_http` addresses without TLS. Without a feature for
    /// TLS, deliveries to `https` fail.
    #[must_use]
    pub const fn new(allow_private: bool, allow_http: bool) -> Self {
        Self { allow_private, allow_http, http: OnceLock::new() }
    }

    fn client(&self) -> Result<reqwest::Client, BoxError> {
        let http = reqwest::Client::builder()
            .dns_resolver(Resolver { allow_private: self.allow_private })
            .redirect(Policy::none())
            .no_proxy()
            // A new connection for each attempt, so that each one is checked.
            .pool_max_idle_per_host(0)
            .timeout(TIMEOUT)
            .user_agent(concat!("vocalizer/", env!("CARGO_PKG_VERSION")));
        let encrypted = cfg!(any(feature = "__rustls", feature = "native-tls"));
        Ok(tls::setup(http, encrypted, &[])?.build()?)
    }

    fn parse(&self, url: &str) -> Result<Url, String> {
        let url = Url::parse(url).map_err(|_| "the address must be a URL, as in https://example.org/songs")?;
        match url.scheme() {
            "https" => {}
            "http" if self.allow_http => {}
            "http" => return Err("the address must begin with https://".to_owned()),
            _ => return Err("the address must begin with https:// or http://".to_owned()),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("the address must have no user name and no password".to_owned());
        }
        // The resolver is not asked for these.
        let literal = match url.host() {
            Some(Host::Ipv4(address)) => Some(address.into()),
            Some(Host::Ipv6(address)) => Some(address.into()),
            Some(Host::Domain(_)) | None => None,
        };
        if literal.is_some_and(|address| !self.allow_private && !is_public(address)) {
            return Err(NOT_PUBLIC.to_owned());
        }
        Ok(url)
    }
}

#[async_trait]
impl WebhookSender for HttpWebhooks {
    fn check(&self, url: &str) -> Result<(), String> {
        self.parse(url).map(drop)
    }

    async fn send(&self, request: &WebhookRequest) -> Result<u16, String> {
        let WebhookRequest { url, secret, at, payload } = request;
        let url = self.parse(url.expose())?;
        let body = serde_json::to_vec(payload).map_err(|_| "the payload cannot be sent")?;
        let (id, timestamp_s) = (payload.id.to_string(), u64::try_from(at.unix_timestamp()).unwrap_or_default());
        let signature = sign(secret, &id, timestamp_s, &body).map_err(|error| error.to_string())?;
        let http = self.http.get_or_init(|| self.client()).as_ref();
        let http = http.map_err(|error| format!("this server cannot send requests: {error}"))?;
        let request = http.post(url).header(CONTENT_TYPE, "application/json").header(ID_HEADER, id);
        let request = request.header(TIMESTAMP_HEADER, timestamp_s).header(SIGNATURE_HEADER, signature);
        let mut response = request.body(body).send().await.map_err(|error| reason(&error))?;
        let mut left = MAX_BODY_BYTES;
        while let Ok(Some(chunk)) = response.chunk().await
            && left > chunk.len()
        {
            left -= chunk.len();
        }
        Ok(response.status().as_u16())
    }
}

/// Says why there is no response, without the address.
fn reason(error: &reqwest::Error) -> String {
    let mut causes = std::iter::successors(std::error::Error::source(error), |error| error.source());
    if causes.any(|cause| cause.to_string() == NOT_PUBLIC) {
        return NOT_PUBLIC.to_owned();
    }
    if error.is_timeout() {
        return format!("no response within {} s", TIMEOUT.as_secs());
    }
    let causes = std::iter::successors(std::error::Error::source(error), |error| error.source());
    causes.last().map_or_else(|| "the request failed".to_owned(), ToString::to_string)
}

/// Resolves names to public addresses. The connection is made to what it returns, so a name that resolves to another
/// address a moment later changes nothing.
#[derive(Debug, Clone, Copy)]
struct Resolver {
    allow_private: bool,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(resolve(name, self.allow_private))
    }
}

async fn resolve(name: Name, allow_private: bool) -> Result<Addrs, BoxError> {
    let found = lookup_host((name.as_str(), 0)).await.map_err(|_| "the host name was not found")?;
    let allowed: Vec<SocketAddr> = found.filter(|found| allow_private || is_public(found.ip())).collect();
    if allowed.is_empty() {
        return Err(NOT_PUBLIC.into());
    }
    Ok(Box::new(allowed.into_iter()))
}
