//! Loading the model for workers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use vocalizer_core::api::Provenance;
use vocalizer_core::part::StemFormats;
use vocalizer_core::ports::BoxError;
use vocalizer_model::ports::ModelSeparator;
use vocalizer_model::{ComputeOptions, Model, SplitOptions, set_threads};

use super::args::ComputeArgs;
use super::config::worker_models;
use super::error::{ConfigError, invalid};
use super::on_demand::load_on_demand;
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
    if args.choice.models.is_some() {
        return Ok(());
    }
    let Some(stems) = model::stems(&args.model) else { return Ok(()) };
    ModelSeparator::check_stems(&stems).map_err(|error| {
        let what = format!(
            "{error}. Use htdemucs or another model with these stems; `vocalizer separate -n {}` splits songs with this one",
            plain(&args.model)
        );
        invalid("--model (MODEL)", what)
    })
}

/// Returns a loader that fetches and loads the model, or several on demand.
pub(super) fn load(args: &ComputeArgs) -> Result<Load, ConfigError> {
    allocator::return_freed_memory();
    let loader = Loader {
        compute: args.options(),
        threads: args.threads,
        accept_licence: args.accept_licence,
        formats: args.stems,
        has_24_bits: args.stem_bits == "24",
    };
    let most = usize::from(args.choice.models_in_memory);
    Ok(match worker_models(&args.choice)? {
        Some(names) => load_on_demand(&names, most, move |name, work| loader.load(name.as_str(), true, work)),
        None => {
            let name = args.model.clone();
            Box::new(move |work| loader.load(&name, false, work))
        }
    })
}

/// How to load models.
struct Loader {
    compute: ComputeOptions,
    threads: Option<u16>,
    accept_licence: bool,
    formats: StemFormats,
    has_24_bits: bool,
}

impl Loader {
    /// Fetches and loads a model by name or from a weights file. It delivers all its stems, or the four of the original.
    fn load(&self, name: &str, all_stems: bool, work: PathBuf) -> Result<Loaded, BoxError> {
        if let Some(threads) = self.threads {
            // Only before the first model.
            if let Err(error) = set_threads(threads.into()) {
                tracing::debug!(%error, "the number of threads is set already");
            }
        }
        if self.accept_licence {
            model::accept_licence(name)?;
        }
        let model = model::load(name, &self.compute, Voice::choose(false))?;
        model.remarks().iter().for_each(|remark| tracing::info!("{remark}"));
        let (device, precision) = (model.device().to_owned(), model.precision().to_string());
        let provenance = provenance(name, &model);
        let (model, options) = (Arc::new(model), SplitOptions::default());
        let separator = match all_stems {
            true => ModelSeparator::with_all_stems(model, options, work)?,
            false => ModelSeparator::new(model, options, work)?,
        };
        let mut separator = separator.with_formats(self.formats, self.has_24_bits);
        if let Some(provenance) = provenance {
            separator = separator.with_provenance(provenance);
        }
        let device_failure = Box::pin(separator.device_failure());
        Ok(Loaded { separator: Arc::new(separator), device, precision, device_failure })
    }
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
