//! What a reader counts while it decodes, and the warnings that follow from it.

use super::error::DecodeError;
use super::options::AudioWarning;

/// Counts of a reader.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Whether damage is an error.
    pub(super) strict: bool,
    /// The chosen track and the number of tracks.
    pub(super) track: (u32, u32),
    /// Packets that were decoded.
    pub(super) decoded: u64,
    /// Packets that could not be decoded, and places where packets are missing.
    pub(super) damaged: u64,
    /// Frames of silence that replace them.
    pub(super) silent_frames: u64,
    /// Changes of the sample rate or the channels.
    pub(super) changes: u64,
    /// Whether the file ends too early.
    pub(super) ends_early: bool,
    /// Whether the samples contradict the checksum.
    pub(super) wrong_checksum: bool,
}

impl Tally {
    /// Counts one damaged place.
    pub(super) fn damage(&mut self, what: impl FnOnce() -> String) -> Result<(), DecodeError> {
        if self.strict {
            return Err(DecodeError::Malformed(what()));
        }
        self.damaged += 1;
        Ok(())
    }

    /// Returns the warnings, for a reader that returned `frames` frames of a stated number.
    pub(super) fn warnings(&self, frames: u64, stated_frames: Option<u64>, rate_hz: u32) -> Vec<AudioWarning> {
        let (track, tracks) = self.track;
        let (packets, silent_frames) = (self.damaged, self.silent_frames);
        let mut warnings = Vec::new();
        if tracks > 1 {
            warnings.push(AudioWarning::SeveralTracks { track, tracks });
        }
        if self.changes > 0 {
            warnings.push(AudioWarning::FormatChanges { changes: self.changes });
        }
        if packets > 0 {
            warnings.push(AudioWarning::Damaged { packets, silent_frames, rate_hz });
        }
        if self.ends_early {
            let stated_frames = stated_frames.filter(|&stated| stated > frames);
            warnings.push(AudioWarning::EndsEarly { frames, stated_frames, rate_hz });
        }
        if self.wrong_checksum {
            warnings.push(AudioWarning::WrongChecksum);
        }
        warnings
    }
}
