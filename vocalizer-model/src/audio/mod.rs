//! Audio in and out: songs of the common formats become stereo frames of `f32`, and stems become files.
//!
//! [`AudioReader`] decodes (symphonia, in front of it our own checks of the headers), [`Resampler`] changes the rate
//! without moving anything in time (rubato), [`StemWriter`] encodes (MP3 through LAME, FLAC, WAV). All three work in
//! blocks, so memory does not grow with the song, and every bound on what comes in is in [`AudioLimits`].
//!
//! ```no_run
//! use std::path::Path;
//! use vocalizer_model::audio::{AudioFormat, AudioLimits, AudioReader, Resampler, StemWriter};
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

mod container;
mod decode;
mod downmix;
mod encode;
mod error;
mod formats;
#[cfg(feature = "mp3")]
mod lame;
mod limits;
mod mp4;
mod mpeg;
#[cfg(feature = "opus")]
mod opus;
mod resample;
mod riff;
mod source;

pub use decode::{AudioInfo, AudioReader};
#[cfg(feature = "separate")]
pub(crate) use encode::MP3_KBPS;
pub use encode::{AudioFormat, Bitrate, StemWriter};
pub use error::{DecodeError, EncodeError, ResampleError};
pub use limits::AudioLimits;
pub use resample::Resampler;
#[cfg(any(feature = "separate", feature = "ports"))]
pub(crate) use resample::scaled;

/// One moment of stereo sound: left, right. Full scale is from -1 to 1.
pub type Frame = [f32; 2];
