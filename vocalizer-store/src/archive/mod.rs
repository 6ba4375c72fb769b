//! The result archive: a tar with exactly `bass.mp3`, `drums.mp3`, `other.mp3` and `vocals.mp3` at the top level.
//!
//! Archives come from outside, so they are never unpacked. [`read`] looks at one entry after the other and accepts
//! four regular files with exactly these names, in any order, each once, not empty and not above its limit. The first
//! thing that is anything else ends the reading with an error that says what it was.
//!
//! Two liberties are taken for the sake of the tools that workers use. A name may begin with `./`, which `tar cf x ./*.mp3`
//! writes and which means the same place; `.` itself, being a folder, is refused. And an entry may have one small PAX
//! header before it, since Python's `tarfile` writes one for every file to keep the fractions of a second; it may speak of
//! times and owners and is not obeyed even in that. A header that would rename, resize or punch holes into the entry is
//! refused, as are GNU's long names.
//!
//! The end-of-archive marker may be missing, because by then all four stems are in. After it nothing but zeros may follow,
//! up to [`MAX_TRAILER_BYTES`].

mod error;
mod read;
mod results;
mod stream;
mod write;

pub use error::{ArchiveError, Flaw};
pub use read::{MAX_TRAILER_BYTES, read, read_stems};
pub use results::TarResults;
pub use write::write;

use vocalizer_core::part::Stem;

/// The four stems in the order in which they are written.
const ORDER: [Stem; 4] = [Stem::Bass, Stem::Drums, Stem::Other, Stem::Vocals];

/// What a stem is called in an archive.
const fn file_name(stem: Stem) -> Option<&'static str> {
    match stem {
        Stem::Bass => Some("bass.mp3"),
        Stem::Drums => Some("drums.mp3"),
        Stem::Other => Some("other.mp3"),
        Stem::Vocals => Some("vocals.mp3"),
        Stem::Guitar | Stem::Piano => None,
    }
}
