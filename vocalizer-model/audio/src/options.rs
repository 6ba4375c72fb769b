//! What a caller can ask of a reader, and what a reader has to tell about the file.

use std::fmt;

/// How to read a file. The default reads as much as can be decoded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadOptions {
    /// The audio track, counted from 1. `None` takes the track that is flagged as default if it can be decoded, else
    /// the first that can be decoded.
    pub track: Option<u32>,
    /// Whether damage and a missing end are errors. Otherwise they are warnings.
    pub strict: bool,
}

/// An audio track of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrackInfo {
    /// The number for [`ReadOptions::track`], from 1.
    pub number: u32,
    /// The name of the codec: "aac", "opus", "ac-3" and so on; "unknown" if the reader has no name for it.
    pub codec: &'static str,
    /// The sample rate in Hz that the container states.
    pub rate_hz: Option<u32>,
    /// The number of channels that the container states.
    pub channels: Option<u16>,
    /// The bits per sample of lossless audio; 32 or 64 for floating point. `None` for lossy audio, and if they are not known.
    pub bits: Option<u32>,
    /// The language code that the container states: "eng", "de" and so on.
    pub language: Option<String>,
    /// Whether the container flags the track as the default.
    pub is_default: bool,
    /// Whether the track can be decoded.
    pub is_supported: bool,
}

/// Something about a file that a listener should know. It is not a reason to refuse the file.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum AudioWarning {
    /// The file ends before the end of the song.
    EndsEarly {
        /// The number of frames that were read.
        frames: u64,
        /// The number of frames that the header states, if it does.
        stated_frames: Option<u64>,
        /// Frames per second.
        rate_hz: u32,
    },
    /// Parts of the file could not be decoded. Silence of the same length replaces them, so the rest keeps its
    /// position.
    Damaged {
        /// The number of packets that could not be decoded, and of places where packets are missing.
        packets: u64,
        /// The number of frames of silence.
        silent_frames: u64,
        /// Frames per second.
        rate_hz: u32,
    },
    /// All packets could be decoded, but the samples do not match the checksum in the header.
    WrongChecksum,
    /// The sample rate or the number of channels changes within the file. Everything was converted to the first rate.
    FormatChanges {
        /// The number of changes.
        changes: u64,
    },
    /// The file has several audio tracks.
    SeveralTracks {
        /// The number of the track that is read, from 1.
        track: u32,
        /// The number of audio tracks.
        tracks: u32,
    },
}

impl AudioWarning {
    /// A short name for programs; it never changes.
    pub fn code(&self) -> &'static str {
        match self {
            Self::EndsEarly { .. } => "ends_early",
            Self::Damaged { .. } => "damaged",
            Self::WrongChecksum => "wrong_checksum",
            Self::FormatChanges { .. } => "format_changes",
            Self::SeveralTracks { .. } => "several_tracks",
        }
    }
}

impl fmt::Display for AudioWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |frames: u64, rate_hz: u32| frames as f64 / f64::from(rate_hz.max(1));
        match *self {
            Self::EndsEarly { frames, stated_frames: Some(stated), rate_hz } if stated > frames => write!(
                f,
                "the file ends early: {:.2} of {:.2} s could be read",
                seconds(frames, rate_hz),
                seconds(stated, rate_hz)
            ),
            Self::EndsEarly { frames, rate_hz, .. } => {
                write!(f, "the file ends early: its last packet is incomplete, after {:.2} s", seconds(frames, rate_hz))
            }
            Self::Damaged { packets, silent_frames, rate_hz } => write!(
                f,
                "the file is damaged in {packets} {}: {:.2} s of silence replace what could not be decoded",
                if packets == 1 { "place" } else { "places" },
                seconds(silent_frames, rate_hz),
            ),
            Self::WrongChecksum => f.write_str("the samples do not match the checksum in the file's header"),
            Self::FormatChanges { changes } => write!(
                f,
                "the sample rate or the channels change {changes} {} within the file; all of it was converted to the first rate",
                if changes == 1 { "time" } else { "times" }
            ),
            Self::SeveralTracks { track, tracks } => {
                write!(f, "the file has {tracks} audio tracks; track {track} is used")
            }
        }
    }
}
