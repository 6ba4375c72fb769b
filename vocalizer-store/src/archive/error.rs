//! Errors of result archives.

use std::io;

use thiserror::Error;
use vocalizer_core::part::Stem;

/// An error from reading or writing an archive.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// A stem is larger than [`Limits::max_stem_bytes`](vocalizer_core::limits::Limits::max_stem_bytes), or than eight times
    /// that as FLAC. Detected from the header, before the stem is read.
    #[error("the {stem} stem has {found_bytes} bytes; the limit is {max_bytes}")]
    Limit {
        /// The stem.
        stem: Stem,
        /// The limit.
        max_bytes: u64,
        /// Its size according to the header.
        found_bytes: u64,
    },
    /// It is not an archive with exactly the four stems; a retry does not help.
    #[error("the result archive is malformed")]
    Malformed(#[source] Flaw),
    /// The source failed, which says nothing about the archive.
    #[error("reading the result archive failed")]
    Read(#[source] io::Error),
    /// The archive or a stem from it could not be written.
    #[error("writing the result archive or a stem failed")]
    Write(#[source] io::Error),
}

/// The flaw of a malformed archive.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Flaw {
    /// It ends within an entry or a header.
    #[error("it is truncated")]
    CutOff,
    /// A header is invalid, for example because a gzip file was sent.
    #[error("it has an invalid header")]
    Header(#[source] io::Error),
    /// An entry does not have one of the names.
    #[error("unexpected entry {name:?}; only stems such as vocals as .mp3 or .flac, and provenance.json are allowed")]
    Name {
        /// The beginning of the name.
        name: String,
    },
    /// An entry is not a regular file but a link, a folder, a device, a sparse file or a header for long names.
    #[error("unsupported entry type {type_byte:?}; only regular files are allowed")]
    Type {
        /// The type byte of the entry's header.
        type_byte: char,
    },
    /// A PAX header is too large, invalid, contains more than times and owners, or precedes no file.
    #[error("unsupported PAX header")]
    Pax,
    /// A stem occurs twice.
    #[error("{stem} occurs twice")]
    Twice {
        /// The stem.
        stem: Stem,
    },
    /// A stem has no bytes.
    #[error("{stem} is empty")]
    Empty {
        /// The stem.
        stem: Stem,
    },
    /// A stem is missing.
    #[error("{stem} is missing")]
    Missing {
        /// The first missing stem.
        stem: Stem,
    },
    /// What it says about the origin of the stems is too long, not JSON, or out of bounds.
    #[error("invalid provenance.json: {0}")]
    Provenance(String),
    /// Nonzero bytes, or too many zeros, follow the end.
    #[error("unexpected data after the end")]
    Trailer,
}
