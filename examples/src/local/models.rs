//! `vocalizer models`.

use indicatif::HumanBytes;
use vocalizer_core::causes::chain;
use vocalizer_model::weights::{self, Cache, MODELS, WeightsError};

use super::args::{Models, ModelsCommand};
use crate::exit::Exit;
use crate::model;
use crate::output::outln;
use crate::voice::Voice;

pub(crate) fn run(args: &Models) -> Exit {
    let voice = Voice::choose(false);
    let done = match args.command.as_ref().unwrap_or(&ModelsCommand::List) {
        ModelsCommand::List => list(),
        ModelsCommand::Fetch { name } => model::fetch(name, voice).map(|_| ()),
        ModelsCommand::Path { name } => path(name),
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
    for spec in MODELS {
        let here = cache.has(spec);
        let stems = spec.sources.join(", ");
        let state = if here { "fetched" } else { "not fetched" };
        outln!("{:<12} {:>10}  {:<11}  {stems}", spec.name, HumanBytes(spec.total_bytes()).to_string(), state);
    }
    outln!("\nlicence: {}", MODELS.first().map_or("", |spec| spec.licence));
    Ok(())
}

fn path(name: &str) -> Result<(), WeightsError> {
    let spec = weights::find(name)?;
    let cache = Cache::locate()?;
    for member in spec.members {
        outln!("{}", cache.member_path(member).display());
    }
    Ok(())
}
