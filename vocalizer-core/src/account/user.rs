//! Users and usernames.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, de};
use thiserror::Error;
use time::OffsetDateTime;
use unicode_normalization::UnicodeNormalization as _;
use unicode_security::confusable_detection::skeleton;
use unicode_security::{MixedScript as _, RestrictionLevel, RestrictionLevelDetection as _};
use vocalizer_api::id::UserId;

use super::PasswordHash;

/// A registered user.
#[derive(Debug, Clone)]
pub struct Account {
    /// The ID.
    pub id: UserId,
    /// The name to log in with.
    pub username: Username,
    /// The password hash.
    pub password_hash: PasswordHash,
    /// When the user registered.
    pub registered_at: OffsetDateTime,
}

/// The name a user logs in with: 1 to 64 letters, digits or `.`, `_`, `-`, `+`, `@`.
///
/// Letters of every script are allowed, as defined by [`char::is_alphanumeric`]. Email addresses fit, because people
/// use them as names. White space around the name is removed; inside the name it is rejected.
///
/// Names that differ only in case belong to the same user: stores keep names unique by [`Username::key`]. New names are
/// created by [`Username::register`], which rejects look-alikes. Parsing also accepts names registered before that
/// rule.
///
/// ```
/// use vocalizer_core::account::{Username, UsernameError};
///
/// # fn main() -> Result<(), UsernameError> {
/// let (name, same): (Username, Username) = ("Ada".parse()?, " ada ".parse()?);
/// assert_eq!(name.key(), same.key());
/// assert_eq!("ada lovelace".parse::<Username>(), Err(UsernameError::Character { at_char: 3 }));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Username(String);

impl Username {
    /// The longest name, in characters.
    pub const MAX_CHARS: usize = 64;

    /// Parses a name for registration, in Unicode's compatibility form (NFKC), so that one name cannot be typed in two
    /// ways.
    ///
    /// Rejects look-alikes: names whose letters mix scripts that are not written together (UTS 39, "highly
    /// restrictive"), and names in another script whose letters all look Latin.
    ///
    /// ```
    /// use vocalizer_core::account::{Username, UsernameError};
    ///
    /// assert!(Username::register("Дмитрий").is_ok());
    /// // The first letter is Cyrillic.
    /// assert_eq!(Username::register("\u{410}da"), Err(UsernameError::MixedScripts));
    /// ```
    ///
    /// # Errors
    ///
    /// Any [`UsernameError`].
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

    /// Returns the names that a login may mean: the name in the form of [`Self::register`], and as typed. Names from
    /// earlier versions may have another form.
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

    /// Returns the name as its owner wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the form that stores compare, so that `Ada` and `ada` are the same user.
    ///
    /// It can be longer than the name: some letters change to several characters with case.
    #[must_use]
    pub fn key(&self) -> String {
        fold(&self.0)
    }

    /// Returns the form in which a part of a name is contained in the [keys](Self::key) of names.
    ///
    /// ```
    /// use vocalizer_core::account::Username;
    ///
    /// # fn main() -> Result<(), vocalizer_core::account::UsernameError> {
    /// let name: Username = "Ada@example.org".parse()?;
    /// assert!(name.key().contains(&Username::key_of_part("@EXAMPLE")));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn key_of_part(part: &str) -> String {
        fold(&part.trim().nfkc().collect::<String>())
    }
}

/// Lower case once is not enough: `ß` and `ẞ` meet in `SS`, the two small sigmas only in the capital one. Folded per
/// character, because `str::to_lowercase` treats a final sigma differently.
fn fold(text: &str) -> String {
    let folded = text.chars().flat_map(char::to_lowercase).flat_map(char::to_uppercase);
    folded.flat_map(char::to_lowercase).collect()
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

/// An invalid username.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UsernameError {
    /// Only white space.
    #[error("the username is empty")]
    Empty,
    /// More than [`Username::MAX_CHARS`] characters.
    #[error("the username has {found_chars} characters; at most {} are allowed", Username::MAX_CHARS)]
    TooLong {
        /// The number of characters.
        found_chars: usize,
    },
    /// A character other than a letter, a digit or one of the allowed marks.
    #[error(
        "the username has an invalid character at position {at_char}; use letters, digits, '.', '_', '-', '+' or '@'"
    )]
    Character {
        /// The position of the first one, in characters from the start of the trimmed name.
        at_char: usize,
    },
    /// Letters of several scripts, which allow look-alikes.
    #[error("the username mixes scripts; use letters of one script")]
    MixedScripts,
    /// Letters of another script that all look Latin.
    #[error("the username's letters all look Latin; use Latin letters, or add a letter or a digit")]
    LooksLatin,
}
