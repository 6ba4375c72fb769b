//! The stems a model can produce, and the parts of a song a client can request.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// Longest excerpt of an unknown name in an error, to keep logs small.
const EXCERPT_CHARS: usize = 32;

/// Longest name of a stem.
const NAME_BYTES: usize = 31;

/// One voice of a song, by the name that a separation model gives it: `vocals`, `drums`, `lead-vocals`, `kick`.
///
/// A name has 1 to 31 lower-case letters, digits, `-` and `_`, and starts with a letter or a digit. Original programs know
/// the [four](Stem::FOUR) of the contract. `song` and `accompaniment` are other [parts](Part) and no stems.
///
/// Stems sort in the order of [`Stem::SIX`], then by name.
///
/// ```
/// use vocalizer_api::part::Stem;
///
/// let kick: Stem = "kick".parse()?;
/// assert!(Stem::DRUMS < Stem::VOCALS && Stem::PIANO < kick);
/// assert!("Kick drum".parse::<Stem>().is_err());
/// # Ok::<(), vocalizer_api::part::InvalidStem>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stem {
    /// The name, followed by zeros.
    bytes: [u8; NAME_BYTES],
}

impl Stem {
    /// Drums and other percussion.
    pub const DRUMS: Self = Self::known("drums");
    /// Bass.
    pub const BASS: Self = Self::known("bass");
    /// Everything that is in no other stem.
    pub const OTHER: Self = Self::known("other");
    /// Vocals.
    pub const VOCALS: Self = Self::known("vocals");
    /// Guitar.
    pub const GUITAR: Self = Self::known("guitar");
    /// Piano.
    pub const PIANO: Self = Self::known("piano");
    /// Everything but the vocals, from a model that separates vocals only.
    pub const INSTRUMENTAL: Self = Self::known("instrumental");
    /// The lead voice.
    pub const LEAD_VOCALS: Self = Self::known("lead-vocals");
    /// Backing voices.
    pub const BACK_VOCALS: Self = Self::known("back-vocals");

    /// The stems of a six-stem model, in its output order.
    pub const SIX: [Self; 6] = [Self::DRUMS, Self::BASS, Self::OTHER, Self::VOCALS, Self::GUITAR, Self::PIANO];

    /// The four stems of the contract, in the models' output order.
    pub const FOUR: [Self; 4] = [Self::DRUMS, Self::BASS, Self::OTHER, Self::VOCALS];

    const fn known(name: &str) -> Self {
        let mut bytes = [0; NAME_BYTES];
        let (filled, _) = bytes.split_at_mut(name.len());
        filled.copy_from_slice(name.as_bytes());
        Self { bytes }
    }

    /// Returns whether it has voices and nothing else, so that the accompaniment is without it.
    #[must_use]
    pub fn is_vocal(self) -> bool {
        [Self::VOCALS, Self::LEAD_VOCALS, Self::BACK_VOCALS].contains(&self)
    }

    /// Returns the name, as used in URLs, archives and on the command line.
    #[must_use]
    pub fn name(&self) -> &str {
        let len = self.bytes.iter().position(|&byte| byte == 0).unwrap_or(NAME_BYTES);
        str::from_utf8(&self.bytes[..len]).unwrap_or_default()
    }
}

impl Ord for Stem {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |stem: &Self| (Self::SIX.iter().position(|six| six == stem).unwrap_or(Self::SIX.len()), stem.bytes);
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for Stem {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for Stem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stem").field(&self.name()).finish()
    }
}

impl fmt::Display for Stem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `pad` instead of `write_str`, so that tables can align names.
        f.pad(self.name())
    }
}

impl FromStr for Stem {
    type Err = InvalidStem;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
        let valid = (1..=NAME_BYTES).contains(&text.len())
            && text.bytes().all(is_name)
            && !text.starts_with(['-', '_'])
            && text != Part::Song.name()
            && text != Part::Accompaniment.name();
        if valid { Ok(Self::known(text)) } else { Err(InvalidStem { name: excerpt(text) }) }
    }
}

impl Serialize for Stem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Stem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// A downloadable part of a song: the song itself, one of its stems, or the accompaniment.
///
/// Which stems a song has depends on the model that split it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The song as uploaded.
    Song,
    /// A stem.
    Stem(Stem),
    /// Everything except the vocals, for karaoke.
    Accompaniment,
}

#[expect(non_upper_case_globals, reason = "the parts of the contract are named like the variants beside them")]
impl Part {
    /// Drums.
    pub const Drums: Self = Self::Stem(Stem::DRUMS);
    /// Bass.
    pub const Bass: Self = Self::Stem(Stem::BASS);
    /// Everything that is in no other stem.
    pub const Other: Self = Self::Stem(Stem::OTHER);
    /// Vocals.
    pub const Vocals: Self = Self::Stem(Stem::VOCALS);

    /// The parts of the contract: the song, the stems in the order of [`Stem::FOUR`], the accompaniment.
    pub const ALL: [Self; 6] = [Self::Song, Self::Drums, Self::Bass, Self::Other, Self::Vocals, Self::Accompaniment];

    /// Returns the stem of this part, or `None` for the song itself and the accompaniment.
    #[must_use]
    pub const fn stem(self) -> Option<Stem> {
        match self {
            Self::Song | Self::Accompaniment => None,
            Self::Stem(stem) => Some(stem),
        }
    }

    /// Returns the lower-case name, as used in the URL before `.mp3`.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Song => "song",
            Self::Stem(stem) => stem.name(),
            Self::Accompaniment => "accompaniment",
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
        match [Self::Song, Self::Accompaniment].into_iter().find(|part| part.name() == text) {
            Some(part) => Ok(part),
            None => text.parse().map(Self::Stem).map_err(|InvalidStem { name }| UnknownPart { name }),
        }
    }
}

impl From<Stem> for Part {
    fn from(stem: Stem) -> Self {
        Self::Stem(stem)
    }
}

impl Serialize for Part {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// A download format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// MP3.
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

/// The formats in which the stems of a song are delivered and stored.
///
/// ```
/// use vocalizer_api::part::{Format, StemFormats};
///
/// let both: StemFormats = "both".parse()?;
/// assert!(both.is_lossless() && both.has(Format::Mp3));
/// assert!(!StemFormats::default().is_lossless());
/// # Ok::<(), vocalizer_api::part::UnknownStemFormats>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StemFormats {
    /// MP3, as the contract has it.
    #[default]
    Mp3,
    /// FLAC. Servers make MP3 from it on request.
    Flac,
    /// FLAC, and MP3 made from it.
    Both,
}

impl StemFormats {
    /// Every value.
    pub const ALL: [Self; 3] = [Self::Mp3, Self::Flac, Self::Both];

    /// Returns the formats, lossless ones first.
    #[must_use]
    pub const fn formats(self) -> &'static [Format] {
        match self {
            Self::Mp3 => &[Format::Mp3],
            Self::Flac => &[Format::Flac],
            Self::Both => &[Format::Flac, Format::Mp3],
        }
    }

    /// Returns whether a format is among them.
    #[must_use]
    pub fn has(self, format: Format) -> bool {
        self.formats().contains(&format)
    }

    /// Returns whether the stems have all that the model made.
    #[must_use]
    pub fn is_lossless(self) -> bool {
        self.has(Format::Flac)
    }

    /// Returns the name, as used in settings and databases.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mp3 => "mp3",
            Self::Flac => "flac",
            Self::Both => "both",
        }
    }
}

impl fmt::Display for StemFormats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for StemFormats {
    type Err = UnknownStemFormats;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|formats| formats.name() == text).ok_or(UnknownStemFormats)
    }
}

/// An unknown name of [`StemFormats`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("unknown formats of stems: expected one of mp3, flac, both")]
pub struct UnknownStemFormats;

/// An unknown format name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("unknown format: expected one of mp3, wav, flac")]
pub struct UnknownFormat;

/// An invalid name of a stem.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("invalid stem name {name:?}: use 1 to 31 lower-case letters, digits, '-' and '_'")]
pub struct InvalidStem {
    name: String,
}

/// A name that no part can have.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown part {name:?}: expected song, accompaniment or the name of a stem, such as vocals")]
pub struct UnknownPart {
    name: String,
}

fn excerpt(text: &str) -> String {
    text.chars().take(EXCERPT_CHARS).collect()
}
