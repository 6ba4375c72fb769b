//! The hash of a song's bytes: its name in the queue, in the blob store and between workers and backend.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};
use thiserror::Error;

const DIGEST_BYTES: usize = 32;
const HEX_CHARS: usize = 2 * DIGEST_BYTES;

/// The SHA-256 of an uploaded file, written as 64 lower-case hexadecimal digits.
///
/// A value of this type is safe as a file name and as a path segment: it can hold nothing but a digest.
///
/// ```
/// use vocalizer_core::song::SongHash;
///
/// let hash = SongHash::of(b"abc");
/// assert_eq!(hash.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
/// assert_eq!("../../etc/passwd".parse::<SongHash>().ok(), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SongHash([u8; DIGEST_BYTES]);

impl SongHash {
    /// Hashes bytes that are all in memory; see [`SongHasher`] for those that are not.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The raw digest.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; DIGEST_BYTES] {
        &self.0
    }
}

impl fmt::Display for SongHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SongHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SongHash({self})")
    }
}

impl FromStr for SongHash {
    type Err = ParseHashError;

    /// Strict on purpose: one hash has one spelling, because the text becomes a file name and a message's identity.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != HEX_CHARS {
            return Err(ParseHashError::Length { found_bytes: text.len() });
        }
        let mut digest = [0; DIGEST_BYTES];
        for (index, (byte, pair)) in digest.iter_mut().zip(text.as_bytes().chunks_exact(2)).enumerate() {
            for (offset, &digit) in pair.iter().enumerate() {
                let nibble = nibble(digit).ok_or(ParseHashError::Digit { at_byte: 2 * index + offset })?;
                *byte = *byte << 4 | nibble;
            }
        }
        Ok(Self(digest))
    }
}

const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl Serialize for SongHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SongHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Hashes a song while it comes in, so that an upload is read once and never held whole.
#[derive(Clone, Default)]
pub struct SongHasher(Sha256);

impl SongHasher {
    /// A hasher that has seen nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in the next bytes; how they are cut into pieces makes no difference.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of all bytes seen.
    #[must_use]
    pub fn finish(self) -> SongHash {
        SongHash(self.0.finalize().into())
    }
}

impl fmt::Debug for SongHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SongHasher").finish_non_exhaustive()
    }
}

/// A text that is not a song's hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseHashError {
    /// The text is shorter or longer than a hash.
    #[error("a song's hash is 64 bytes long as text, this is {found_bytes}")]
    Length {
        /// How long the text is, in bytes.
        found_bytes: usize,
    },
    /// The text has the right length and holds something other than a lower-case hexadecimal digit.
    #[error("not a lower-case hexadecimal digit at byte {at_byte}")]
    Digit {
        /// Where the first such byte is.
        at_byte: usize,
    },
}
