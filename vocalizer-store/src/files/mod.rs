//! Blobs as files, in a folder of their own.
//!
//! ```text
//! <root>/tmp/…                         what is being written or deleted
//! <root>/ab/ab12…/source               an uploaded song
//! <root>/ab/ab12…/drums.mp3            a stem of it
//! <root>/ab/ab12…/made/drums.flac      a stem in another format
//! ```
//!
//! A blob is written to a temporary file, which gets its name when it is whole and on the disk. All of a hash is
//! deleted by renaming its folder away, so that there is no moment at which half of it is there.

pub(crate) mod disk;
pub(crate) mod draft;
mod reader;
mod store;
mod tags;
pub(crate) mod temporary;
mod writer;

pub use store::FileBlobs;
