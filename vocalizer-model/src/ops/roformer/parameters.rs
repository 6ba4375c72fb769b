//! The parameters of RoFormer operations.

use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Backend, BackendTensor, Dispatch, DispatchAutodiffContext, DispatchTensor, DispatchTensorKind, ExtensionType,
};

use super::super::parameters::LinearParameters;

/// The parameters of gated attention with rotated queries and keys.
#[derive(Clone, ExtensionType)]
pub(crate) struct AttentionParameters<B: Backend> {
    /// `[heads · 3 · width, channels]`: queries, keys and values of a head, then of the next one.
    pub(crate) qkv: FloatTensor<B>,
    /// `[heads, channels]`.
    pub(crate) gates: FloatTensor<B>,
    pub(crate) gates_bias: FloatTensor<B>,
    /// `[channels, heads · width]`.
    pub(crate) out: FloatTensor<B>,
    /// `[width / 2, positions]`.
    pub(crate) cos: FloatTensor<B>,
    /// `[width / 2, positions]`.
    pub(crate) sin: FloatTensor<B>,
    pub(crate) heads: usize,
    pub(crate) width: usize,
}

/// Linear layers, as many as there are.
#[derive(Clone)]
pub(crate) struct Layers<B: Backend>(pub(crate) Vec<LinearParameters<B>>);

impl<B: Backend> ExtensionType<B> for Layers<B> {
    type Target = Layers<Dispatch>;

    fn map_to_dispatch<F>(self, map_kind: F, autodiff: DispatchAutodiffContext) -> Self::Target
    where
        F: Fn(BackendTensor<B>) -> DispatchTensorKind,
    {
        Layers(self.0.into_iter().map(|layer| layer.map_to_dispatch(&map_kind, autodiff)).collect())
    }

    fn map_from_dispatch<F>(target: Self::Target, unwrap_kind: F) -> Self
    where
        F: Fn(DispatchTensor) -> BackendTensor<B>,
    {
        Self(target.0.into_iter().map(|layer| LinearParameters::map_from_dispatch(layer, &unwrap_kind)).collect())
    }

    fn routing_tensor(target: &Self::Target) -> Option<&DispatchTensor> {
        target.0.first().and_then(<LinearParameters<B> as ExtensionType<B>>::routing_tensor)
    }

    fn routing_float_tensor(target: &Self::Target) -> Option<&DispatchTensor> {
        target.0.first().and_then(<LinearParameters<B> as ExtensionType<B>>::routing_float_tensor)
    }
}
