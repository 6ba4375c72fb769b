//! The steps in which a loaded model separates a song: one for a plain model, those of its recipe for another.

use std::ops::Range;

use vocalizer_core::part::Stem;

use crate::Error;
use crate::network_file::NetworkFile;
use crate::weights::{Mean, Recipe, RecipeStep, WeightsError};

/// One network, or several whose stems are weighted and summed.
pub(crate) struct Bag {
    /// Name of the model in the recipe; empty outside of recipes.
    pub(crate) name: &'static str,
    /// Positions of its networks in those of the model.
    pub(crate) members: Range<usize>,
    /// The stems, in the order of the networks' outputs.
    pub(crate) sources: Vec<Stem>,
    /// The longest segment, in frames.
    pub(crate) segment_frames: usize,
}

impl Bag {
    /// # Errors
    ///
    /// [`WeightsError::Malformed`] if the networks have different stems.
    pub(crate) fn new(name: &'static str, first: usize, files: &[NetworkFile]) -> Result<Self, WeightsError> {
        let sources = files.first().map(|file| file.member.config.sources().to_vec()).unwrap_or_default();
        let agree = files.iter().all(|f| f.member.config.sources() == sources && f.member.mix.len() == sources.len());
        if sources.is_empty() || !agree {
            return Err(WeightsError::Malformed("the members of the model have different stems".into()));
        }
        let segment_frames = files.iter().map(|file| file.member.config.segment_frames()).min().unwrap_or_default();
        Ok(Self { name, members: first..first + files.len(), sources, segment_frames })
    }
}

/// One pass over the song.
pub(crate) struct Step {
    /// Positions of its bags in those of the model.
    pub(crate) bags: Vec<usize>,
    pub(crate) mean: Mean,
    pub(crate) stems: Vec<Stem>,
    /// Overlap of segments by default; `None` is the one of each network.
    pub(crate) overlap: Option<f64>,
    /// Share of the work, in any unit.
    pub(crate) cost: f64,
}

impl Step {
    /// Returns the only step of a plain model.
    pub(crate) fn whole(bag: &Bag) -> Self {
        Self { bags: vec![0], mean: Mean::Waveform, stems: bag.sources.clone(), overlap: None, cost: 1.0 }
    }

    fn of(step: &RecipeStep, bags: &[Bag]) -> Result<Self, String> {
        let stems = step.stems.iter().map(|&name| stem(name)).collect::<Result<Vec<_>, _>>()?;
        let place = |&name: &&'static str| {
            let found = bags.iter().enumerate().find(|(_, bag)| bag.name == name);
            let (place, bag) = found.ok_or_else(|| format!("the model {name} is not loaded"))?;
            match stems.iter().find(|stem| !bag.sources.contains(stem)) {
                Some(stem) => Err(format!("the model {name} has no stem '{stem}'; it has {}", listed(&bag.sources))),
                None => Ok(place),
            }
        };
        let places = step.models.iter().map(place).collect::<Result<Vec<_>, _>>()?;
        if stems.is_empty() || places.is_empty() {
            return Err("a step of it has no stems or no models".to_owned());
        }
        if !(step.gflop_per_s.is_finite() && step.gflop_per_s > 0.0) {
            return Err(format!("a step of it costs {} GFLOP per second; use more than 0", step.gflop_per_s));
        }
        Ok(Self { bags: places, mean: step.mean, stems, overlap: step.overlap, cost: step.gflop_per_s })
    }
}

/// What a model does with a song.
pub(crate) struct Steps {
    pub(crate) steps: Vec<Step>,
    /// The stem that the others leave of the song.
    pub(crate) rest: Option<Stem>,
    /// All stems, in the order in which they are given out.
    pub(crate) sources: Vec<Stem>,
}

impl Steps {
    /// Returns those of a plain model.
    pub(crate) fn plain(bag: &Bag) -> Self {
        Self { steps: vec![Step::whole(bag)], rest: None, sources: bag.sources.clone() }
    }

    /// # Errors
    ///
    /// [`WeightsError::Recipe`] if two steps give the same stem, or a model lacks one.
    pub(crate) fn of(recipe: &Recipe, bags: &[Bag]) -> Result<Self, WeightsError> {
        let made = || {
            let steps = recipe.steps.iter().map(|step| Step::of(step, bags)).collect::<Result<Vec<_>, _>>()?;
            let rest = recipe.rest.map(stem).transpose()?;
            let mut sources: Vec<_> = steps.iter().flat_map(|step| &step.stems).copied().chain(rest).collect();
            sources.sort_unstable();
            let twice = sources.iter().zip(sources.iter().skip(1)).find(|(one, next)| one == next).map(|(one, _)| *one);
            match twice {
                Some(twice) => Err(format!("it makes the stem '{twice}' twice; take it from one step")),
                None if steps.is_empty() => Err("it has no steps".to_owned()),
                None => Ok(Self { steps, rest, sources }),
            }
        };
        made().map_err(|why| WeightsError::Recipe { name: recipe.name.to_owned(), why })
    }
}

/// Returns the position of a stem.
///
/// # Errors
///
/// [`Error::Options`], which lists the stems, if it is not among them.
pub(crate) fn position(sources: &[Stem], stem: Stem) -> Result<usize, Error> {
    sources
        .iter()
        .position(|&source| source == stem)
        .ok_or_else(|| Error::Options(format!("this model has no stem '{stem}'; it has {}", listed(sources))))
}

fn stem(name: &str) -> Result<Stem, String> {
    name.parse::<Stem>().map_err(|e| e.to_string())
}

fn listed(stems: &[Stem]) -> String {
    stems.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
