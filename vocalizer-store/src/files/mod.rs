//! Blobs as files in a folder.
//!
//! ```text
//! <root>/tmp/…                         files being written or deleted
//! <root>/ab/ab12…/source               an uploaded song
//! <root>/ab/ab12…/drums.mp3            one of its stems
//! <root>/ab/ab12…/made/drums.flac      a stem in another format
//! ```
//!
//! A blob is written to a temporary file, which gets its name once it is complete and durable. All blobs of a hash are
//! deleted by renaming their folder, so that no reader sees only some of them.

pub(crate) mod disk;
pub(crate) mod draft;
mod layout;
mod reader;
mod store;
mod tags;
pub(crate) mod temporary;
mod writer;

pub use store::FileBlobs;
