//! Splits songs into stems (vocals, drums, bass, other) in process: any audio file in, one file per stem out.
//!
//! The network is HTDemucs with the weights its authors released, run on burn; results are those of the reference
//! implementation to rounding. Memory does not grow with the song.
//!
#![cfg_attr(feature = "separate", doc = "```no_run")]
#![cfg_attr(not(feature = "separate"), doc = "```ignore")]
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
//! - `separate` (default): the network, and splitting files with it; without it this crate reads and writes audio and
//!   weights files, and does not build burn.
//! - `wgpu`, `cuda`: GPUs, through Vulkan, Metal or DirectX 12, and through CUDA. Both at once are fine: which device is
//!   computed on is chosen when a model is loaded ([`ComputeOptions`]).
//! - `mp3` (default): MP3 output through LAME, which is under the LGPL; see the repository's `NOTICE.md`.
//! - `opus` (default): reading Opus; without it such a file is told to be unsupported.
//! - `fetch` (default): fetching weights over HTTPS; without it they are read from the cache or a file.
//! - `ports`: core's ports for audio, for a service; without `separate`, those that look into songs and render them.

// Labels items with the feature they need; docs.rs builds with nightly.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod audio;
#[cfg(feature = "ports")]
pub mod ports;
pub mod weights;

#[cfg(feature = "separate")]
mod card;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod cards;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod check;
#[cfg(feature = "separate")]
mod choose;
#[cfg(feature = "separate")]
mod device;
#[cfg(feature = "separate")]
mod dsp;
#[cfg(feature = "separate")]
mod error;
#[cfg(feature = "separate")]
mod htdemucs;
#[cfg(feature = "separate")]
mod model;
#[cfg(feature = "separate")]
mod ops;
#[cfg(feature = "separate")]
mod outputs;
#[cfg(feature = "separate")]
mod profile;
#[cfg(feature = "separate")]
mod separation;
#[cfg(feature = "separate")]
mod sink;
#[cfg(feature = "separate")]
mod split;
#[cfg(feature = "separate")]
mod threads;

#[cfg(feature = "separate")]
pub use device::{Cards, ComputeOptions, DeviceChoice, DeviceInfo, Interface, Precision, devices, interfaces};
#[cfg(feature = "separate")]
pub use error::Error;
#[cfg(feature = "separate")]
pub use model::Model;
#[cfg(feature = "separate")]
pub use profile::{OperationProfile, Profile};
#[cfg(feature = "separate")]
pub use separation::{Separation, SeparationOptions, SongStatistics};
#[cfg(feature = "separate")]
pub use split::{Cancel, Clip, Complement, Listener, Report, Silent, SplitOptions, Stage, split_file, split_file_with};
#[cfg(feature = "separate")]
pub use threads::set_threads;
pub use vocalizer_core::part::Stem;

/// Compiles the example in the README.
#[cfg(all(doctest, feature = "separate"))]
#[doc = include_str!("../README.md")]
struct Readme;
