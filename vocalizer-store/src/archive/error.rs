//! What can be wrong with a result archive.

use std::io;

use thiserror::Error;
use vocalizer_core::part::Stem;

/// Why an archive could not be read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// A stem is larger than [`Limits::max_stem_bytes`](vocalizer_core::limits::Limits::max_stem_bytes). Told from the
    /// header, before any of the stem is read.
    #[error("the {stem} stem has {found_bytes} bytes, at most {max_bytes} are allowed")]
    Limit {
        /// Which stem.
        stem: Stem,
        /// The limit.
        max_bytes: u64,
        /// What the archive says it has.
        found_bytes: u64,
    },
    /// It is not an archive with exactly the four stems; sending it again will not help.
    #[error("the result archive is malformed")]
    Malformed(#[source] Flaw),
    /// The bytes stopped coming, which says nothing about the archive.
    #[error("the result archive could not be read")]
    Read(#[source] io::Error),
    /// The archive, or a stem out of it, could not be written.
    #[error("writing failed")]
    Write(#[source] io::Error),
}

/// What exactly is wrong with a malformed archive.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Flaw {
    /// It ends within an entry or a header.
    #[error("it is cut off")]
    CutOff,
    /// A header is not one, as when a gzip file is sent as a tar.
    #[error("a header cannot be read")]
    Header(#[source] io::Error),
    /// An entry with a name that is none of the four.
    #[error("it holds an entry {name:?}; only bass.mp3, drums.mp3, other.mp3 and vocals.mp3 belong in it")]
    Name {
        /// The beginning of the name.
        name: String,
    },
    /// A link, a folder, a device, a sparse file or a header for long names.
    #[error("it holds an entry of type {type_byte:?}, which is no regular file")]
    Type {
        /// The entry's type, as the byte in its header.
        type_byte: char,
    },
    /// A PAX header that is too large, does not parse, says more than times and owners, or stands before no file.
    #[error("it holds a PAX header that is not acceptable")]
    Pax,
    /// A stem is there twice.
    #[error("it holds {stem} twice")]
    Twice {
        /// Which stem.
        stem: Stem,
    },
    /// A stem has no bytes.
    #[error("{stem} is empty")]
    Empty {
        /// Which stem.
        stem: Stem,
    },
    /// A stem is not there.
    #[error("{stem} is missing")]
    Missing {
        /// Which stem, the first of those missing.
        stem: Stem,
    },
    /// Something other than zeros follows the end, or too many zeros do.
    #[error("something follows its end")]
    Trailer,
}
