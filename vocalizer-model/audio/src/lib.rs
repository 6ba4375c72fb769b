//! Audio input and output: decodes songs to stereo `f32` frames and encodes stems to files.
//!
//! [`AudioReader`] decodes with symphonia, after its own checks of the headers. [`Resampler`] converts the sample rate
//! with rubato, without a delay. [`StemWriter`] encodes MP3 (LAME), FLAC and WAV. All three work in blocks, so memory
//! use does not grow with the length of the song. [`AudioLimits`] bounds the input. [`evaluation`] scores stems.
//! [`analysis`] finds tempo and key.
//!
//! ```no_run
//! use std::path::Path;
//! use vocalizer_audio::{AudioFormat, AudioLimits, AudioReader, Resampler, StemWriter};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut song = AudioReader::open(Path::new("song.mp3"), &AudioLimits::default())?;
//! let mut resampler = Resampler::new(song.info().rate_hz, 44_100)?;
//! let mut out = StemWriter::create(Path::new("song.flac"), AudioFormat::Flac, 44_100)?;
//! let (mut read, mut converted) = (Vec::new(), Vec::new());
//! while song.read(&mut read)? {
//!     resampler.push(&read, &mut converted)?;
//!     out.write(&converted)?;
//!     read.clear();
//!     converted.clear();
//! }
//! resampler.finish(&mut converted)?;
//! out.write(&converted)?;
//! out.finish()?;
//! # Ok(())
//! # }
//! ```

// Labels items with the feature they need; docs.rs builds with nightly.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod aac;
mod adpcm;
mod aiff;
pub mod analysis;
mod au;
mod bitrate;
mod boxes;
mod caf;
mod chunk_table;
mod chunks;
mod codec;
mod codecs;
mod container;
mod decode;
mod downmix;
mod ebml;
mod elementary;
mod encode;
mod error;
pub mod evaluation;
mod flac;
mod flac32;
mod formats;
mod framer;
mod guard;
mod input_file;
#[cfg(feature = "mp3")]
mod lame;
mod layout;
mod limits;
mod mkv;
mod mkv_tracks;
mod mp4;
mod mpeg;
mod ogg;
mod ogg_stream;
mod options;
#[cfg(feature = "opus")]
mod opus;
mod raw;
mod refused;
mod resample;
mod riff;
mod sample_entry;
mod source;
#[cfg(feature = "tags")]
mod tags;
mod tail;
mod tally;
mod timeline;
mod tracks;
mod trim;
mod vorbis;

pub use bitrate::{Bitrate, MP3_KBPS};
pub use decode::{AudioInfo, AudioReader};
pub use encode::{AudioFormat, StemWriter, WriteOptions};
pub use error::{DecodeError, EncodeError, ResampleError};
pub use limits::AudioLimits;
pub use options::{AudioWarning, ReadOptions, TrackInfo};
pub use resample::{Resampler, scaled};
#[cfg(feature = "tags")]
pub use tags::{Cover, SongTags};

/// One stereo frame: left, right. Full scale is -1 to 1.
pub type Frame = [f32; 2];

/// Compiles the example in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
