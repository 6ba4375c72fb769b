//! The errors of reading, importing and downloading weights.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why weights cannot be read or downloaded. Messages about a file's content read well after the file's name and a
/// colon; messages about a download name the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// An I/O error.
    #[error("{action}")]
    Io {
        /// What failed, such as "cannot be read".
        action: String,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The bytes violate their format.
    #[error("is malformed: {0}")]
    Malformed(String),
    /// The file lacks a tensor of the network.
    #[error("lacks the tensor {0}")]
    MissingKey(String),
    /// The file has a tensor that the network does not have.
    #[error("has an unexpected tensor: {0}")]
    UnexpectedKey(String),
    /// A tensor has the wrong shape.
    #[error("has the wrong shape for {key}: found {found:?}, expected {expected:?}")]
    WrongShape {
        /// The tensor's key.
        key: String,
        /// The expected shape.
        expected: Vec<usize>,
        /// The shape in the file.
        found: Vec<usize>,
    },
    /// The content differs from the published file.
    #[error("has SHA-256 {found}, expected {expected}")]
    Digest {
        /// The published digest, in hexadecimal.
        expected: String,
        /// The digest of the file.
        found: String,
    },
    /// Unknown model name.
    #[error("unknown model {name:?}; known models: {known}")]
    UnknownModel {
        /// The requested name.
        name: String,
        /// The known names.
        known: String,
    },
    /// The models of a recipe do not fit it, or are missing.
    #[error("the recipe {name} cannot be used: {why}")]
    Recipe {
        /// Name of the recipe.
        name: String,
        /// What is wrong, and what would be right.
        why: String,
    },
    /// Valid, but not supported by this library.
    #[error("is not supported: {0}")]
    Unsupported(String),
    /// The tensors belong to no network that can be imported.
    #[error("is of an unknown family: {what}; known families: {known}")]
    UnknownFamily {
        /// What was found.
        what: String,
        /// The names of the known families.
        known: String,
    },
    /// The configuration is missing.
    #[error("needs the configuration that it was trained with: the .yaml file that was published next to it")]
    MissingConfig,
    /// The configuration is for another network.
    #[error("does not fit its configuration: {0}")]
    ConfigMismatch(String),
    /// An imported model cannot have this name.
    #[error("{name:?} cannot be the name of an imported model: {why}")]
    InvalidName {
        /// The name.
        name: String,
        /// What is wrong, and what would be right.
        why: String,
    },
    /// There is an imported model with this name.
    #[error("an imported model named {0} exists; choose another name, or replace it with --overwrite")]
    NameTaken(String),
    /// Another import of this name has not finished.
    #[error("another import is writing the model {0}; repeat this one when it has finished, or choose another name")]
    ImportRunning(String),
    /// The weights have no stated licence, and the user has not accepted that.
    #[error(
        "the licence of {model} is {licence} To fetch its weights nevertheless, run `vocalizer models fetch {model} \
--accept-licence` once"
    )]
    LicenceNotAccepted {
        /// Name of the model.
        model: String,
        /// What is known about its licence, in sentences.
        licence: String,
    },
    /// Every source of a file failed.
    #[error(
        "{} could not be downloaded ({}); copy the file there by hand, or, if it is on the hub, set VOCALIZER_HUB to a mirror",
        file.display(),
        Listed(tried)
    )]
    NoSource {
        /// Where the file would be saved.
        file: PathBuf,
        /// Each source and the reason it failed, in the order tried.
        tried: Vec<Tried>,
    },
}

/// A source that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// Name of the source.
    pub source: String,
    /// Why it failed.
    pub why: String,
}

struct Listed<'a>(&'a [Tried]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, Tried { source, why }) in self.0.iter().enumerate() {
            write!(f, "{}{source}: {why}", if i == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl WeightsError {
    pub(crate) fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action: action.into(), source }
    }
}

/// Shortens untrusted text for a message and replaces control characters.
pub(super) fn excerpt(text: &str) -> String {
    let mut shown: String = text.chars().take(120).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(120).is_some() {
        shown.pop();
        shown.push('…');
    }
    shown
}
