//! Sessions and API tokens.

use time::OffsetDateTime;

use vocalizer_api::id::{TokenId, UserId};

use super::SessionDigest;

/// A stored session: permission to act as a user for a limited time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The hash of the secret.
    pub digest: SessionDigest,
    /// The user.
    pub user: UserId,
    /// When it was created.
    pub created_at: OffsetDateTime,
    /// When it expires; `None` for a token without an expiry.
    pub expires_at: Option<OffsetDateTime>,
    /// The ID and name, if it is an API token.
    pub token: Option<TokenName>,
}

/// The ID and name of an API token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenName {
    /// The ID.
    pub id: TokenId,
    /// The name its owner chose.
    pub name: String,
}

/// An API token as its owner sees it: everything but the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    /// The ID.
    pub id: TokenId,
    /// The name its owner chose.
    pub name: String,
    /// When it was created.
    pub created_at: OffsetDateTime,
    /// When it expires, if ever.
    pub expires_at: Option<OffsetDateTime>,
}
