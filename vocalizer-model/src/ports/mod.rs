//! Implementations of core's audio ports: [`FileProbe`] checks uploads, `ModelSeparator` (feature `separate`) splits
//! songs, [`AudioRenderer`] converts stored audio to other formats, draws it, and finds tempo, key and cover.
//!
//! All three need a tokio runtime. They work on its blocking pool, so the caller's thread stays free, and block by
//! block, so memory use does not grow with the length of the song. Each job keeps its files in a private folder under
//! the work folder, which is removed with the job. [`sweep_work_dir`] removes the folders of killed processes.
//!
//! The texts of an [`AudioError`](vocalizer_core::ports::AudioError) that uploaders see contain no paths.
//!
//! ```no_run
//! use std::fs::File;
//!
//! use vocalizer_core::limits::Limits;
//! use vocalizer_core::ports::AudioProbe as _;
//! use vocalizer_model::audio::AudioLimits;
//! use vocalizer_model::ports::FileProbe;
//!
//! # async fn upload(file: File) -> Result<(), vocalizer_core::ports::AudioError> {
//! let probe = FileProbe::new(AudioLimits::from(&Limits::default()));
//! let facts = probe.probe(Box::new(file)).await?;
//! println!("{} at {} Hz", facts.format, facts.rate_hz);
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "tags")]
mod cover;
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
