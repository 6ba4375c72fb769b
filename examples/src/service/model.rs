//! Loading the model for workers.

use std::path::Path;
use std::sync::Arc;

use vocalizer_core::api::Provenance;
use vocalizer_model::ports::ModelSeparator;
use vocalizer_model::{Model, SplitOptions, set_threads};

use super::args::ComputeArgs;
use super::error::{ConfigError, invalid};
use super::workers::{Load, Loaded};
use crate::paths::plain;
use crate::voice::Voice;
use crate::{allocator, model};

/// Checks that the model separates the stems that the service stores. If they are not known before the model is loaded, loading it checks
/// them.
///
/// # Errors
///
/// Names the stems that are missing, and what to do.
pub(super) fn check(args: &ComputeArgs) -> Result<(), ConfigError> {
    let Some(stems) = model::stems(&args.model) else { return Ok(()) };
    ModelSeparator::check_stems(&stems).map_err(|error| {
        let what = format!(
            "{error}. Use htdemucs or another model with these stems; `vocalizer separate -n {}` splits songs with this one",
            plain(&args.model)
        );
        invalid("--model (MODEL)", what)
    })
}

/// Returns a loader that fetches and loads a model by name or from a weights file.
pub(super) fn load(args: &ComputeArgs) -> Load {
    allocator::return_freed_memory();
    let (name, accept_licence) = (args.model.clone(), args.accept_licence);
    let (threads, compute) = (args.threads, args.options());
    let (formats, has_24_bits) = (args.stems, args.stem_bits == "24");
    Box::new(move |work| {
        if let Some(threads) = threads {
            set_threads(threads.into())?;
        }
        if accept_licence {
            model::accept_licence(&name)?;
        }
        let model = model::load(&name, &compute, Voice::choose(false))?;
        model.remarks().iter().for_each(|remark| tracing::info!("{remark}"));
        let (device, precision) = (model.device().to_owned(), model.precision().to_string());
        let provenance = provenance(&name, &model);
        let separator = ModelSeparator::new(Arc::new(model), SplitOptions::default(), work)?;
        let mut separator = separator.with_formats(formats, has_24_bits);
        if let Some(provenance) = provenance {
            separator = separator.with_provenance(provenance);
        }
        let device_failure = Box::pin(separator.device_failure());
        Ok(Loaded { separator: Arc::new(separator), device, precision, device_failure })
    })
}

/// Returns the provenance of the stems; `None` if a server would refuse it, as for a file with a very long name.
fn provenance(name: &str, model: &Model) -> Option<Provenance> {
    // Of a file only the name: users see it, and its folder is private.
    let name = Path::new(name).file_name()?.to_str()?;
    let mut provenance = Provenance::new(name);
    provenance.weights = Some(model.weights_digest().to_owned());
    provenance.device = Some(model.device().to_owned());
    provenance.precision = Some(model.precision().to_string());
    provenance.program = Some(concat!("vocalizer ", env!("CARGO_PKG_VERSION")).to_owned());
    provenance.check().is_ok().then_some(provenance)
}
