//! Identifiers of songs, users, API tokens, share links, markers, resumable uploads, webhooks and leases.

/// Defines a random, opaque identifier type that cannot be confused with another one.
///
/// Random, not sequential: identifiers appear in URLs, and a counter would reveal how many songs exist and which to
/// guess. The representation is private, so it can change without affecting callers.
macro_rules! opaque_id {
    ($(#[$doc:meta])* $name:ident, $error:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(uuid::Uuid);

        #[doc = concat!("The text is not a valid ", $what, " ID.")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
        #[error("invalid {} ID", $what)]
        pub struct $error;

        impl $name {
            /// Returns a new random identifier.
            #[must_use]
            pub fn random() -> Self {
                Self(uuid::Uuid::new_v4())
            }

            /// Returns the identifier with these bytes, for stores and tests.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(uuid::Uuid::from_bytes(bytes))
            }

            /// Returns the bytes for [`Self::from_bytes`].
            #[must_use]
            pub const fn to_bytes(self) -> [u8; 16] {
                self.0.into_bytes()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&self.0.as_hyphenated(), f)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let id = uuid::Uuid::try_parse(text).map(Self).map_err(|_| $error)?;
                // One spelling per identifier; otherwise one song would have several URLs and caches would disagree.
                if id.to_string() == text { Ok(id) } else { Err($error) }
            }
        }

        // As text instead of through `Uuid`, which accepts four more spellings than `FromStr`.
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <String as serde::Deserialize>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

opaque_id!(
    /// The ID of a song. Two uploads of the same bytes are two songs with two IDs and one
    /// [`SongHash`](crate::hash::SongHash).
    SongId,
    ParseSongIdError,
    "song"
);

opaque_id!(
    /// The ID of a user.
    UserId,
    ParseUserIdError,
    "user"
);

opaque_id!(
    /// The ID of an API token. The token's secret is shown once and never stored.
    TokenId,
    ParseTokenIdError,
    "token"
);

opaque_id!(
    /// The ID of a share link. The link's secret is shown once and never stored.
    ShareId,
    ParseShareIdError,
    "share"
);

opaque_id!(
    /// The ID of a marker in a song.
    MarkerId,
    ParseMarkerIdError,
    "marker"
);

opaque_id!(
    /// The ID of a webhook.
    WebhookId,
    ParseWebhookIdError,
    "webhook"
);

opaque_id!(
    /// The ID of a delivery to a webhook: the `webhook-id` of its requests, the same in every attempt.
    DeliveryId,
    ParseDeliveryIdError,
    "delivery"
);

opaque_id!(
    /// The ID of a lease, known only to the worker that holds it.
    LeaseId,
    ParseLeaseIdError,
    "lease"
);

opaque_id!(
    /// The ID of a resumable upload. Anyone who knows the ID of an anonymous upload can continue it.
    UploadId,
    ParseUploadIdError,
    "upload"
);
