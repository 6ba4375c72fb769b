//! Setting a client up.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use url::Url;
use vocalizer_core::secret::Secret;

use crate::client::Settings;
use crate::{Client, Error, tls};

/// Sets a [`Client`] up; see [`Client::builder`].
#[derive(Debug, Clone)]
#[must_use]
pub struct ClientBuilder {
    address: Secret<String>,
    token: Option<Secret<String>>,
    roots_pem: Vec<Bytes>,
    settings: Settings,
}

impl ClientBuilder {
    pub(crate) fn new(address: String) -> Self {
        Self { address: address.into(), token: None, roots_pem: Vec::new(), settings: Settings::default() }
    }

    /// Acts as the user to whom this API token belongs, without logging in. Tokens come from [`Client::create_token`].
    pub fn with_token(self, token: impl Into<Secret<String>>) -> Self {
        Self { token: Some(token.into()), ..self }
    }

    /// Also trusts servers whose certificate one of these signed, in PEM: for a server with an authority of its own.
    ///
    /// A self-signed certificate is its own authority, and is accepted unless it says of itself that it is one
    /// (`CA:TRUE`), as `openssl req -x509` writes where nobody adds `-addext basicConstraints=CA:FALSE`.
    pub fn with_root_certificate_pem(mut self, pem: impl Into<Bytes>) -> Self {
        self.roots_pem.push(pem.into());
        self
    }

    /// How long to wait for an answer, and in a download for each next piece. Default: 60 s.
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = timeout;
        self
    }

    /// How long an upload may stand still, because the server takes nothing or the file gives nothing. Default: 60 s.
    ///
    /// The whole upload has no bound, since nobody but its caller knows how long it may take.
    pub fn with_stall_timeout(mut self, stall_timeout: Duration) -> Self {
        self.settings.stall_timeout = stall_timeout;
        self
    }

    /// How often a call that only reads is tried again after a [transient](Error::is_transient) error, and a download
    /// goes on where it broke; and how long the first pause is. Default: 4 times, after 250 ms.
    ///
    /// Pauses double up to 10 s and vary by chance. What the server asks for by `Retry-After` is added, unless it is
    /// more than a minute: then the error is returned at once.
    pub fn with_retries(mut self, most: u32, first_pause: Duration) -> Self {
        (self.settings.retries, self.settings.first_pause) = (most, first_pause);
        self
    }

    /// How long a download asks again for what is [not ready](crate::ErrorCode::NotReady), as often as the server
    /// wants. Default: 60 s.
    pub fn with_ready_timeout(mut self, ready_timeout: Duration) -> Self {
        self.settings.ready_timeout = ready_timeout;
        self
    }

    /// Longest answer other than a file that is read. Default: 16 MiB, some 50 000 songs in a list.
    pub fn with_max_answer_bytes(mut self, max_answer_bytes: u64) -> Self {
        self.settings.max_answer_bytes = max_answer_bytes;
        self
    }

    /// How long [`Client::wait`] pauses between two looks: first, and at most. Default: 250 ms and 5 s.
    pub fn with_polling(mut self, first: Duration, longest: Duration) -> Self {
        (self.settings.first_poll, self.settings.longest_poll) = (first, longest);
        self
    }

    /// Sets the client up. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`Error::Address`] for an address that is not plain `http` or `https`, or holds more than a host, a port and a
    /// path; [`Error::Setup`] when TLS cannot be set up, a root certificate is none, or the token cannot be one.
    pub fn build(self) -> Result<Client, Error> {
        let base = base(self.address.expose())?;
        let tls = tls::config(base.scheme() == "https", &self.roots_pem).map_err(Error::Setup)?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .default_headers(self.token.as_ref().map(authorization).transpose()?.unwrap_or_default())
            .cookie_store(true)
            .redirect(Policy::none())
            .connect_timeout(self.settings.timeout)
            .user_agent(concat!("vocalizer-client/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Error::Setup(error.into()))?;
        Ok(Client { http, base: Arc::new(base), settings: self.settings })
    }
}

/// The address with a slash at its end, so that paths go below it and not beside.
fn base(address: &str) -> Result<Url, Error> {
    let refused = |reason| Error::Address { reason };
    let mut base = Url::parse(address).map_err(|_| refused("it is no URL"))?;
    if !matches!(base.scheme(), "http" | "https") {
        return Err(refused("it begins with neither http:// nor https://"));
    }
    if !base.username().is_empty() || base.password().is_some() {
        return Err(refused("it holds a user name or a password; log in instead"));
    }
    if base.query().is_some() || base.fragment().is_some() {
        return Err(refused("it holds a query or a fragment"));
    }
    if !base.path().ends_with('/') {
        base.set_path(&format!("{}/", base.path()));
    }
    Ok(base)
}

fn authorization(token: &Secret<String>) -> Result<HeaderMap, Error> {
    // The library's error repeats nothing of the value, and says nothing of tokens either.
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose().trim()))
        .map_err(|_| Error::Setup("the token holds characters that no token has".into()))?;
    value.set_sensitive(true);
    Ok(HeaderMap::from_iter([(AUTHORIZATION, value)]))
}
