//! What the identifiers have in common, written once.

/// Defines an identifier that is random, opaque and impossible to mistake for another kind.
///
/// Random rather than counted: an identifier appears in URLs, and a counter would tell a stranger how many songs there
/// are and which numbers to try. The representation stays private, so it can change without any caller noticing.
macro_rules! opaque_id {
    ($(#[$doc:meta])* $name:ident, $error:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(uuid::Uuid);

        #[doc = concat!("A text that is not the identifier of a ", $what, ".")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
        #[error("not the identifier of a {}", $what)]
        pub struct $error;

        impl $name {
            /// Draws a fresh identifier from the system's randomness.
            #[must_use]
            pub fn random() -> Self {
                Self(uuid::Uuid::new_v4())
            }

            /// An identifier of exactly these bytes: for stores that keep them raw, and for tests.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(uuid::Uuid::from_bytes(bytes))
            }

            /// The bytes that [`Self::from_bytes`] takes back.
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
                // One identifier has one spelling; otherwise two URLs would name one song and caches would disagree.
                if id.to_string() == text { Ok(id) } else { Err($error) }
            }
        }

        // By way of the text and not of `Uuid`, which would read four more spellings than `FromStr` does.
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

pub(crate) use opaque_id;
