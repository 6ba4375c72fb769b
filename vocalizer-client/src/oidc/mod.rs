//! Sign-in with an OpenID Connect provider, for servers.

mod fetch;
mod known;
mod provider;
mod ring_verifier;
mod settings;
mod token;

pub use provider::OidcProvider;
pub use settings::{ClaimRule, InvalidOidcSettings, OidcSettings};
