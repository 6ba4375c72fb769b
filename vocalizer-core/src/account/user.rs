//! Users and their names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, de};
use thiserror::Error;
use time::OffsetDateTime;
use unicode_normalization::UnicodeNormalization as _;
use unicode_security::confusable_detection::skeleton;
use unicode_security::{MixedScript as _, RestrictionLevel, RestrictionLevelDetection as _};

use super::PasswordHash;
use crate::id::opaque_id;

opaque_id!(
    /// Which user.
    UserId,
    ParseUserIdError,
    "user"
);

/// Somebody who registered.
#[derive(Debug, Clone)]
pub struct Account {
    /// Which user.
    pub id: UserId,
    /// The name to log in with.
    pub username: Username,
    /// What the password is checked against.
    pub password_hash: PasswordHash,
    /// When they registered.
    pub registered_at: OffsetDateTime,
}

/// The name a user logs in with: 1 to 64 letters, digits or `.`, `_`, `-`, `+`, `@`.
///
/// Letters of every script are welcome. A letter is what [`char::is_alphanumeric`] says it is. Addresses fit, because people
/// use them as names. White space around the name is dropped; within it is refused.
///
/// Two names that differ only in case are the same user's: stores keep names unique by [`Username::key`]. A new name is
/// made by [`Username::register`], which refuses look-alikes of others. Parsing takes names that were registered before
/// that rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Username(String);

impl Username {
    /// Longest name.
    pub const MAX_CHARS: usize = 64;

    /// A name that somebody wants to register, in Unicode's compatibility form (NFKC), so that one name is not typed in two
    /// ways.
    ///
    /// A name that can be mistaken for another is refused: one whose letters mix scripts, other than those that are written
    /// together (UTS 39, "highly restrictive"), and one in another script whose letters all look Latin.
    ///
    /// # Errors
    ///
    /// Every [`UsernameError`].
    pub fn register(text: &str) -> Result<Self, UsernameError> {
        let name: Self = text.nfkc().collect::<String>().parse()?;
        let letters: String = name.0.chars().filter(|c| c.is_alphanumeric()).collect();
        if !letters.is_single_script() && !letters.check_restriction_level(RestrictionLevel::HighlyRestrictive) {
            return Err(UsernameError::MixedScripts);
        }
        if !letters.is_ascii() && skeleton(&letters.to_lowercase()).all(|c| c.is_ascii()) {
            return Err(UsernameError::LooksLatin);
        }
        Ok(name)
    }

    /// What somebody may mean who types a name to log in: the name as it is, and in the form that [`Self::register`] gives
    /// it. Names of earlier versions may have another form.
    #[must_use]
    pub fn meant(text: &str) -> Vec<Self> {
        let mut meant: Vec<Self> = Vec::new();
        for text in [text.nfkc().collect(), text.to_owned()] {
            if let Ok(name) = text.parse::<Self>()
                && meant.iter().all(|other| other.key() != name.key())
            {
                meant.push(name);
            }
        }
        meant
    }

    /// The name as its owner wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as stores compare it, so that `Ada` and `ada` cannot be two people.
    ///
    /// It can be longer than the name: some letters have a case that takes several characters.
    #[must_use]
    pub fn key(&self) -> String {
        // Once down is not enough: `ß` and `ẞ` meet in `SS`, the two small sigmas only in the capital one. Letter by
        // letter, because `str::to_lowercase` writes a sigma differently at the end of a word.
        let folded = self.0.chars().flat_map(char::to_lowercase).flat_map(char::to_uppercase);
        folded.flat_map(char::to_lowercase).collect()
    }
}

impl FromStr for Username {
    type Err = UsernameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if text.is_empty() {
            return Err(UsernameError::Empty);
        }
        let found_chars = text.chars().count();
        if found_chars > Self::MAX_CHARS {
            return Err(UsernameError::TooLong { found_chars });
        }
        match text.chars().position(|c| !(c.is_alphanumeric() || "._-+@".contains(c))) {
            Some(at_char) => Err(UsernameError::Character { at_char }),
            None => Ok(Self(text.to_owned())),
        }
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<'de> Deserialize<'de> for Username {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// A text that cannot be a user's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UsernameError {
    /// Nothing but white space.
    #[error("the username is empty")]
    Empty,
    /// More than [`Username::MAX_CHARS`] characters.
    #[error("the username has {found_chars} characters, at most {} are allowed", Username::MAX_CHARS)]
    TooLong {
        /// How many it has.
        found_chars: usize,
    },
    /// Something other than a letter, a digit or one of the marks.
    #[error("the username holds a character at position {at_char} that is no letter, digit, '.', '_', '-', '+' or '@'")]
    Character {
        /// Where the first one is, in characters from the start of the trimmed name.
        at_char: usize,
    },
    /// Letters of several scripts, which make names that look like others.
    #[error("the username mixes letters of several scripts; use letters of one script")]
    MixedScripts,
    /// Letters of another script that all look like Latin ones.
    #[error("all letters of the username look like Latin ones; write it in Latin letters, or add a letter or a digit")]
    LooksLatin,
}
