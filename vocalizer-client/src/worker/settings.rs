//! Connection settings of a worker.

use std::fmt;

use url::Url;
use vocalizer_api::secret::Secret;

use crate::{Client, Error};

/// The backend's address and a worker's credentials.
#[derive(Clone)]
pub struct RemoteSettings {
    /// The backend's address. If it has a path, requests go below it.
    pub url: Url,
    /// A worker token. Without one, the worker can only upload results, and only if the backend accepts them without a
    /// token.
    pub token: Option<Secret<String>>,
    /// Additional root certificates in PEM.
    pub ca: Option<Vec<u8>>,
}

impl RemoteSettings {
    pub(super) fn client(self) -> Result<Client, Error> {
        let mut builder = Client::builder(self.url);
        if let Some(token) = self.token {
            builder = builder.with_token(token);
        }
        if let Some(ca) = self.ca {
            builder = builder.with_root_certificate_pem(ca);
        }
        builder.build()
    }
}

/// Shows the server only: the address may contain a password.
impl fmt::Debug for RemoteSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteSettings")
            .field("origin", &self.url.origin().ascii_serialization())
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}
