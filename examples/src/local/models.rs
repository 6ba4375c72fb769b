//! `vocalizer models`.

use indicatif::HumanBytes;
use vocalizer_core::causes::chain;
use vocalizer_model::weights::{self, Cache, MODELS, RECIPES, WeightsError};

use super::args::{Models, ModelsCommand};
use super::import;
use crate::exit::Exit;
use crate::model;
use crate::output::outln;
use crate::paths::plain;
use crate::voice::Voice;

pub(crate) fn run(args: &Models) -> Exit {
    let voice = Voice::choose(false);
    let done = match args.command.as_ref().unwrap_or(&ModelsCommand::List) {
        ModelsCommand::List => list(),
        ModelsCommand::Fetch { name } => model::fetch_parts(name, voice),
        ModelsCommand::Path { name } => path(name),
        ModelsCommand::Import(args) => return import::run(args),
    };
    match done {
        Ok(()) => Exit::Done,
        Err(e) => {
            voice.input_error(None, &chain(&e));
            if matches!(e, WeightsError::UnknownModel { .. }) { Exit::Usage } else { Exit::Weights }
        }
    }
}

fn list() -> Result<(), WeightsError> {
    let cache = Cache::locate()?;
    let imported = cache.imported()?;
    let names = MODELS.iter().map(|spec| spec.name).chain(imported.iter().map(|(name, _)| name.as_str()));
    let width = names.map(str::len).max().unwrap_or_default();
    for spec in MODELS {
        let here = cache.has(spec);
        let stems = spec.sources.join(", ");
        let state = if here { "fetched" } else { "not fetched" };
        outln!("{:<width$} {:>10}  {:<11}  {stems}", spec.name, HumanBytes(spec.total_bytes()).to_string(), state);
    }
    for recipe in RECIPES {
        let models = recipe.models();
        let specs: Vec<_> = models.iter().filter_map(|name| weights::find(name).ok()).collect();
        let bytes: u64 = specs.iter().map(|spec| spec.total_bytes()).sum();
        let state = if specs.iter().all(|spec| cache.has(spec)) { "fetched" } else { "not fetched" };
        let (size, stems, models) = (HumanBytes(bytes).to_string(), recipe.stems().join(", "), models.join(", "));
        outln!("{:<width$} {size:>10}  {state:<11}  {stems}; made of {models}", recipe.name);
    }
    for (name, found) in &imported {
        match found {
            Ok(model) => {
                let size = HumanBytes(model.bytes).to_string();
                let licence = plain(model.licence.as_deref().unwrap_or("not stated"));
                let stems = model.stems.join(", ");
                outln!("{name:<width$} {size:>10}  {:<11}  {stems}; {}; licence: {licence}", "imported", model.family);
            }
            Err(e) => outln!("{name:<width$} {:>10}  {:<11}  the file {}; import it again", "", "unusable", chain(e)),
        }
    }
    outln!("\nlicence of the published models: {}", MODELS.first().map_or("", |spec| spec.licence));
    Ok(())
}

fn path(name: &str) -> Result<(), WeightsError> {
    let cache = Cache::locate()?;
    if let Ok(path) = cache.import_path(name)
        && path.exists()
    {
        outln!("{}", path.display());
        return Ok(());
    }
    for part in model::parts(name) {
        for member in weights::find(part)?.members {
            outln!("{}", cache.member_path(member).display());
        }
    }
    Ok(())
}
