//! Core's ports for audio, filled in: [`FileProbe`] looks into uploads, `ModelSeparator` (feature `separate`) splits
//! songs, [`AudioRenderer`] makes other formats of what is kept.
//!
//! All three want to be called within a tokio runtime. They work on its blocking pool, which leaves the caller's thread
//! free, and block by block, so that memory does not grow with the song. What takes room lies in a private folder of
//! one piece of work under the work folder, and goes with it; what a killed process left there, [`sweep_work_dir`]
//! removes.
//!
//! No text of an [`AudioError`](vocalizer_core::ports::AudioError) that is for uploaders holds a path.
//!
//! ```no_run
//! use std::path::Path;
//!
//! use vocalizer_core::limits::Limits;
//! use vocalizer_core::ports::AudioProbe as _;
//! use vocalizer_model::audio::AudioLimits;
//! use vocalizer_model::ports::FileProbe;
//!
//! # async fn upload() -> Result<(), vocalizer_core::ports::AudioError> {
//! let probe = FileProbe::new(AudioLimits::from(&Limits::default()));
//! let facts = probe.probe(Path::new("upload.part")).await?;
//! println!("{} of {} Hz", facts.format, facts.rate_hz);
//! # Ok(())
//! # }
//! ```

mod error;
mod mix;
mod pool;
mod probe;
mod render;
#[cfg(feature = "separate")]
mod separator;
mod work;

pub use probe::FileProbe;
pub use render::AudioRenderer;
#[cfg(feature = "separate")]
pub use separator::ModelSeparator;
pub use work::sweep_work_dir;
