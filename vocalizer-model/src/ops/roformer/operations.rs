//! The operations of RoFormers as an extension of burn's backends.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, backend_extension};

use super::super::parameters::LinearParameters;
use super::default;
use super::parameters::{AttentionParameters, Layers};
use vocalizer_kernels::conv::Axis;
use vocalizer_kernels::gemm::Precision;

/// The operations of RoFormers. Weights come from [`Self::pack_rows`]. The default methods compose burn's operations; a
/// backend may override them.
#[backend_extension(Flex, Cube: cfg(any(feature = "wgpu", feature = "cuda")))]
pub(crate) trait RoformerOps: Backend {
    /// Packs weights `[rows, terms]` for this backend.
    fn pack_rows(weight: FloatTensor<Self>, precision: Precision) -> FloatTensor<Self> {
        let _ = precision;
        weight
    }

    /// A linear layer on the bins of each band, normalised to length one. `bands` are the first bin and the number of
    /// bins.
    fn split_bands(
        spectrum: FloatTensor<Self>,
        #[extension_type] layers: Layers<Self>,
        bands: Vec<[usize; 2]>,
    ) -> FloatTensor<Self> {
        default::split_bands::<Self>(spectrum, layers, &bands)
    }

    /// Normalises each position to length one, times a scale per channel.
    fn rms_norm(x: FloatTensor<Self>, scale: FloatTensor<Self>) -> FloatTensor<Self> {
        default::rms_norm::<Self>(x, scale)
    }

    /// `x + out(gate · attention(x / |x|))` along an axis, with rotated queries and keys.
    fn rotary_attention(
        x: FloatTensor<Self>,
        #[extension_type] layer: AttentionParameters<Self>,
        axis: Axis,
    ) -> FloatTensor<Self> {
        default::rotary_attention::<Self>(x, &layer, axis)
    }

    /// `x + second(gelu(first(x / |x|)))`.
    fn rms_feed_forward(
        x: FloatTensor<Self>,
        #[extension_type] first: LinearParameters<Self>,
        #[extension_type] second: LinearParameters<Self>,
    ) -> FloatTensor<Self> {
        default::rms_feed_forward::<Self>(x, first, second)
    }

    /// Linear layers on each band with tanh between them; half of the last one's rows gate the other half.
    fn band_masks(x: FloatTensor<Self>, #[extension_type] layers: Layers<Self>, depth: usize) -> FloatTensor<Self> {
        default::band_masks::<Self>(x, layers, depth)
    }
}

/// GPUs compose burn's operations.
#[cfg(any(feature = "wgpu", feature = "cuda"))]
impl RoformerOps for burn_cubecl::CubeBackend {}
