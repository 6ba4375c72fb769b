//! The stems a model can produce, and the parts of a song a client can request.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Longest excerpt of an unknown name in an error, to keep logs small.
const EXCERPT_CHARS: usize = 32;

/// One voice of a song, as a separation model produces it.
///
/// Every model produces the [four](Stem::FOUR) that Vocalizer serves; a six-stem model also separates guitar and piano.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stem {
    /// Drums and other percussion.
    Drums,
    /// Bass.
    Bass,
    /// Everything that is in no other stem.
    Other,
    /// Vocals.
    Vocals,
    /// Guitar; only from a six-stem model.
    Guitar,
    /// Piano; only from a six-stem model.
    Piano,
}

impl Stem {
    /// Every stem, in the output order of a six-stem model.
    pub const ALL: [Self; 6] = [Self::Drums, Self::Bass, Self::Other, Self::Vocals, Self::Guitar, Self::Piano];

    /// The four stems of the contract, in the models' output order.
    pub const FOUR: [Self; 4] = [Self::Drums, Self::Bass, Self::Other, Self::Vocals];

    /// Returns the lower-case name, as used in URLs, archives and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Drums => "drums",
            Self::Bass => "bass",
            Self::Other => "other",
            Self::Vocals => "vocals",
            Self::Guitar => "guitar",
            Self::Piano => "piano",
        }
    }
}

impl fmt::Display for Stem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `pad` instead of `write_str`, so that tables can align names.
        f.pad(self.name())
    }
}

impl FromStr for Stem {
    type Err = UnknownStem;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|stem| stem.name() == text).ok_or_else(|| UnknownStem { name: excerpt(text) })
    }
}

/// A downloadable part of a song: the song itself, one of its four stems, or the accompaniment.
///
/// Guitar and piano are excluded, so every value is something that the contract serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// The song as uploaded.
    Song,
    /// Drums.
    Drums,
    /// Bass.
    Bass,
    /// Everything except drums, bass and vocals.
    Other,
    /// Vocals.
    Vocals,
    /// Everything except the vocals, for karaoke.
    Accompaniment,
}

impl Part {
    /// Every part: the song, the stems in the order of [`Stem::FOUR`], the accompaniment.
    pub const ALL: [Self; 6] = [Self::Song, Self::Drums, Self::Bass, Self::Other, Self::Vocals, Self::Accompaniment];

    /// Returns the stem of this part, or `None` for the song itself and the accompaniment.
    #[must_use]
    pub const fn stem(self) -> Option<Stem> {
        match self {
            Self::Song | Self::Accompaniment => None,
            Self::Drums => Some(Stem::Drums),
            Self::Bass => Some(Stem::Bass),
            Self::Other => Some(Stem::Other),
            Self::Vocals => Some(Stem::Vocals),
        }
    }

    /// Returns the lower-case name, as used in the URL before `.mp3`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match (self, self.stem()) {
            (_, Some(stem)) => stem.name(),
            (Self::Accompaniment, None) => "accompaniment",
            (_, None) => "song",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Part {
    type Err = UnknownPart;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|part| part.name() == text).ok_or_else(|| UnknownPart { name: excerpt(text) })
    }
}

impl TryFrom<Stem> for Part {
    type Error = UnknownPart;

    /// # Errors
    ///
    /// [`UnknownPart`] for a stem outside [`Stem::FOUR`].
    fn try_from(stem: Stem) -> Result<Self, Self::Error> {
        stem.name().parse()
    }
}

/// A download format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// MP3, as workers deliver it.
    Mp3,
    /// WAV with 16-bit integers.
    Wav,
    /// FLAC with 16 bits.
    Flac,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::Mp3, Self::Wav, Self::Flac];

    /// Returns the file name extension without the dot.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Mp3 => "mp3",
            Self::Wav => "wav",
            Self::Flac => "flac",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.extension())
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|format| format.extension() == text).ok_or(UnknownFormat)
    }
}

/// An unknown format name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("unknown format: expected one of mp3, wav, flac")]
pub struct UnknownFormat;

/// An unknown stem name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown stem {name:?}: expected one of drums, bass, other, vocals, guitar, piano")]
pub struct UnknownStem {
    name: String,
}

/// An unknown part name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown part {name:?}: expected one of song, drums, bass, other, vocals, accompaniment")]
pub struct UnknownPart {
    name: String,
}

fn excerpt(text: &str) -> String {
    text.chars().take(EXCERPT_CHARS).collect()
}
