//! The server and the credentials for it.

use vocalizer_client::{Client, ClientBuilder, Secret};

use super::args::Remote;
use super::credentials::Store;
use super::failure::Failure;

/// The server and the credentials for it.
pub(super) struct Connection {
    builder: ClientBuilder,
    token: Option<Secret<String>>,
    pub(super) store: Store,
}

impl Connection {
    pub(super) fn new(args: &Remote) -> Result<Self, Failure> {
        let mut builder = Client::builder(&args.addr);
        if let Some(path) = &args.root_certificate {
            let pem = std::fs::read(path).map_err(|source| Failure::File { path: path.clone(), source })?;
            builder = builder.with_root_certificate_pem(pem);
        }
        // Treat an empty variable as unset.
        let token = args.token.clone().filter(|token| !token.expose().is_empty());
        Ok(Self { builder, token, store: Store::of(&args.addr) })
    }

    /// Returns a client with the given or stored token, or without one.
    pub(super) fn client(&self) -> Result<Client, Failure> {
        let token = match &self.token {
            Some(token) => Some(token.clone()),
            None => self.store.load()?.map(|kept| kept.token),
        };
        let builder = self.builder.clone();
        Ok(token.map_or(builder.clone(), |token| builder.with_token(token)).build()?)
    }

    /// Returns a client with this token.
    pub(super) fn bearer(&self, token: Secret<String>) -> Result<Client, Failure> {
        Ok(self.builder.clone().with_token(token).build()?)
    }

    /// Returns a client without credentials.
    pub(super) fn anonymous(&self) -> Result<Client, Failure> {
        Ok(self.builder.clone().build()?)
    }
}
