//! The parameters of SCNet's operations.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, ExtensionType};

use crate::ops::parameters::LinearParameters;

/// One layer for each of the three bands.
#[derive(Clone, ExtensionType)]
pub(crate) struct BandsParameters<B: Backend> {
    #[extension_type]
    pub(crate) low: LinearParameters<B>,
    #[extension_type]
    pub(crate) mid: LinearParameters<B>,
    #[extension_type]
    pub(crate) high: LinearParameters<B>,
}

impl<B: Backend> BandsParameters<B> {
    pub(super) fn into_array(self) -> [LinearParameters<B>; 3] {
        [self.low, self.mid, self.high]
    }
}

/// A residual unit of a convolution module.
#[derive(Clone, ExtensionType)]
pub(crate) struct UnitParameters<B: Backend> {
    pub(crate) norm1: FloatTensor<B>,
    pub(crate) norm1_bias: FloatTensor<B>,
    pub(crate) compress: FloatTensor<B>,
    pub(crate) compress_bias: FloatTensor<B>,
    /// `[hidden, 3]`, not packed.
    pub(crate) depthwise: FloatTensor<B>,
    pub(crate) depthwise_bias: FloatTensor<B>,
    pub(crate) norm2: FloatTensor<B>,
    pub(crate) norm2_bias: FloatTensor<B>,
    pub(crate) expand: FloatTensor<B>,
    pub(crate) expand_bias: FloatTensor<B>,
}

/// Both directions of an LSTM: weights from `pack_lstm`, and both biases added.
#[derive(Clone, ExtensionType)]
pub(crate) struct LstmParameters<B: Backend> {
    #[extension_type]
    pub(crate) forward: LinearParameters<B>,
    #[extension_type]
    pub(crate) backward: LinearParameters<B>,
}
