//! Loads parameters by key and checks their shapes.

use burn::tensor::{Device, Tensor, TensorData};

use super::Format;
use crate::weights::{Tensors, WeightsError};

/// A position in the tree of keys, from which a module loads its parameters.
#[derive(Clone)]
pub(super) struct Loader<'a> {
    source: &'a dyn Tensors,
    device: &'a Device,
    /// The number formats of the parameters.
    pub(super) format: Format,
    prefix: String,
}

impl<'a> Loader<'a> {
    pub(super) fn new(source: &'a dyn Tensors, device: &'a Device, format: Format) -> Self {
        Self { source, device, format, prefix: String::new() }
    }

    /// Returns the loader of the child module `name`.
    pub(super) fn at(&self, name: impl std::fmt::Display) -> Self {
        let prefix = if self.prefix.is_empty() { name.to_string() } else { format!("{}.{name}", self.prefix) };
        Self { prefix, ..*self }
    }

    /// Returns whether there is a parameter `name`.
    pub(super) fn has(&self, name: &str) -> bool {
        self.source.shape(&self.at(name).prefix).is_some()
    }

    /// Reads the values of the parameter `name`, which must have exactly this shape.
    pub(super) fn values<const D: usize>(&self, name: &str, shape: [usize; D]) -> Result<Vec<f32>, WeightsError> {
        let key = self.at(name).prefix;
        let found = self.source.shape(&key).ok_or_else(|| WeightsError::MissingKey(key.clone()))?;
        if found != shape.as_slice() {
            return Err(WeightsError::WrongShape { key, expected: shape.to_vec(), found: found.to_vec() });
        }
        self.source.f32s(&key)
    }

    /// Puts values onto the device.
    pub(super) fn on_device<const D: usize>(&self, values: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
        Tensor::from_data(TensorData::new(values, shape), (self.device, self.format.values))
    }

    /// Loads the parameter `name`, which must have exactly this shape.
    pub(super) fn tensor<const D: usize>(&self, name: &str, shape: [usize; D]) -> Result<Tensor<D>, WeightsError> {
        Ok(self.on_device(self.values(name, shape)?, shape))
    }

    /// Loads the parameter `name`, which must have exactly this shape, as a matrix: the first dimension by all the
    /// others.
    pub(super) fn matrix<const D: usize>(&self, name: &str, shape: [usize; D]) -> Result<Tensor<2>, WeightsError> {
        let terms = shape[1..].iter().product();
        Ok(self.tensor(name, shape)?.reshape([shape[0], terms]))
    }
}
