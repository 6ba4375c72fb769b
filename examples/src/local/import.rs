//! `vocalizer models import`.

use indicatif::HumanBytes;
use serde_json::{Map, Value, json};
use vocalizer_core::causes::chain;
#[cfg(feature = "separate")]
use vocalizer_model::check_network;
use vocalizer_model::weights::{Cache, Import, ImportPrecision, Imported, WeightsError, read_toolkit_config};

use super::args::{ModelsImport, StoredPrecision};
use crate::exit::Exit;
use crate::paths::{put, shown};
use crate::voice::Voice;

/// A program without the networks leaves the check of the tensors to the program that loads the model.
#[cfg(not(feature = "separate"))]
fn check_network(
    _: vocalizer_model::weights::Family,
    _: &Value,
    _: &dyn vocalizer_model::weights::Tensors,
) -> Result<(), WeightsError> {
    Ok(())
}

pub(crate) fn run(args: &ModelsImport) -> Exit {
    let voice = Voice::choose(args.json);
    match import(args) {
        Ok(model) => {
            let stems = model.stems.join(", ");
            let Imported { name, family, bytes, path, .. } = &model;
            let line = format!("imported {name}: {family}, {}, {stems}", HumanBytes(*bytes));
            let mut event = Map::from_iter([
                ("event".to_owned(), Value::from("imported")),
                ("name".to_owned(), name.as_str().into()),
                ("family".to_owned(), family.name().into()),
                ("stems".to_owned(), json!(model.stems)),
                ("licence".to_owned(), json!(model.licence)),
                ("bytes".to_owned(), (*bytes).into()),
                ("source_sha256".to_owned(), model.source_sha256.as_str().into()),
            ]);
            put(&mut event, "path", path);
            voice.say(&event.into(), &line);
            Exit::Done
        }
        Err((message, exit)) => {
            voice.input_error(Some(&args.checkpoint), &message);
            exit
        }
    }
}

fn import(args: &ModelsImport) -> Result<Imported, (String, Exit)> {
    let mut import = Import::new(&args.checkpoint, &args.name);
    if let Some(file) = &args.config {
        let config = read_toolkit_config(file);
        import.config = Some(config.map_err(|e| (format!("{}: {}", shown(file), chain(&e)), Exit::Weights))?);
    }
    import.licence = args.licence.as_deref();
    import.overwrite = args.overwrite;
    import.precision = match args.precision {
        Some(StoredPrecision::F16) => ImportPrecision::Half,
        None => ImportPrecision::Exact,
    };
    let imported = Cache::locate().and_then(|cache| cache.import(&import, &check_network));
    imported.map_err(|e| match e {
        WeightsError::InvalidName { .. } | WeightsError::NameTaken(_) => (chain(&e), Exit::Usage),
        WeightsError::ImportRunning(_) => (chain(&e), Exit::Failed),
        WeightsError::MissingConfig => {
            (format!("{}: {}; name it with --config", shown(&args.checkpoint), chain(&e)), Exit::Usage)
        }
        e => (format!("{}: {}", shown(&args.checkpoint), chain(&e)), Exit::Weights),
    })
}
