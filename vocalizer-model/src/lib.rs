//! Splits songs into stems (vocals, drums, bass, other) in process: any audio file in, one file per stem out.
//!
//! The network is HTDemucs with the weights its authors released, run on burn; results are those of the reference
//! implementation to rounding. Memory does not grow with the song.
//!
//! ```no_run
//! use vocalizer_model::{Model, SplitOptions, split_file};
//!
//! fn main() -> Result<(), vocalizer_model::Error> {
//!     let model = Model::named("htdemucs")?; // fetches the weights once, then works offline
//!     let report = split_file(&model, "song.mp3".as_ref(), "stems/song".as_ref(), &SplitOptions::default())?;
//!     for file in report.files {
//!         println!("{}", file.display());
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # Features
//!
//! - `mp3` (default): MP3 output through LAME, which is under the LGPL; see the repository's `NOTICE.md`.
//! - `fetch` (default): fetching weights over HTTPS; without it they are read from the cache or a file.

pub mod audio;
mod dsp;
mod error;
mod htdemucs;
mod model;
mod separation;
mod sink;
mod split;
pub mod weights;

pub use error::Error;
pub use model::Model;
pub use separation::{Separation, SeparationOptions, SongStatistics};
pub use split::{Cancel, Clip, Complement, Listener, Report, Silent, SplitOptions, Stage, split_file, split_file_with};
pub use vocalizer_core::part::Stem;

/// Keeps every computation of this process to `threads` threads.
///
/// # Errors
///
/// [`Error::Options`] where threads were already started; call it first.
pub fn set_threads(threads: usize) -> Result<(), Error> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .map_err(|e| Error::Options(format!("the number of threads cannot be set to {threads}: {e}")))
}
