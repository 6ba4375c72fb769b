//! Loads parameters by key and checks their shapes.

use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::weights::{WeightsError, WeightsFile};

/// A position in the tree of keys, from which a module loads its parameters.
#[derive(Clone)]
pub(super) struct Loader<'a> {
    file: &'a WeightsFile,
    device: &'a Device,
    dtype: DType,
    prefix: String,
}

impl<'a> Loader<'a> {
    pub(super) fn new(file: &'a WeightsFile, device: &'a Device, dtype: DType) -> Self {
        Self { file, device, dtype, prefix: String::new() }
    }

    /// Returns the loader of the child module `name`.
    pub(super) fn at(&self, name: impl std::fmt::Display) -> Self {
        let prefix = if self.prefix.is_empty() { name.to_string() } else { format!("{}.{name}", self.prefix) };
        Self { prefix, ..*self }
    }

    /// Loads the parameter `name`, which must have exactly this shape.
    pub(super) fn tensor<const D: usize>(&self, name: &str, shape: [usize; D]) -> Result<Tensor<D>, WeightsError> {
        let key = self.at(name).prefix;
        let found = self.file.shape(&key).ok_or_else(|| WeightsError::MissingKey(key.clone()))?;
        if found != shape.as_slice() {
            return Err(WeightsError::WrongShape { key, expected: shape.to_vec(), found: found.to_vec() });
        }
        Ok(Tensor::from_data(TensorData::new(self.file.f32s(&key)?, shape), (self.device, self.dtype)))
    }

    /// Loads the parameter `name`, which must have exactly this shape, as a matrix: the first dimension by all the
    /// others.
    pub(super) fn matrix<const D: usize>(&self, name: &str, shape: [usize; D]) -> Result<Tensor<2>, WeightsError> {
        let terms = shape[1..].iter().product();
        Ok(self.tensor(name, shape)?.reshape([shape[0], terms]))
    }
}
