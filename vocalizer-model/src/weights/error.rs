//! What can be wrong with weights, or with getting them.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why weights cannot be used or had. Messages about what is in a file read after its name and a colon; those of
/// fetching name it themselves.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The system refused something.
    #[error("{action}")]
    Io {
        /// What failed, as in "cannot be read".
        action: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The bytes are not what their format asks for.
    #[error("is malformed: {0}")]
    Malformed(String),
    /// A tensor of the network is not there.
    #[error("lacks the tensor {0}")]
    MissingKey(String),
    /// A tensor is there that the network does not have.
    #[error("holds a tensor that the network does not have: {0}")]
    UnexpectedKey(String),
    /// A tensor has another shape than the network's.
    #[error("holds {key} in the shape {found:?}, where the network has {expected:?}")]
    WrongShape {
        /// The tensor's key.
        key: String,
        /// The network's shape.
        expected: Vec<usize>,
        /// The file's shape.
        found: Vec<usize>,
    },
    /// The content is another than the published one.
    #[error("has the SHA-256 {found}, where {expected} was published; delete it to have it fetched again")]
    Digest {
        /// The published digest, in hexadecimal.
        expected: String,
        /// The digest of what is there.
        found: String,
    },
    /// There is no model of this name.
    #[error("there is no model {name:?}; there are {known}")]
    UnknownModel {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// Sound, but nothing this library can run.
    #[error("asks for what is not supported: {0}")]
    Unsupported(String),
    /// Every source of a file failed.
    #[error(
        "{} could not be fetched ({}); a copy of it can be put there by hand, or VOCALIZER_HUB name a mirror of the hub",
        file.display(),
        Listed(tried)
    )]
    NoSource {
        /// Where the file would be.
        file: PathBuf,
        /// Each source with its reason, in the order tried.
        tried: Vec<Tried>,
    },
}

/// A source that was tried in vain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The source's name.
    pub source: String,
    /// Why it gave nothing.
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
