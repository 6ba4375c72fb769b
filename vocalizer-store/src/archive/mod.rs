//! The result archive: a tar with exactly `bass.mp3`, `drums.mp3`, `other.mp3` and `vocals.mp3` at the top level.
//!
//! [`TarResults`] also reads and writes what original programs do not know: the same four names with `.flac`, instead of
//! the MP3s or beside them, names of other stems, and `provenance.json`. It writes them only for a backend that takes them.
//!
//! Archives are untrusted, so they are never unpacked. [`read`] checks one entry after the other. It accepts
//! regular files with exactly these names, in any order, each once, not empty and within its limit. Anything else ends
//! the reading with an error that names the flaw.
//!
//! There are two exceptions for the tools that workers use. A name may begin with `./`, as `tar cf x ./*.mp3` writes
//! it; `.` itself is a folder and is rejected. An entry may have one small PAX header, because Python's `tarfile`
//! writes one for fractional seconds; it may only contain times and owners, and is ignored. A header that would rename
//! or resize the entry or make it sparse is rejected, like GNU long names.
//!
//! The end-of-archive marker may be missing behind the four, because all stems are complete by then. Only zeros may follow it, up
//! to [`MAX_TRAILER_BYTES`].

mod error;
mod read;
mod results;
mod stream;
mod write;

pub use error::{ArchiveError, Flaw};
pub use read::{MAX_TRAILER_BYTES, read, read_stems};
pub use results::TarResults;
pub use write::write;

use vocalizer_core::part::{Format, Stem};

/// The four stems in write order.
const ORDER: [Stem; 4] = [Stem::BASS, Stem::DRUMS, Stem::OTHER, Stem::VOCALS];

/// The name of the entry that says what made the stems.
const PROVENANCE: &str = "provenance.json";

/// Returns the file name of a stem in an archive.
fn file_name(stem: Stem, format: Format) -> String {
    format!("{stem}.{format}")
}
