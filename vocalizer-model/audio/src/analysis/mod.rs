//! The tempo and the key of a song.
//!
//! The methods are known ones, without training:
//!
//! - Onsets: spectral flux, the rise of the logarithm of the energy in mel bands (Klapuri 1999; Dixon 2006; Böck and Widmer 2013).
//! - Tempo: autocorrelation of the onsets (Percival and Tzanetakis 2014), summed over multiples of each period as a comb (Scheirer 1998), times
//!   a log-normal preference for the tempi at which people tap (Parncutt 1994; Ellis 2007). Whether a period or its half or double is the beat follows from
//!   how much stronger the beats are than what is halfway between them.
//! - Key: peaks of the spectrum, folded to pitch classes as in HPCP (Gómez 2006), with the tuning of the song taken from the peaks themselves;
//!   then the highest correlation with 24 profiles (Krumhansl 1990), here by Temperley (2007).
//!
//! At most the first [`ANALYSED_S`] seconds are used, and memory does not grow beyond that. `benches/README.md` has the accuracy.

mod key;
mod onsets;
mod spectra;
mod tempo;
#[cfg(test)]
mod tests;

use vocalizer_api::Analysis;

use self::key::Chroma;
use self::onsets::Onsets;
use super::error::ResampleError;
use super::{Frame, Resampler};

/// Seconds of a song that are analysed.
pub const ANALYSED_S: u32 = 240;

/// The sample rate of the analysis.
const RATE_HZ: u32 = 22_050;

/// Finds the tempo and the key of a song that is given in blocks.
///
/// ```
/// use vocalizer_audio::analysis::Analyzer;
///
/// # fn main() -> Result<(), vocalizer_audio::ResampleError> {
/// // A click twice a second.
/// let click = |n: u32| if n % 22_050 < 400 { (n as f32 * 0.9).sin() } else { 0.0 };
/// let song: Vec<_> = (0..44_100 * 12).map(|n| [click(n); 2]).collect();
/// let mut analyzer = Analyzer::new(44_100)?;
/// for block in song.chunks(4096) {
///     analyzer.push(block)?;
/// }
/// let tempo = analyzer.finish()?.tempo.expect("a steady beat");
/// assert!((tempo.bpm - 120.0).abs() < 0.5);
/// # Ok(())
/// # }
/// ```
pub struct Analyzer {
    resampler: Resampler,
    clean: Vec<Frame>,
    resampled: Vec<Frame>,
    mono: Vec<f32>,
    onsets: Onsets,
    chroma: Chroma,
    frames_left: u64,
}

impl std::fmt::Debug for Analyzer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Analyzer").field("frames_left", &self.frames_left).finish_non_exhaustive()
    }
}

impl Analyzer {
    /// Begins the analysis of a song with this sample rate.
    ///
    /// # Errors
    ///
    /// [`ResampleError::Rate`] for a rate of 0 Hz or above 1 MHz; [`ResampleError::Internal`].
    pub fn new(rate_hz: u32) -> Result<Self, ResampleError> {
        Ok(Self {
            resampler: Resampler::new(rate_hz, RATE_HZ)?,
            clean: Vec::new(),
            resampled: Vec::new(),
            mono: Vec::new(),
            onsets: Onsets::new(),
            chroma: Chroma::new(),
            frames_left: u64::from(rate_hz) * u64::from(ANALYSED_S),
        })
    }

    /// Returns whether further frames are not used.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.frames_left == 0
    }

    /// Adds the next frames.
    ///
    /// # Errors
    ///
    /// [`ResampleError::Internal`].
    pub fn push(&mut self, frames: &[Frame]) -> Result<(), ResampleError> {
        let used = frames.len().min(usize::try_from(self.frames_left).unwrap_or(usize::MAX));
        self.frames_left -= used as u64;
        // What is not a number would spoil all sums.
        let numbers = |frame: &Frame| frame.map(|sample| if sample.is_finite() { sample } else { 0.0 });
        self.clean.clear();
        self.clean.extend(frames[..used].iter().map(numbers));
        self.resampled.clear();
        self.resampler.push(&self.clean, &mut self.resampled)?;
        self.take();
        Ok(())
    }

    /// Returns what was found.
    ///
    /// # Errors
    ///
    /// [`ResampleError::Internal`].
    pub fn finish(mut self) -> Result<Analysis, ResampleError> {
        self.resampled.clear();
        self.resampler.finish(&mut self.resampled)?;
        self.take();
        Ok(Analysis::new(tempo::find(&self.onsets), self.chroma.key()))
    }

    fn take(&mut self) {
        self.mono.clear();
        self.mono.extend(self.resampled.iter().map(|[left, right]| (left + right) / 2.0));
        self.onsets.push(&self.mono);
        self.chroma.push(&self.mono);
    }
}

/// The whole part of a number; 0 for negative ones.
#[expect(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "the conversion saturates")]
const fn whole(value: f64) -> usize {
    value as usize
}
