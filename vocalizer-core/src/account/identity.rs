//! Identities at a provider.

/// A person at an identity provider: the provider, and its identifier of the person, which never changes and is never given to
/// another. Names and e-mail addresses are neither, so they are no identity.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The provider: the claim `iss`.
    pub issuer: String,
    /// The person: the claim `sub`.
    pub subject: String,
}

impl Identity {
    /// The longest issuer, in bytes.
    pub const MAX_ISSUER_BYTES: usize = 1024;

    /// The longest subject, in bytes, as in the standard.
    pub const MAX_SUBJECT_BYTES: usize = 255;
}
