//! Memory for tensors.

/// Memory for `len` values, all zero.
pub(crate) fn buffer(len: usize) -> Vec<f32> {
    vec![0.0; len]
}
