//! How a worker gets in.

use std::fmt;

use url::Url;
use vocalizer_core::secret::Secret;

use crate::{Client, Error};

/// Where the backend is, and how a worker gets in.
#[derive(Clone)]
pub struct RemoteSettings {
    /// Its address; a path is kept, and the calls go below it.
    pub url: Url,
    /// One of the tokens that the backend takes from workers. Without one the backend takes results alone, and only where
    /// it is set to take them from anybody.
    pub token: Option<Secret<String>>,
    /// Certificates of authorities to trust besides the system's, in PEM.
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

/// Says which server, and nothing that could be a secret: an address may hold a password.
impl fmt::Debug for RemoteSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteSettings")
            .field("origin", &self.url.origin().ascii_serialization())
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}
