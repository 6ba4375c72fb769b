//! The parameters of the network's operations.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, ExtensionType};

/// The parameters of one layer of a residual branch.
#[derive(Clone, ExtensionType)]
pub(crate) struct DConvParameters<B: Backend> {
    pub(crate) compress: FloatTensor<B>,
    pub(crate) compress_bias: FloatTensor<B>,
    pub(crate) norm1: FloatTensor<B>,
    pub(crate) norm1_bias: FloatTensor<B>,
    pub(crate) expand: FloatTensor<B>,
    pub(crate) expand_bias: FloatTensor<B>,
    pub(crate) norm2: FloatTensor<B>,
    pub(crate) norm2_bias: FloatTensor<B>,
    pub(crate) scale: FloatTensor<B>,
    pub(crate) dilation: usize,
}

/// A matrix and a bias.
#[derive(Clone, ExtensionType)]
pub(crate) struct LinearParameters<B: Backend> {
    pub(crate) weight: FloatTensor<B>,
    pub(crate) bias: FloatTensor<B>,
}

/// The scale and shift of a normalisation.
#[derive(Clone, ExtensionType)]
pub(crate) struct NormParameters<B: Backend> {
    pub(crate) weight: FloatTensor<B>,
    pub(crate) bias: FloatTensor<B>,
}

/// An addition before or after a GLU convolution.
#[derive(Clone, ExtensionType)]
pub(crate) enum GluExtra<B: Backend> {
    /// No addition.
    None,
    /// Added to the input: the skip connection.
    Skip(FloatTensor<B>),
    /// Added to the output: the frequency embedding, `[channels, rows]`.
    Embedding(FloatTensor<B>),
}
