//! The tempo and the key of a song.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What was found out about a song by listening to it. A missing value was not found: not every song has a steady beat, or a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(extend("required" = ["tempo", "key"])))]
#[non_exhaustive]
pub struct Analysis {
    /// The tempo.
    pub tempo: Option<Tempo>,
    /// The key.
    pub key: Option<Key>,
}

impl Analysis {
    /// Returns an analysis.
    #[must_use]
    pub const fn new(tempo: Option<Tempo>, key: Option<Key>) -> Self {
        Self { tempo, key }
    }
}

/// The tempo of a song, and where its beats are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Tempo {
    /// Beats per minute.
    pub bpm: f64,
    /// How sure the tempo is, from 0 to 1. Of an uncertain tempo, the half or the double may be right.
    pub confidence: f64,
    /// The first beat, in milliseconds from the start of the song. At a steady tempo, the others follow from it.
    pub first_beat_ms: u64,
}

impl Tempo {
    /// Returns a tempo.
    #[must_use]
    pub const fn new(bpm: f64, confidence: f64, first_beat_ms: u64) -> Self {
        Self { bpm, confidence, first_beat_ms }
    }
}

/// The key of a song.
///
/// ```
/// use vocalizer_api::{Key, Mode, Tonic};
///
/// assert_eq!(Key::new(Tonic::FSharp, Mode::Minor, 0.9).to_string(), "F#m");
/// assert_eq!(Key::new(Tonic::C, Mode::Major, 0.9).to_string(), "C");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Key {
    /// The tonic.
    pub tonic: Tonic,
    /// Major or minor.
    pub mode: Mode,
    /// How sure the key is, from 0 to 1. Of an uncertain key, a related one may be right.
    pub confidence: f64,
}

impl Key {
    /// Returns a key.
    #[must_use]
    pub const fn new(tonic: Tonic, mode: Mode, confidence: f64) -> Self {
        Self { tonic, mode, confidence }
    }
}

/// Writes the usual short name: `C`, `F#m`.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.tonic.name())?;
        f.write_str(if self.mode == Mode::Minor { "m" } else { "" })
    }
}

/// Whether a key is major or minor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Major.
    Major,
    /// Minor.
    Minor,
}

/// The tonic of a key. Keys on black piano keys are named by sharps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(missing_docs, reason = "they are notes")]
pub enum Tonic {
    C,
    #[serde(rename = "C#")]
    CSharp,
    D,
    #[serde(rename = "D#")]
    DSharp,
    E,
    F,
    #[serde(rename = "F#")]
    FSharp,
    G,
    #[serde(rename = "G#")]
    GSharp,
    A,
    #[serde(rename = "A#")]
    ASharp,
    B,
}

impl Tonic {
    /// All tonics, from C upwards by semitones.
    pub const ALL: [Self; 12] = [
        Self::C,
        Self::CSharp,
        Self::D,
        Self::DSharp,
        Self::E,
        Self::F,
        Self::FSharp,
        Self::G,
        Self::GSharp,
        Self::A,
        Self::ASharp,
        Self::B,
    ];

    /// Returns the name, such as `F#`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::C => "C",
            Self::CSharp => "C#",
            Self::D => "D",
            Self::DSharp => "D#",
            Self::E => "E",
            Self::F => "F",
            Self::FSharp => "F#",
            Self::G => "G",
            Self::GSharp => "G#",
            Self::A => "A",
            Self::ASharp => "A#",
            Self::B => "B",
        }
    }
}

/// The `data` of a response about the analysis of a song.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AnalysisData {
    /// The analysis.
    pub analysis: Analysis,
}

/// The `data` of a response about the lyrics of a song.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(extend("required" = ["lyrics"])))]
pub struct LyricsData {
    /// The lyrics, plain or in the LRC format; `null`, never missing, if the tags have none.
    pub lyrics: Option<String>,
}
