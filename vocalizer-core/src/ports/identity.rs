//! Sign-in by an identity provider.

use async_trait::async_trait;
use thiserror::Error;
use time::OffsetDateTime;

use super::BoxError;
use crate::account::Identity;
use crate::secret::Secret;

/// The values that bind a sign-in to one browser. All are random, and plain text in a URL.
#[derive(Debug, Clone)]
pub struct SignInAttempt {
    /// Comes back from the provider with the browser.
    pub state: Secret<String>,
    /// Comes back in the provider's token.
    pub nonce: Secret<String>,
    /// Proves to the provider that the code is redeemed by who asked for it (PKCE). 43 to 128 characters.
    pub code_verifier: Secret<String>,
}

/// A person whom the provider has authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderUser {
    /// Who it is.
    pub identity: Identity,
    /// What the person is called at the provider; a suggestion for the name of a new user. It is no identity.
    pub name: Option<String>,
}

/// Why a person could not be identified.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The provider does not respond, or with an error of its own.
    #[error("the identity provider is unavailable")]
    Unavailable(#[source] BoxError),
    /// The provider does not accept this server: its ID or its secret there is wrong.
    #[error("the identity provider does not accept this server")]
    Refused(#[source] BoxError),
    /// The code, or what the provider returned for it, is not valid.
    #[error("the identity provider's response is not valid")]
    Invalid(#[source] BoxError),
    /// The operator's rules do not admit the person.
    #[error("the person may not sign in: {0}")]
    NotAdmitted(&'static str),
}

/// An identity provider with OpenID Connect's authorization code flow.
#[async_trait]
pub trait IdentityProvider: Send + Sync {
    /// Returns the issuer of its identities.
    fn issuer(&self) -> &str;

    /// Returns the address to which the browser is sent.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Unavailable`].
    async fn authorization_url(&self, attempt: &SignInAttempt) -> Result<String, IdentityError>;

    /// Returns whether users who sign out here also sign out at the provider.
    fn ends_sessions(&self) -> bool {
        false
    }

    /// Returns the address at which the browser's user signs out at the provider; `None` if the provider has none.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Unavailable`].
    async fn end_session_url(&self) -> Result<Option<String>, IdentityError> {
        Ok(None)
    }

    /// Redeems the code with which the browser came back, and checks the returned token at the time `now`.
    ///
    /// # Errors
    ///
    /// Any [`IdentityError`].
    async fn identify(
        &self,
        code: &Secret<String>,
        attempt: &SignInAttempt,
        now: OffsetDateTime,
    ) -> Result<ProviderUser, IdentityError>;
}
