//! The hash of a song's bytes: its key in the queue, in the blob store and between workers and backend.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};
use thiserror::Error;

const DIGEST_BYTES: usize = 32;
const HEX_CHARS: usize = 2 * DIGEST_BYTES;

/// The SHA-256 of an uploaded file, written as 64 lower-case hexadecimal digits.
///
/// A value is safe as a file name and as a path segment.
///
/// ```
/// use vocalizer_api::hash::SongHash;
///
/// let hash = SongHash::of(b"abc");
/// assert_eq!(hash.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
/// assert_eq!("../../etc/passwd".parse::<SongHash>().ok(), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SongHash([u8; DIGEST_BYTES]);

impl SongHash {
    /// Hashes bytes in memory; for streams, see [`SongHasher`].
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Returns the raw digest.
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

    /// Strict: one spelling per hash, because the text becomes a file name and a message ID.
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

/// Hashes a song as it arrives, so that an upload is read once and never held in memory.
#[derive(Clone, Default)]
pub struct SongHasher(Sha256);

impl SongHasher {
    /// Returns a new hasher.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next bytes, in chunks of any size.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Returns the hash of all bytes.
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

/// An invalid song hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseHashError {
    /// The text is shorter or longer than a hash.
    #[error("invalid song hash: expected 64 bytes, got {found_bytes}")]
    Length {
        /// The length of the text in bytes.
        found_bytes: usize,
    },
    /// A character is not a lower-case hexadecimal digit.
    #[error("invalid song hash: byte {at_byte} is not a lower-case hexadecimal digit")]
    Digit {
        /// The position of the first such byte.
        at_byte: usize,
    },
}
