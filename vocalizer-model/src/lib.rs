//! Splits songs into stems (vocals, drums, bass, other) in process: reads an audio file, writes one file per stem.
//!
//! The network is HTDemucs with the weights that its authors published, run on burn. In f32, the default, the results match the
//! reference implementation up to rounding. Memory use does not grow with the length of the song.
//!
#![cfg_attr(feature = "separate", doc = "```no_run")]
#![cfg_attr(not(feature = "separate"), doc = "```ignore")]
//! use vocalizer_model::{Model, SplitOptions, split_file};
//!
//! fn main() -> Result<(), vocalizer_model::Error> {
//!     let model = Model::named("htdemucs")?; // downloads the weights on first use
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
//! - `separate` (default): the network, and splitting files with it. Without it, this crate reads and writes audio and
//!   weights files and does not build burn.
//! - `wgpu`, `cuda`: GPUs through Vulkan, Metal or DirectX 12, and through CUDA. Both can be on together:
//!   [`ComputeOptions`] selects the device when a model is loaded.
//! - `mp3` (default): MP3 output through LAME, which is under the LGPL; see the repository's `NOTICE.md`.
//! - `opus` (default): Opus input. Without it, Opus files are reported as unsupported.
//! - `fetch` (default): download of the weights over HTTPS. Without it, weights come from the cache or from a file.
//! - `tags` (default): the song's tags and cover in its stems.
//! - `ports`: the audio ports of `vocalizer-core`, for services. Without `separate`, only probing and rendering.

// Labels items with the feature they need; docs.rs builds with nightly.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "ports")]
pub mod ports;
pub mod weights;

#[cfg(feature = "separate")]
mod auto_precision;
#[cfg(feature = "separate")]
mod blocks;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod check;
#[cfg(feature = "separate")]
mod choose;
#[cfg(feature = "separate")]
mod device;
#[cfg(feature = "separate")]
mod devices;
#[cfg(feature = "separate")]
mod dsp;
#[cfg(feature = "separate")]
mod ensemble;
#[cfg(feature = "separate")]
mod error;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod gpus;
#[cfg(feature = "separate")]
mod loaded_device;
#[cfg(feature = "separate")]
mod model;
#[cfg(feature = "separate")]
mod network_file;
#[cfg(feature = "separate")]
mod networks;
#[cfg(feature = "separate")]
mod ops;
#[cfg(feature = "separate")]
mod outputs;
#[cfg(feature = "separate")]
mod pipeline;
#[cfg(feature = "separate")]
mod profile;
#[cfg(feature = "separate")]
mod samples;
#[cfg(feature = "separate")]
mod separation;
#[cfg(feature = "separate")]
mod sink;
#[cfg(feature = "separate")]
mod split;
#[cfg(feature = "separate")]
mod split_options;
#[cfg(feature = "separate")]
mod spool;
#[cfg(feature = "separate")]
mod statistics;
#[cfg(feature = "separate")]
mod steps;
#[cfg(feature = "separate")]
mod threads;

#[cfg(feature = "separate")]
pub use device::{ComputeOptions, DeviceChoice, DeviceInfo, GpuSelection, Interface, Precision, interfaces};
#[cfg(feature = "separate")]
pub use devices::devices;
#[cfg(feature = "separate")]
pub use error::Error;
#[cfg(feature = "separate")]
pub use model::Model;
#[cfg(feature = "separate")]
pub use networks::check_network;
#[cfg(feature = "separate")]
pub use profile::{OperationProfile, Profile};
#[cfg(feature = "separate")]
pub use samples::split_frames;
#[cfg(feature = "separate")]
pub use separation::{Separation, SeparationOptions};
#[cfg(feature = "separate")]
pub use split::{Listener, Report, Silent, Stage, split_file, split_file_with};
#[cfg(feature = "separate")]
pub use split_options::{Cancel, Clip, Complement, SplitOptions};
#[cfg(feature = "separate")]
pub use statistics::{SongStatistics, Statistics};
#[cfg(feature = "separate")]
pub use threads::set_threads;
pub use vocalizer_audio as audio;
pub use vocalizer_core::part::Stem;

/// Compiles the example in the README.
#[cfg(all(doctest, feature = "separate"))]
#[doc = include_str!("../README.md")]
struct Readme;
