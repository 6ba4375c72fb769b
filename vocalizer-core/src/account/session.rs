//! Sessions, and the API tokens that are sessions somebody asked for by hand.

use time::OffsetDateTime;

use super::{SessionDigest, UserId};
use crate::id::opaque_id;

opaque_id!(
    /// Which API token; not the token itself, which is shown once and never kept.
    TokenId,
    ParseTokenIdError,
    "token"
);

/// The right to act as a user for a while, as a store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// What the secret hashes to.
    pub digest: SessionDigest,
    /// Whose it is.
    pub user: UserId,
    /// When it was opened.
    pub created_at: OffsetDateTime,
    /// When it ends; `None` for a token that does not.
    pub expires_at: Option<OffsetDateTime>,
    /// What names it to its owner, where it is an API token.
    pub token: Option<TokenName>,
}

/// What a user tells tokens apart by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenName {
    /// Which token.
    pub id: TokenId,
    /// What its owner calls it.
    pub name: String,
}

/// An API token as its owner sees it: everything but the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    /// Which token.
    pub id: TokenId,
    /// What its owner calls it.
    pub name: String,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it ends, if ever.
    pub expires_at: Option<OffsetDateTime>,
}
