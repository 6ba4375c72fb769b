//! The identity provider of a service.

use std::sync::Arc;

use crate::ports::IdentityProvider;

/// What an [`IdentityProvider`] is used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderSettings {
    /// The name for users, as in "Sign in with Example".
    pub name: String,
    /// Whether unknown users are registered, instead of refused.
    pub creates_users: bool,
}

/// An identity provider and its use.
pub(super) struct Provider {
    pub(super) port: Arc<dyn IdentityProvider>,
    pub(super) settings: ProviderSettings,
}
