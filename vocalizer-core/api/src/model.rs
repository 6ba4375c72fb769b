//! Names of models.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// Longest name of a model.
const NAME_BYTES: usize = 47;

/// The name of a model or a recipe, such as `htdemucs_ft` or `best`.
///
/// A name has 1 to 47 ASCII letters, digits, `-`, `_` and `.`, and starts with a letter or a digit.
///
/// ```
/// use vocalizer_api::model::ModelName;
///
/// let name: ModelName = "mel-roformer-kim".parse()?;
/// assert_eq!(name.as_str(), "mel-roformer-kim");
/// assert!("../model".parse::<ModelName>().is_err());
/// # Ok::<(), vocalizer_api::model::InvalidModelName>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelName {
    /// The name, followed by zeros.
    bytes: [u8; NAME_BYTES],
}

impl ModelName {
    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let len = self.bytes.iter().position(|&byte| byte == 0).unwrap_or(NAME_BYTES);
        str::from_utf8(&self.bytes[..len]).unwrap_or_default()
    }
}

impl FromStr for ModelName {
    type Err = InvalidModelName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let starts_well = text.starts_with(|first: char| first.is_ascii_alphanumeric());
        let mut bytes = [0; NAME_BYTES];
        match bytes.get_mut(..text.len()) {
            Some(filled) if starts_well && text.bytes().all(is_name) => filled.copy_from_slice(text.as_bytes()),
            _ => return Err(InvalidModelName),
        }
        Ok(Self { bytes })
    }
}

impl fmt::Debug for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ModelName").field(&self.as_str()).finish()
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for ModelName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ModelName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// An invalid name of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("invalid model name: use 1 to 47 letters, digits, '-', '_' and '.', starting with a letter or a digit")]
pub struct InvalidModelName;
