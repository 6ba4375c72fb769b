//! What the parts of splitting a file share: the options and the cancellation flag.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use vocalizer_core::part::Stem;

use crate::audio::{AudioFormat, AudioLimits, Bitrate, MP3_KBPS};
use crate::{Error, SeparationOptions};

/// What to do with stems that exceed full scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clip {
    /// Scale the whole stem down, just enough.
    Rescale,
    /// Clamp samples to ±0.99.
    Clamp,
    /// Leave it to the format: integers and MP3 clip at full scale, floats do not.
    None,
}

/// How to make the complement of a stem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Complement {
    /// The sum of the other stems.
    Add,
    /// The mixture without the stem.
    Minus,
}

/// What to separate and how to write it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SplitOptions {
    /// How the song is cut into segments and how often it is separated.
    pub separation: SeparationOptions,
    /// The stems to write; empty for all stems of the model.
    pub stems: Vec<Stem>,
    /// One stem and everything else (`no_<stem>`), instead of `stems`.
    pub two_stems: Option<(Stem, Complement)>,
    /// Write [`Stem::FOUR`] instead of `stems`: further stems of the model are added to `other`.
    pub four_stems: bool,
    /// File format of the stems.
    pub format: AudioFormat,
    /// What to do if a stem clips. `None` rescales, except for the float format, which does not clip.
    pub clip: Option<Clip>,
    /// Write at the song's sample rate, not at the model's.
    pub keep_rate: bool,
    /// Limits on the input.
    pub limits: AudioLimits,
    /// Record the costs of the segments, for [`Report::profile`](crate::Report::profile).
    pub profile: bool,
}

impl Default for SplitOptions {
    fn default() -> Self {
        Self {
            separation: SeparationOptions::default(),
            stems: Vec::new(),
            two_stems: None,
            four_stems: false,
            format: AudioFormat::Wav16,
            clip: None,
            keep_rate: true,
            limits: AudioLimits::default(),
            profile: false,
        }
    }
}

impl SplitOptions {
    /// Checks the options as far as possible without a model; [`split_file`](crate::split_file) checks the rest.
    ///
    /// # Errors
    ///
    /// [`Error::Options`] with the problem and the remedy.
    pub fn check(&self) -> Result<(), Error> {
        self.separation.check()?;
        if self.four_stems && !(self.stems.is_empty() && self.two_stems.is_none()) {
            return Err(Error::Options(
                "the four stems and a selection of stems exclude each other; choose one".into(),
            ));
        }
        match self.format {
            AudioFormat::Mp3(Bitrate::Cbr(kbps)) if !MP3_KBPS.contains(&kbps) => Err(Error::Options(format!(
                "unsupported MP3 bitrate: {kbps} kbit/s; use one of {}",
                MP3_KBPS.map(|k| k.to_string()).join(", ")
            ))),
            AudioFormat::Mp3(Bitrate::Vbr(quality)) if quality > 9 => {
                Err(Error::Options(format!("unsupported MP3 quality: {quality}; use 0 (best) to 9")))
            }
            _ => Ok(()),
        }
    }
}

/// A cancellation flag, shared by its clones. It stops a song between two segments.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Cancels every song that uses this flag.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Returns whether the flag is set.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }
}
