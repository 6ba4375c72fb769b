//! Setting a client up.

use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect::Policy;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use url::Url;

use crate::{Client, Error};

/// Sets a [`Client`] up; see [`Client::builder`].
#[derive(Debug, Clone)]
#[must_use]
pub struct ClientBuilder {
    address: vocalizer_core::secret::Secret<String>,
    timeout: Duration,
    max_answer_bytes: u64,
    first_poll: Duration,
    longest_poll: Duration,
}

impl ClientBuilder {
    pub(crate) fn new(address: String) -> Self {
        Self {
            address: address.into(),
            timeout: Duration::from_secs(60),
            max_answer_bytes: 16 * 1024 * 1024,
            first_poll: Duration::from_millis(250),
            longest_poll: Duration::from_secs(5),
        }
    }

    /// How long to wait for an answer, and in a download for each next piece. Default: 60 s.
    ///
    /// An upload has no such bound, since nobody but its caller knows how long it may take.
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Longest answer other than audio that is read. Default: 16 MiB, some 50 000 songs in a list.
    pub fn with_max_answer_bytes(self, max_answer_bytes: u64) -> Self {
        Self { max_answer_bytes, ..self }
    }

    /// How long [`Client::wait`] pauses between two looks: first, and at most. Default: 250 ms and 5 s.
    pub fn with_polling(self, first: Duration, longest: Duration) -> Self {
        Self { first_poll: first, longest_poll: longest, ..self }
    }

    /// Sets the client up. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`Error::Address`] for an address that is not plain `http` or `https`, or holds more than a host, a port and a
    /// path; [`Error::Setup`] when TLS cannot be set up.
    pub fn build(self) -> Result<Client, Error> {
        let base = base(self.address.expose())?;
        let tls = tls(base.scheme() == "https").map_err(|error| Error::Setup(error.into()))?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .cookie_store(true)
            .redirect(Policy::none())
            .connect_timeout(self.timeout)
            .user_agent(concat!("vocalizer-client/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Error::Setup(error.into()))?;
        Ok(Client {
            http,
            base: Arc::new(base),
            timeout: self.timeout,
            max_answer_bytes: self.max_answer_bytes,
            first_poll: self.first_poll,
            longest_poll: self.longest_poll,
        })
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

/// TLS by ring, whatever the process's default provider, and the certificates that the system trusts. Those are left
/// unread where nothing is encrypted: a container without any can still talk to a server beside it.
fn tls(encrypted: bool) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let config = if encrypted {
        config.with_platform_verifier()?
    } else {
        config.with_root_certificates(RootCertStore::empty())
    };
    Ok(config.with_no_client_auth())
}
