//! Connection settings of a worker.

use bytes::Bytes;
use vocalizer_api::secret::Secret;
use vocalizer_core::trace::current;

use crate::{Client, Error};

/// The backend's address and a worker's credentials.
///
/// ```no_run
/// use vocalizer_client::worker::RemoteSettings;
///
/// # fn settings() -> Result<RemoteSettings, Box<dyn std::error::Error>> {
/// let settings = RemoteSettings::new("https://vocalizer.internal", std::env::var("WORKER_TOKEN")?)
///     .with_root_certificate_pem(std::fs::read("company-ca.pem")?);
/// # Ok(settings)
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct RemoteSettings {
    /// Hidden: it may contain a password, which the client then rejects.
    address: Secret<String>,
    token: Option<Secret<String>>,
    roots_pem: Vec<Bytes>,
}

impl RemoteSettings {
    /// Creates settings for the backend at this address, such as `https://vocalizer.example`, and a worker token of it. If
    /// the address has a path, requests go below it.
    pub fn new(address: impl Into<String>, token: impl Into<Secret<String>>) -> Self {
        Self { token: Some(token.into()), ..Self::without_token(address) }
    }

    /// Creates settings without a token. The worker can then only upload results, if the backend accepts them without a
    /// token, as the original system does.
    ///
    /// ```no_run
    /// # use std::sync::Arc;
    /// # use vocalizer_client::worker::{RemoteBackend, RemoteSettings};
    /// # use vocalizer_core::ports::{JobQueue, ResultWriter, Separator};
    /// # use vocalizer_core::worker::Worker;
    /// # fn worker(
    /// #     broker: Arc<dyn JobQueue>, archive: Arc<dyn ResultWriter>, separator: Arc<dyn Separator>,
    /// # ) -> Result<Worker, vocalizer_client::Error> {
    /// // Jobs come from the original system's broker, and its server takes the stems.
    /// let settings = RemoteSettings::without_token("https://stems.example");
    /// let backend = Arc::new(RemoteBackend::new(&settings, archive)?);
    /// let worker = Worker::builder(broker, backend, separator).build();
    /// # Ok(worker)
    /// # }
    /// ```
    pub fn without_token(address: impl Into<String>) -> Self {
        Self { address: Secret::new(address.into()), token: None, roots_pem: Vec::new() }
    }

    /// Trusts these root certificates in PEM, in addition to the system's.
    #[must_use]
    pub fn with_root_certificate_pem(mut self, pem: impl Into<Bytes>) -> Self {
        self.roots_pem.push(pem.into());
        self
    }

    pub(super) const fn has_token(&self) -> bool {
        self.token.is_some()
    }

    pub(super) fn client(&self) -> Result<Client, Error> {
        let trace = || current().map(|trace| trace.to_string());
        let mut builder = Client::builder(self.address.expose()).with_traceparent(trace);
        if let Some(token) = &self.token {
            builder = builder.with_token(token.clone());
        }
        for pem in &self.roots_pem {
            builder = builder.with_root_certificate_pem(pem.clone());
        }
        builder.build()
    }
}
