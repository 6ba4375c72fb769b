//! Loading the model for workers.

use std::sync::Arc;

use vocalizer_model::ports::ModelSeparator;
use vocalizer_model::{ComputeOptions, SplitOptions, set_threads};

use super::workers::{Load, Loaded};
use crate::{allocator, cli};

/// Returns a loader that fetches and loads a model by name or from a weights file.
pub(super) fn load(model: &str, compute: ComputeOptions, threads: Option<u16>) -> Load {
    allocator::return_freed_memory();
    let model = model.to_owned();
    Box::new(move |work| {
        if let Some(threads) = threads {
            set_threads(threads.into())?;
        }
        let model = cli::load_model(&model, &compute)?;
        model.remarks().iter().for_each(|remark| tracing::info!("{remark}"));
        let device = model.device().to_owned();
        let separator = ModelSeparator::new(Arc::new(model), SplitOptions::default(), work)?;
        let device_failure = Box::pin(separator.device_failure());
        Ok(Loaded { separator: Arc::new(separator), device, device_failure })
    })
}
