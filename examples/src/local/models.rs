//! `vocalizer models`.

mod entry;
mod show;
mod table;

use vocalizer_core::causes::chain;
use vocalizer_model::weights::{self, Cache, MODELS, RECIPES, Terms, WeightsError};

use self::entry::Entry;
use super::args::{Models, ModelsCommand, ModelsList};
use super::import;
use crate::exit::Exit;
use crate::model;
use crate::output::outln;
use crate::voice::Voice;

pub(crate) fn run(args: &Models) -> Exit {
    let (voice, done) = match &args.command {
        None => list(&args.list),
        Some(ModelsCommand::List(args)) => list(args),
        Some(ModelsCommand::Show { name, json }) => (Voice::choose(*json), show(name, *json)),
        Some(ModelsCommand::Fetch { name, accept_licence }) => {
            let voice = Voice::choose(false);
            (voice, fetch(name, *accept_licence, voice))
        }
        Some(ModelsCommand::Path { name }) => (Voice::choose(false), path(name)),
        Some(ModelsCommand::Import(args)) => return import::run(args),
    };
    match done {
        Ok(()) => Exit::Done,
        Err(e) => {
            voice.input_error(None, &chain(&e));
            if matches!(e, WeightsError::UnknownModel { .. }) { Exit::Usage } else { Exit::Weights }
        }
    }
}

/// Returns all models: the published ones in the registry's order, the recipes, then the imported ones.
fn entries(cache: &Cache) -> Result<Vec<Entry>, WeightsError> {
    let published = MODELS.iter().map(|spec| Entry::published(spec, cache));
    let recipes = RECIPES.iter().map(|recipe| Entry::recipe(recipe, cache));
    let imported = cache.imported()?;
    Ok(published
        .chain(recipes)
        .chain(imported.iter().map(|(name, found)| Entry::imported(name, found.as_ref())))
        .collect())
}

fn list(args: &ModelsList) -> (Voice, Result<(), WeightsError>) {
    let printed = Cache::locate().and_then(|cache| entries(&cache)).map(|mut entries| {
        if let Some(terms) = args.licence {
            let terms = Terms::from(terms);
            entries.retain(|entry| entry.terms == Some(terms));
        }
        match args.json {
            true => entries.iter().for_each(|entry| outln!("{}", entry.json)),
            false => table::print(&entries),
        }
    });
    (Voice::choose(args.json), printed)
}

fn show(name: &str, json: bool) -> Result<(), WeightsError> {
    let cache = Cache::locate()?;
    let Some(entry) = entries(&cache)?.into_iter().find(|entry| entry.name == name) else {
        return weights::find(name).map(|_| ());
    };
    match json {
        true => outln!("{}", entry.json),
        false => show::print(&entry),
    }
    Ok(())
}

fn fetch(name: &str, accept_licence: bool, voice: Voice) -> Result<(), WeightsError> {
    if accept_licence {
        model::accept_licence(name)?;
    }
    model::fetch_parts(name, voice)
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
