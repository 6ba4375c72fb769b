//! The stems a song is split into.

use std::fmt;
use std::str::FromStr;

/// One of the sources a song is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stem {
    /// Drums and percussion.
    Drums,
    /// Bass.
    Bass,
    /// Whatever is none of the others.
    Other,
    /// Voices.
    Vocals,
    /// Guitar, where the model tells it apart.
    Guitar,
    /// Piano, where the model tells it apart.
    Piano,
}

/// A name that is no stem's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no stem '{0}': the stems are drums, bass, other, vocals, guitar and piano")]
pub struct UnknownStem(pub String);

impl Stem {
    /// Every stem.
    pub const ALL: [Self; 6] = [Self::Drums, Self::Bass, Self::Other, Self::Vocals, Self::Guitar, Self::Piano];

    /// The name on the wire and in file names.
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
        f.write_str(self.name())
    }
}

impl FromStr for Stem {
    type Err = UnknownStem;

    fn from_str(name: &str) -> Result<Self, UnknownStem> {
        Self::ALL.into_iter().find(|s| s.name() == name).ok_or_else(|| UnknownStem(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_back_as_its_stem_and_nothing_else_does() {
        for stem in Stem::ALL {
            assert_eq!(stem.to_string().parse(), Ok(stem));
        }
        assert_eq!("Vocals".parse::<Stem>(), Err(UnknownStem("Vocals".into())));
    }
}
