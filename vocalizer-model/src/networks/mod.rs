//! The families of networks. Each reads its configuration, loads its parameters and separates segments; devices, songs, stems
//! and files are the same for all.

#[cfg(test)]
mod configurations;
#[cfg(test)]
mod golden;
mod htdemucs;
mod loader;
mod network;
mod roformer;
mod scnet;
mod spectral;
#[cfg(test)]
mod tests;
mod toolkit;
mod watcher;

use serde_json::Value;

pub(crate) use network::{Chunking, Format, Level, Network, NetworkConfig, Outputs, Segment};
use roformer::RoformerConfig;
use scnet::ScnetConfig;
use spectral::Configured;
pub(crate) use watcher::Watcher;

use crate::weights::WeightsFile;
use crate::weights::{Family, Tensors, WeightsError, check_layout, layout};

/// Reads the configuration of a weights file.
///
/// # Errors
///
/// [`WeightsError::Malformed`] or [`WeightsError::Unsupported`] if it does not describe a network that this crate can run.
pub(crate) fn config(file: &WeightsFile) -> Result<Box<dyn NetworkConfig>, WeightsError> {
    let config = Value::Object(file.config().clone());
    Ok(match file.family() {
        Family::Htdemucs => Box::new(htdemucs::HtdemucsConfig::from_kwargs(file.config())?),
        Family::Scnet => Box::new(Configured::new(ScnetConfig::from_json(&config)?)?),
        family @ (Family::BsRoformer | Family::MelBandRoformer) => {
            Box::new(Configured::new(RoformerConfig::from_json(&config, family.name())?)?)
        }
    })
}

/// Checks tensors against the network that a configuration describes: every key and every shape.
///
/// # Errors
///
/// [`WeightsError::MissingKey`], [`WeightsError::UnexpectedKey`] or [`WeightsError::WrongShape`] for the first tensor that
/// differs; [`WeightsError::Malformed`] or [`WeightsError::Unsupported`] if the configuration does not describe a network that
/// this crate can run.
pub fn check_network(family: Family, config: &Value, tensors: &dyn Tensors) -> Result<(), WeightsError> {
    let expected = match (family, config) {
        (Family::Htdemucs, Value::Object(kwargs)) => layout(kwargs)?,
        (Family::Htdemucs, _) => return Err(WeightsError::Malformed("the arguments are not an object".into())),
        (Family::Scnet, _) => {
            scnet::refuse_variants(tensors.keys().into_iter())?;
            scnet::layout(&ScnetConfig::from_json(config)?)
        }
        (Family::BsRoformer | Family::MelBandRoformer, _) => {
            let mut expected = roformer::layout(&RoformerConfig::from_json(config, family.name())?);
            expected.retain(|key, _| !roformer::is_optional(key) || tensors.shape(key).is_some());
            expected
        }
    };
    check_layout(&expected, tensors)
}
