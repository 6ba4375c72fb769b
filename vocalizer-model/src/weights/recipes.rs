//! The recipes: models that are made of other models.

use super::spec::HTDEMUCS_GFLOP_PER_S;

/// A model that is made of other models.
///
/// Its steps run one after the other, each over the whole song. The models of the first step get the song, those of a later
/// step what the earlier steps leave of it: the song minus their stems.
///
/// `Model::from_recipe` loads one, also one of your own:
///
/// ```
/// use vocalizer_model::weights::{Mean, Recipe, RecipeStep};
///
/// let karaoke = Recipe {
///     name: "karaoke",
///     summary: "vocals by two models",
///     steps: &[RecipeStep {
///         models: &["mel-roformer-kim", "my-import"],
///         mean: Mean::Spectrum,
///         stems: &["vocals"],
///         overlap: None,
///         gflop_per_s: 1_600.0,
///     }],
///     rest: Some("instrumental"),
/// };
/// assert_eq!(karaoke.stems(), ["vocals", "instrumental"]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recipe {
    /// Name of the model.
    pub name: &'static str,
    /// One-line description.
    pub summary: &'static str,
    /// The steps, in order.
    pub steps: &'static [RecipeStep],
    /// A stem that is what the stems of all steps leave of the song. With it, the stems add up to the song.
    pub rest: Option<&'static str>,
}

/// One pass of a [`Recipe`] over the song.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RecipeStep {
    /// Names of the models, published or imported. Each has all stems of the step.
    pub models: &'static [&'static str],
    /// How the stems of several models become one.
    pub mean: Mean,
    /// The stems that the step gives.
    pub stems: &'static [&'static str],
    /// Overlap of segments unless the user asks for another, as in `SeparationOptions`. `None` is each model's own.
    pub overlap: Option<f64>,
    /// Cost of all models of the step, in 10⁹ floating point operations for each second of the song. Progress counts the steps
    /// by it.
    pub gflop_per_s: f64,
}

/// The mean of a stem over several models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mean {
    /// Of the waveforms.
    Waveform,
    /// Of the magnitudes of the spectra, with the phase of their sum. Where the models agree on a sound but not on its phase, it
    /// keeps its level, while the mean of the waveforms cancels it in part.
    Spectrum,
}

impl Recipe {
    /// Returns the names of the models, each once, in the order of the steps: those whose weights and licences it needs.
    pub fn models(&self) -> Vec<&'static str> {
        let mut models = Vec::new();
        for &model in self.steps.iter().flat_map(|step| step.models) {
            if !models.contains(&model) {
                models.push(model);
            }
        }
        models
    }

    /// Returns the stems: those of the steps, then the rest.
    pub fn stems(&self) -> Vec<&'static str> {
        self.steps.iter().flat_map(|step| step.stems).copied().chain(self.rest).collect()
    }

    /// Returns the cost of all steps, in 10⁹ floating point operations for each second of the song.
    pub fn gflop_per_s(&self) -> f64 {
        self.steps.iter().map(|step| step.gflop_per_s).sum()
    }

    /// Returns the cost of all steps relative to `htdemucs`, each with its default overlap.
    pub fn relative_cost(&self) -> f64 {
        self.gflop_per_s() / HTDEMUCS_GFLOP_PER_S
    }
}

/// All recipes. Decision 60 in `docs/decisions` has the reasons.
pub static RECIPES: &[Recipe] = &[
    Recipe {
        name: "best",
        summary: "four stems, the best that models under permissive licences give: vocals by mel-roformer-kim, drums and bass \
                  by scnet-large from what they leave, other is the rest",
        steps: &[
            RecipeStep {
                models: &["mel-roformer-kim"],
                mean: Mean::Waveform,
                stems: &["vocals"],
                overlap: None,
                gflop_per_s: 776.8,
            },
            RecipeStep {
                models: &["scnet-large"],
                mean: Mean::Waveform,
                stems: &["drums", "bass"],
                overlap: None,
                gflop_per_s: 855.2,
            },
        ],
        rest: Some("other"),
    },
    Recipe {
        name: "fast",
        summary: "four stems by scnet with little overlap: the least work",
        steps: &[RecipeStep {
            models: &["scnet"],
            mean: Mean::Waveform,
            stems: &["drums", "bass", "other", "vocals"],
            overlap: Some(0.1),
            gflop_per_s: 41.1,
        }],
        rest: None,
    },
];

/// Returns the recipe with this name, if there is one.
pub fn recipe(name: &str) -> Option<&'static Recipe> {
    RECIPES.iter().find(|recipe| recipe.name == name)
}
