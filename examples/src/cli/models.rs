//! `vocalizer models`, and loading the model for `separate`.

use std::path::Path;

use indicatif::HumanBytes;
use vocalizer_core::causes::chain;
use vocalizer_model::weights::{self, Cache, MODELS, ModelSpec, WeightsError};
use vocalizer_model::{ComputeOptions, Error, Model, interfaces};

use super::args::ModelsCommand;
use super::exit::Exit;
use super::report::{FetchReport, Voice};

pub(super) fn run(command: Option<ModelsCommand>) -> Exit {
    let voice = Voice::choose(false);
    let done = match command.unwrap_or(ModelsCommand::List) {
        ModelsCommand::List => list(),
        ModelsCommand::Fetch { name } => fetch(&name, voice).map(|_| ()),
        ModelsCommand::Path { name } => path(&name),
    };
    match done {
        Ok(()) => Exit::Done,
        Err(e) => {
            voice.error(None, &chain(&e));
            if matches!(e, WeightsError::UnknownModel { .. }) { Exit::Usage } else { Exit::Weights }
        }
    }
}

/// Loads a model by name or from a file; fetches its weights if needed, with progress on standard error.
///
/// # Errors
///
/// Same as [`Model::named_with`] and [`Model::from_file`].
pub fn load_model(model: &str, compute: &ComputeOptions) -> Result<Model, Error> {
    load(model, compute, Voice::choose(false))
}

/// Loads a model by name or from a file, and reports the chosen device if this build supports GPUs.
pub(super) fn load_and_say(model: &str, compute: &ComputeOptions, voice: Voice) -> Result<Model, Error> {
    let model = load(model, compute, voice)?;
    if !interfaces().is_empty() {
        model.remarks().iter().for_each(|remark| voice.note(remark));
    }
    Ok(model)
}

fn load(model: &str, compute: &ComputeOptions, voice: Voice) -> Result<Model, Error> {
    // A registered name takes precedence over a file of that name.
    if MODELS.iter().all(|spec| spec.name != model) && (model.ends_with(".safetensors") || Path::new(model).exists()) {
        return Model::from_file(Path::new(model), compute);
    }
    let (spec, cache) = fetch(model, voice)?;
    Model::cached(spec, &cache, compute)
}

fn fetch(name: &str, voice: Voice) -> Result<(&'static ModelSpec, Cache), WeightsError> {
    let spec = weights::find(name)?;
    let cache = Cache::locate()?;
    if !cache.has(spec) {
        let size = HumanBytes(spec.total_bytes());
        voice.note(&format!("the weights of {name} ({size}) have not been fetched yet; licence: {}", spec.licence));
    }
    weights::fetch(spec, &cache, &mut FetchReport::new(voice))?;
    Ok((spec, cache))
}

fn list() -> Result<(), WeightsError> {
    let cache = Cache::locate()?;
    for spec in MODELS {
        let here = cache.has(spec);
        let stems = spec.sources.join(", ");
        let state = if here { "fetched" } else { "not fetched" };
        println!("{:<12} {:>10}  {:<11}  {stems}", spec.name, HumanBytes(spec.total_bytes()).to_string(), state);
    }
    println!("\nlicence: {}", MODELS.first().map_or("", |spec| spec.licence));
    Ok(())
}

fn path(name: &str) -> Result<(), WeightsError> {
    let spec = weights::find(name)?;
    let cache = Cache::locate()?;
    for member in spec.members {
        println!("{}", cache.member_path(member).display());
    }
    Ok(())
}
