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
    /// The stems, in the order of the networks' outputs, loaded or not.
    pub(crate) outputs: Vec<Stem>,
    /// The longest segment, in frames.
    pub(crate) segment_frames: usize,
}

impl Bag {
    /// # Errors
    ///
    /// [`WeightsError::Malformed`] if the networks have different stems.
    pub(crate) fn new(name: &'static str, first: usize, files: &[NetworkFile]) -> Result<Self, WeightsError> {
        let outputs = files.first().map(|file| file.member.config.sources().to_vec()).unwrap_or_default();
        let agree = files.iter().all(|f| f.member.config.sources() == outputs && f.member.mix.len() == outputs.len());
        if outputs.is_empty() || !agree {
            return Err(WeightsError::Malformed("the members of the model have different stems".into()));
        }
        let segment_frames = files.iter().map(|file| file.member.config.segment_frames()).min().unwrap_or_default();
        Ok(Self { name, members: first..first + files.len(), outputs, segment_frames })
    }
}

/// One pass over the song.
#[derive(Clone)]
pub(crate) struct Step {
    /// Names of its models in the recipe.
    models: &'static [&'static str],
    /// Positions of these in the bags of the model.
    pub(crate) bags: Vec<usize>,
    pub(crate) mean: Mean,
    pub(crate) stems: Vec<Stem>,
    /// Overlap of segments by default; `None` is the one of each network.
    pub(crate) overlap: Option<f64>,
    /// Share of the work, in any unit.
    pub(crate) cost: f64,
}

impl Step {
    fn of(step: &RecipeStep) -> Result<Self, String> {
        if step.stems.is_empty() || step.models.is_empty() {
            return Err("a step of it has no stems or no models".to_owned());
        }
        if !(step.gflop_per_s.is_finite() && step.gflop_per_s > 0.0) {
            return Err(format!("a step of it costs {} GFLOP per second; use more than 0", step.gflop_per_s));
        }
        let stems = step.stems.iter().map(|&name| stem(name)).collect::<Result<_, _>>()?;
        let &RecipeStep { models, mean, overlap, gflop_per_s: cost, .. } = step;
        Ok(Self { models, bags: Vec::new(), mean, stems, overlap, cost })
    }
}

/// What a model does with a song.
pub(crate) struct Steps {
    recipe: &'static str,
    pub(crate) steps: Vec<Step>,
    /// The stem that the others leave of the song.
    pub(crate) rest: Option<Stem>,
    /// The stems that can be separated, in the order in which they are given out.
    pub(crate) sources: Vec<Stem>,
    /// The same, with those for which the model was not loaded.
    pub(crate) all: Vec<Stem>,
}

impl Steps {
    /// Returns the step of a plain model that is loaded for these stems; none means all.
    ///
    /// # Errors
    ///
    /// [`Error::Options`] if it lacks one of them.
    pub(crate) fn plain(bag: &Bag, wanted: &[Stem]) -> Result<Self, Error> {
        let sources = loaded(&bag.outputs, wanted)?;
        let stems = sources.clone();
        let step = Step { models: &[], bags: vec![0], mean: Mean::Waveform, stems, overlap: None, cost: 1.0 };
        Ok(Self { recipe: "", steps: vec![step], rest: None, sources, all: bag.outputs.clone() })
    }

    /// Returns those steps of a recipe that these stems need; none means all. [`Self::link`] completes them.
    ///
    /// # Errors
    ///
    /// [`Error::Weights`] if two steps give the same stem, or a step is wrong in itself; [`Error::Options`] if it lacks a wanted
    /// stem.
    pub(crate) fn of(recipe: &Recipe, wanted: &[Stem]) -> Result<Self, Error> {
        let read = || {
            let steps = recipe.steps.iter().map(Step::of).collect::<Result<Vec<_>, _>>()?;
            let rest = recipe.rest.map(stem).transpose()?;
            let mut all: Vec<_> = steps.iter().flat_map(|step| &step.stems).copied().chain(rest).collect();
            all.sort_unstable();
            let twice = all.iter().zip(all.iter().skip(1)).find(|(one, next)| one == next).map(|(one, _)| *one);
            match twice {
                Some(twice) => Err(format!("it makes the stem '{twice}' twice; take it from one step")),
                None if steps.is_empty() => Err("it has no steps".to_owned()),
                None => Ok((steps, rest, all)),
            }
        };
        let refused = |why| WeightsError::Recipe { name: recipe.name.to_owned(), why };
        let (steps, rest, all) = read().map_err(refused)?;
        let sources = loaded(&all, wanted)?;
        let rest = rest.filter(|rest| sources.contains(rest));
        let needed = needed(&steps, rest, &sources).into_iter();
        let steps = needed.map(|(step, stems)| Step { stems, ..step.clone() }).collect();
        Ok(Self { recipe: recipe.name, steps, rest, sources, all })
    }

    /// Returns the names of the models, each once.
    pub(crate) fn models(&self) -> Vec<&'static str> {
        let mut models = Vec::new();
        for &model in self.steps.iter().flat_map(|step| step.models) {
            if !models.contains(&model) {
                models.push(model);
            }
        }
        models
    }

    /// Finds the models of the steps among the bags.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Recipe`] if a model lacks a stem.
    pub(crate) fn link(&mut self, bags: &[Bag]) -> Result<(), WeightsError> {
        for step in &mut self.steps {
            for name in step.models {
                let found = bags.iter().enumerate().find(|(_, bag)| bag.name == *name);
                let Some((place, bag)) = found else { continue };
                if let Some(stem) = step.stems.iter().find(|stem| !bag.outputs.contains(stem)) {
                    let why = format!("the model {name} has no stem '{stem}'; it has {}", names(&bag.outputs));
                    return Err(WeightsError::Recipe { name: self.recipe.to_owned(), why });
                }
                step.bags.push(place);
            }
        }
        Ok(())
    }

    /// Returns the stems that some step takes from a bag.
    pub(crate) fn stems_of(&self, bag: usize) -> Vec<Stem> {
        let steps = self.steps.iter().filter(|step| step.bags.contains(&bag));
        steps.flat_map(|step| &step.stems).copied().collect()
    }

    /// Returns the position of a stem among those that can be separated.
    ///
    /// # Errors
    ///
    /// [`Error::Options`], which lists the stems, if it is not among them.
    pub(crate) fn position(&self, stem: Stem) -> Result<usize, Error> {
        if self.all.contains(&stem) && !self.sources.contains(&stem) {
            let loaded = names(&self.sources);
            return Err(Error::Options(format!("this model was loaded without the stem '{stem}', only for {loaded}")));
        }
        position(&self.sources, stem)
    }

    /// Returns the steps that some of the stems need, and the stems that each must separate. A later step needs all stems of the
    /// earlier ones.
    pub(crate) fn needed(&self, wanted: &[Stem]) -> Vec<(&Step, Vec<Stem>)> {
        needed(&self.steps, self.rest, wanted)
    }
}

fn needed<'a>(steps: &'a [Step], rest: Option<Stem>, wanted: &[Stem]) -> Vec<(&'a Step, Vec<Stem>)> {
    let needs_rest = rest.is_some_and(|rest| wanted.contains(&rest));
    let is_last = |step: &Step| step.stems.iter().any(|stem| wanted.contains(stem));
    let count = if needs_rest { steps.len() } else { steps.iter().rposition(is_last).map_or(0, |last| last + 1) };
    let needed = steps.iter().take(count).enumerate().map(|(at, step)| {
        let is_needed = |stem: &&Stem| needs_rest || at + 1 < count || wanted.contains(stem);
        (step, step.stems.iter().filter(is_needed).copied().collect::<Vec<_>>())
    });
    needed.collect()
}

/// Returns the wanted stems in the order of all; none means all.
fn loaded(all: &[Stem], wanted: &[Stem]) -> Result<Vec<Stem>, Error> {
    for &stem in wanted {
        position(all, stem)?;
    }
    let is_wanted = |stem: &Stem| wanted.is_empty() || wanted.contains(stem);
    Ok(all.iter().copied().filter(is_wanted).collect())
}

/// Returns the position of a stem.
///
/// # Errors
///
/// [`Error::Options`], which lists the stems, if it is not among them.
pub(crate) fn position(stems: &[Stem], stem: Stem) -> Result<usize, Error> {
    let found = stems.iter().position(|&other| other == stem);
    found.ok_or_else(|| Error::Options(format!("this model has no stem '{stem}'; it has {}", names(stems))))
}

fn stem(name: &str) -> Result<Stem, String> {
    name.parse::<Stem>().map_err(|e| e.to_string())
}

fn names(stems: &[Stem]) -> String {
    stems.iter().map(Stem::name).collect::<Vec<_>>().join(", ")
}
