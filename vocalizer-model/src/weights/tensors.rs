//! Named tensors, and their comparison with the layout of a network.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::error::excerpt;
use super::{Dtype, WeightsError, dtype};

/// The named tensors of a file.
pub trait Tensors {
    /// Returns the keys, sorted.
    fn keys(&self) -> Vec<&str>;

    /// Returns the shape of one tensor.
    fn shape(&self, key: &str) -> Option<&[usize]>;

    /// Returns the type of one tensor's values, or `None` if the tensor is missing or its type unknown.
    fn dtype(&self, key: &str) -> Option<Dtype>;

    /// Reads the values of one tensor, little-endian and in row-major order.
    ///
    /// # Errors
    ///
    /// [`WeightsError::MissingKey`] if there is no such tensor, [`WeightsError::Unsupported`] if its type is unknown.
    fn bytes(&self, key: &str) -> Result<Cow<'_, [u8]>, WeightsError>;

    /// Reads the values of one tensor in row-major order.
    ///
    /// # Errors
    ///
    /// [`WeightsError::MissingKey`] if there is no such tensor, [`WeightsError::Unsupported`] if its values are not
    /// floating point numbers.
    fn f32s(&self, key: &str) -> Result<Vec<f32>, WeightsError> {
        let bytes = self.bytes(key)?;
        let dtype = self.dtype(key).ok_or_else(|| WeightsError::MissingKey(excerpt(key)))?;
        dtype::f32s(key, dtype, &bytes)
    }
}

/// Compares the keys and shapes of `tensors` with the layout of a network: the shape of each key.
///
/// # Errors
///
/// [`WeightsError::MissingKey`], [`WeightsError::WrongShape`] or [`WeightsError::UnexpectedKey`] for the first tensor that
/// differs.
pub fn check_layout(expected: &BTreeMap<String, Vec<usize>>, tensors: &dyn Tensors) -> Result<(), WeightsError> {
    for (key, shape) in expected {
        let found = tensors.shape(key).ok_or_else(|| WeightsError::MissingKey(key.clone()))?;
        if found != shape {
            let (key, expected, found) = (key.clone(), shape.clone(), found.to_vec());
            return Err(WeightsError::WrongShape { key, expected, found });
        }
    }
    match tensors.keys().into_iter().find(|key| !expected.contains_key(*key)) {
        Some(key) => Err(WeightsError::UnexpectedKey(excerpt(key))),
        None => Ok(()),
    }
}
