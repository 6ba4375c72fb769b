//! The stems a model can produce, and the parts of a song a client can ask for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Longest piece of an unknown name that an error repeats: enough to recognise it, too little to flood a log.
const EXCERPT_CHARS: usize = 32;

/// One voice of a song, as a separation model produces it.
///
/// Every model knows the [four](Stem::FOUR) that Vocalizer serves; a six-stem model also tells guitar and piano apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stem {
    /// Drums and other percussion.
    Drums,
    /// Bass.
    Bass,
    /// All that no other stem of the model holds.
    Other,
    /// The voice.
    Vocals,
    /// Guitar; only from a six-stem model.
    Guitar,
    /// Piano; only from a six-stem model.
    Piano,
}

impl Stem {
    /// Every stem, in the order in which a six-stem model puts them out.
    pub const ALL: [Self; 6] = [Self::Drums, Self::Bass, Self::Other, Self::Vocals, Self::Guitar, Self::Piano];

    /// The four stems of the contract, in the order in which the models put them out.
    pub const FOUR: [Self; 4] = [Self::Drums, Self::Bass, Self::Other, Self::Vocals];

    /// The lower-case name, as it stands in URLs, archives and on the command line.
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
        // `pad` rather than `write_str`, so that tables can align names.
        f.pad(self.name())
    }
}

impl FromStr for Stem {
    type Err = UnknownStem;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|stem| stem.name() == text).ok_or_else(|| UnknownStem { name: excerpt(text) })
    }
}

/// A part of a song that can be downloaded: the song itself, one of its four stems, or everything but the voice.
///
/// Guitar and piano are not among them, so a value of this type always names something the contract serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// The song as it was uploaded.
    Song,
    /// The drums.
    Drums,
    /// The bass.
    Bass,
    /// Everything that is not drums, bass or vocals.
    Other,
    /// The voice.
    Vocals,
    /// Everything but the voice, for singing along.
    Accompaniment,
}

impl Part {
    /// Every part: the song, the stems in the order of [`Stem::FOUR`], the accompaniment.
    pub const ALL: [Self; 6] = [Self::Song, Self::Drums, Self::Bass, Self::Other, Self::Vocals, Self::Accompaniment];

    /// The stem this part is, or `None` for the song itself and the accompaniment.
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

    /// The lower-case name, as it stands in the URL before `.mp3`.
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
    /// [`UnknownPart`] for a stem that is not among [`Stem::FOUR`].
    fn try_from(stem: Stem) -> Result<Self, Self::Error> {
        stem.name().parse()
    }
}

/// What a part can be downloaded as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// MP3, as the workers deliver it.
    Mp3,
    /// WAV with 16-bit integers.
    Wav,
    /// FLAC with 16 bits.
    Flac,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::Mp3, Self::Wav, Self::Flac];

    /// The end of a file's name, without the dot.
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

/// A text that names no format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("unknown format: expected one of mp3, wav, flac")]
pub struct UnknownFormat;

/// A name that is no stem's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown stem {name:?}: expected one of drums, bass, other, vocals, guitar, piano")]
pub struct UnknownStem {
    name: String,
}

/// A name that is no part's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown part {name:?}: expected one of song, drums, bass, other, vocals, accompaniment")]
pub struct UnknownPart {
    name: String,
}

fn excerpt(text: &str) -> String {
    text.chars().take(EXCERPT_CHARS).collect()
}
