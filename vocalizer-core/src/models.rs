//! The models that an operator allows.

use std::str::FromStr;

use thiserror::Error;

use crate::part::{InvalidStem, Stem};
use crate::song::SongHash;

pub use vocalizer_api::model::{InvalidModelName, ModelName};

/// Most models of a server. Each has a queue of its own in RabbitMQ.
const MOST_MODELS: usize = 32;

/// Published models and recipes: the name, the stems, the work relative to `htdemucs`, the licence of the weights.
const KNOWN: [(&str, &str, Option<f64>, &str); 12] = [
    ("htdemucs", "drums+bass+other+vocals", Some(1.0), "research only"),
    ("htdemucs_ft", "drums+bass+other+vocals", Some(4.0), "research only"),
    ("htdemucs_6s", "drums+bass+other+vocals+guitar+piano", None, "research only"),
    ("scnet", "drums+bass+other+vocals", Some(2.6), "MIT"),
    ("scnet-large", "drums+bass+other+vocals", Some(15.0), "MIT"),
    ("scnet-xl-ihf", "drums+bass+other+vocals", Some(33.2), "not stated"),
    ("mel-roformer-kim", "vocals+other", Some(13.6), "MIT"),
    ("mel-roformer-karaoke", "lead-vocals+rest", Some(27.2), "not stated"),
    ("bs-roformer-anvuew", "vocals+other", Some(37.0), "GPL-3.0"),
    ("bs-roformer-viperx-1297", "vocals+instrumental", Some(38.0), "not stated"),
    ("best", "drums+bass+other+vocals", Some(28.5), "MIT"),
    ("fast", "drums+bass+other+vocals", Some(0.7), "MIT"),
];

/// A model that songs can be split with.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelInfo {
    /// The name.
    pub name: ModelName,
    /// Its stems, in their order.
    pub stems: Vec<Stem>,
    /// The work per second of a song, relative to `htdemucs`, if known.
    pub relative_cost: Option<f64>,
    /// The licence of its weights, if known.
    pub licence: Option<&'static str>,
}

impl FromStr for ModelInfo {
    type Err = InvalidModels;

    /// Parses `NAME` of a known model, or `NAME:STEM+STEM` of any.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, stems) = match text.split_once(':') {
            Some((name, stems)) => (name, Some(stems)),
            None => (text, None),
        };
        let known = KNOWN.iter().find(|(known, ..)| *known == name);
        let Some(stems) = stems.or(known.map(|(_, stems, ..)| *stems)) else {
            return Err(InvalidModels::Unknown { name: name.chars().take(64).collect() });
        };
        let mut stems = stems.split('+').map(str::parse).collect::<Result<Vec<Stem>, InvalidStem>>()?;
        stems.sort_unstable();
        stems.dedup();
        let (relative_cost, licence) = (known.and_then(|known| known.2), known.map(|known| known.3));
        Ok(Self { name: name.parse()?, stems, relative_cost, licence })
    }
}

/// The models that an operator allows; the first is the default. Without a setting that is `htdemucs`.
///
/// ```
/// use vocalizer_core::models::Models;
///
/// let models: Models = "htdemucs,best,mine:vocals+instrumental".parse()?;
/// assert_eq!(models.default_model().name.as_str(), "htdemucs");
/// assert_eq!(models.all().len(), 3);
/// assert!("htdemucs,mine".parse::<Models>().is_err());
/// # Ok::<(), vocalizer_core::models::InvalidModels>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Models {
    default: ModelInfo,
    others: Vec<ModelInfo>,
}

impl Models {
    /// Allows one model.
    #[must_use]
    pub const fn only(default: ModelInfo) -> Self {
        Self { default, others: Vec::new() }
    }

    /// Returns the model of songs whose upload names none.
    #[must_use]
    pub const fn default_model(&self) -> &ModelInfo {
        &self.default
    }

    /// Returns all models, the default first.
    #[must_use]
    pub fn all(&self) -> Vec<&ModelInfo> {
        std::iter::once(&self.default).chain(&self.others).collect()
    }

    /// Returns a model by its name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&ModelInfo> {
        self.all().into_iter().find(|model| model.name.as_str() == name)
    }

    /// Returns the names, the default first.
    #[must_use]
    pub fn names(&self) -> Vec<ModelName> {
        self.all().into_iter().map(|model| model.name).collect()
    }
}

impl Default for Models {
    fn default() -> Self {
        // A literal of this module; a test parses it.
        let (name, stems) = ("htdemucs".parse(), Stem::FOUR.to_vec());
        let name = name.unwrap_or_else(|InvalidModelName| unreachable!("the name is valid"));
        let (_, _, relative_cost, licence) = KNOWN[0];
        Self::only(ModelInfo { name, stems, relative_cost, licence: Some(licence) })
    }
}

impl FromStr for Models {
    type Err = InvalidModels;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut models = text.split(',').map(|one| one.trim().parse()).collect::<Result<Vec<ModelInfo>, _>>()?;
        if models.len() > MOST_MODELS {
            return Err(InvalidModels::TooMany);
        }
        let default = models.remove(0);
        let mut names = vec![default.name];
        for model in &models {
            if names.contains(&model.name) {
                return Err(InvalidModels::Twice { name: model.name });
            }
            names.push(model.name);
        }
        Ok(Self { default, others: models })
    }
}

/// An invalid list of models.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidModels {
    /// A name is invalid.
    #[error(transparent)]
    Name(#[from] InvalidModelName),
    /// A stem is invalid.
    #[error(transparent)]
    Stem(#[from] InvalidStem),
    /// The stems of a model are not known.
    #[error("the stems of {name:?} are not known; give them, as in {name}:vocals+instrumental")]
    Unknown {
        /// The model.
        name: String,
    },
    /// A model occurs twice.
    #[error("{name} occurs twice")]
    Twice {
        /// The model.
        name: ModelName,
    },
    /// There are too many.
    #[error("too many models: at most {MOST_MODELS} are allowed")]
    TooMany,
}

/// Returns the key under which the results of a further model for a song are stored. It has the form of a hash, so
/// everything that is kept per hash is kept per model too; see decision 68. The results of a hash's first model have the
/// hash itself, as those of original workers.
#[must_use]
pub fn result_key(hash: &SongHash, model: &ModelName) -> SongHash {
    SongHash::of(format!("vocalizer results {hash} {model}").as_bytes())
}

/// What a worker can do, as it tells when it asks for a job.
///
/// ```
/// use vocalizer_core::models::Capabilities;
/// use vocalizer_core::ports::{Job, JobPayload};
/// use vocalizer_core::song::SongHash;
///
/// let job = Job::new(SongHash::of(b"a song"), JobPayload::Stored);
/// let best = Job::new(SongHash::of(b"a song"), JobPayload::Stored).with_model("best".parse()?, SongHash::of(b"key"));
/// // Original workers take the jobs of the default model.
/// assert!(job.fits(&Capabilities::default()) && !best.fits(&Capabilities::default()));
/// assert!(best.fits(&Capabilities::of(vec!["best".parse()?])));
/// # Ok::<(), vocalizer_core::models::InvalidModelName>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    models: Option<Vec<ModelName>>,
}

impl Capabilities {
    /// Returns those of a worker with these models.
    #[must_use]
    pub const fn of(models: Vec<ModelName>) -> Self {
        Self { models: Some(models) }
    }

    /// Returns the names of the models; `None` for a worker that names none and takes the jobs of the default model.
    #[must_use]
    pub fn models(&self) -> Option<&[ModelName]> {
        self.models.as_deref()
    }

    /// Returns whether the worker takes a job with this model, and whether that is the default one. A job without a model is of a
    /// queue or a backend that knows none, and everyone takes it.
    #[must_use]
    pub fn take(&self, model: Option<ModelName>, is_default: bool) -> bool {
        match (&self.models, model) {
            (_, None) => true,
            (None, Some(_)) => is_default,
            (Some(models), Some(model)) => models.contains(&model),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_models_parse_and_the_default_is_the_first() {
        for (name, ..) in KNOWN {
            assert_eq!(name.parse::<ModelInfo>().unwrap().name.as_str(), name);
        }
        assert_eq!(Models::default(), "htdemucs".parse().unwrap());
    }

    #[test]
    fn errors_of_a_list_name_the_model() {
        for (list, part) in [
            ("htdemucs,best,htdemucs", "htdemucs occurs twice"),
            ("htdemucs,mine", "mine:vocals+instrumental"),
            ("", "not known"),
            ("a b:vocals", "invalid model name"),
            ("mine:Vocals", "invalid stem name"),
        ] {
            let error = list.parse::<Models>().unwrap_err().to_string();
            assert!(error.contains(part), "{list:?}: {error}");
        }
    }

    #[test]
    fn keys_differ_by_hash_and_model() {
        let (a, b) = (SongHash::of(b"a"), SongHash::of(b"b"));
        let (best, fast) = ("best".parse().unwrap(), "fast".parse().unwrap());
        let keys = [result_key(&a, &best), result_key(&a, &fast), result_key(&b, &best), a];
        assert!((0..keys.len()).all(|i| !keys[..i].contains(&keys[i])));
    }
}
