//! The network's operations on the CPU.

use std::mem::MaybeUninit;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Bytes, DType, Flex, TensorMetadata};
use burn::tensor::{Shape, TensorData};
use burn_flex::{FlexTensor, Layout};
use burn_std::{AccessError, AccessPolicy, AllocationController, AllocationProperty};
use vocalizer_kernels::attention::{Projection, attention};
use vocalizer_kernels::conv::{Axis, GluExtras};
use vocalizer_kernels::dconv::DConvLayer;
use vocalizer_kernels::gemm::{Panels, Precision, pack_as, padded_rows};
use vocalizer_kernels::memory::Buffer;
use vocalizer_kernels::{Extent, band_conv, conv, dconv, norm, transformer};

use super::network::NetworkOps;
use super::parameters::{DConvParameters, GluExtra, LinearParameters, NormParameters};

pub(super) fn extent(x: &FlexTensor) -> Extent {
    let shape = x.shape();
    Extent { items: shape[0], channels: shape[1], rows: shape[2], frames: shape[3] }
}

pub(super) fn tensor<const N: usize>(values: Bytes, shape: [usize; N]) -> FlexTensor {
    FlexTensor::new(values, Layout::contiguous(Shape::from(shape)), DType::F32)
}

/// Memory of a burn tensor.
struct TensorMemory(Buffer);

impl AllocationController for TensorMemory {
    /// The alignment of burn's own memory, which copies of this memory get.
    fn alloc_align(&self) -> usize {
        align_of::<u128>()
    }

    fn property(&self) -> AllocationProperty {
        AllocationProperty::Other
    }

    unsafe fn memory_mut(&mut self, _: AccessPolicy) -> Result<&mut [MaybeUninit<u8>], AccessError> {
        let values: &mut [f32] = &mut self.0;
        let bytes = size_of_val(values);
        // SAFETY: every f32 is four bytes, and the caller writes only initialised values.
        Ok(unsafe { std::slice::from_raw_parts_mut(values.as_mut_ptr().cast(), bytes) })
    }

    fn memory(&self, _: AccessPolicy) -> Result<&[MaybeUninit<u8>], AccessError> {
        let values: &[f32] = &self.0;
        // SAFETY: every f32 is four bytes.
        Ok(unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) })
    }
}

fn bytes(values: Buffer) -> Bytes {
    let bytes = size_of_val(&*values);
    // SAFETY: `bytes` is the size of the values, and all of them are initialised.
    unsafe { Bytes::from_controller(Box::new(TensorMemory(values)), bytes) }
}

pub(super) fn shaped(values: Buffer, x: Extent) -> FlexTensor {
    tensor(bytes(values), [x.items, x.channels, x.rows, x.frames])
}

/// Returns values as the data of a tensor, which uses their memory on the CPU.
pub(crate) fn data<const N: usize>(values: Buffer, shape: [usize; N]) -> TensorData {
    TensorData::from_bytes(bytes(values), shape, DType::F32)
}

/// Memory for the values of an operation.
pub(super) fn output(x: Extent) -> Buffer {
    #[cfg(test)]
    vocalizer_kernels::memory::fill_new_buffers_with_nan();
    Buffer::of(x.len())
}

/// Returns the values of a tensor from [`FlexTensor::to_contiguous`].
pub(super) fn values(x: &FlexTensor) -> &[f32] {
    x.as_slice().expect("contiguous and f32")
}

/// Changes the values of a tensor in place, or of a copy if they are shared.
pub(super) fn change(x: FlexTensor, with: impl FnOnce(&mut [f32], Extent)) -> FlexTensor {
    let extent = extent(&x);
    // Copies a view. A whole tensor must not even be cloned: it would then count as shared.
    let is_whole = x.is_contiguous() && x.storage::<f32>().len() == extent.len();
    let mut x = if is_whole { x } else { shaped(Buffer::copy_of(values(&x.to_contiguous())), extent) };
    with(x.storage_mut(), extent);
    x
}

/// Returns packed weights as a tensor. In another precision than f32, its values are words that only the kernels understand.
pub(super) fn packed(rows: usize, words: Vec<f32>) -> FlexTensor {
    let rows = padded_rows(rows);
    let per_row = words.len() / rows;
    tensor(Bytes::from_elems(words), [rows, per_row])
}

/// Returns a layer's matrix, with the given number of terms.
pub(super) fn panels<'a>(layer: &'a Linear, terms: usize) -> Panels<'a> {
    Panels::new(values(&layer.weight), layer.rows, terms)
}

/// The parameters of a layer, made contiguous.
pub(super) struct Linear {
    pub(super) weight: FlexTensor,
    pub(super) bias: FlexTensor,
    pub(super) rows: usize,
}

impl From<LinearParameters<Flex>> for Linear {
    fn from(layer: LinearParameters<Flex>) -> Self {
        let (weight, bias) = (layer.weight.to_contiguous(), layer.bias.to_contiguous());
        let rows = bias.shape()[0];
        Self { weight, bias, rows }
    }
}

impl Linear {
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn over(&self, terms: usize) -> transformer::Linear<'_> {
        transformer::Linear { weights: panels(self, terms), bias: values(&self.bias) }
    }
}

/// The parameters of a normalisation, made contiguous.
pub(super) struct Norm([FlexTensor; 2]);

impl From<NormParameters<Flex>> for Norm {
    fn from(norm: NormParameters<Flex>) -> Self {
        Self([norm.weight.to_contiguous(), norm.bias.to_contiguous()])
    }
}

impl Norm {
    pub(super) fn values(&self) -> [&[f32]; 2] {
        [values(&self.0[0]), values(&self.0[1])]
    }
}

impl NetworkOps for Flex {
    fn pack(weight: FloatTensor<Self>, precision: Precision) -> FloatTensor<Self> {
        let weight = weight.to_contiguous();
        let (rows, terms) = (weight.shape()[0], weight.shape()[1]);
        let values = values(&weight);
        packed(rows, pack_as(precision, rows, terms, |row, term| values[row * terms + term]))
    }

    fn pack_glu(weight: FloatTensor<Self>, taps: [usize; 2], precision: Precision) -> FloatTensor<Self> {
        let weight = weight.to_contiguous();
        let (rows, terms) = (weight.shape()[0], weight.shape()[1]);
        let channels = terms / (taps[0] * taps[1]);
        let values = values(&weight);
        packed(rows, conv::pack_same(precision, rows, channels, taps, |row, term| values[row * terms + term]))
    }

    fn pack_transposed(weight: FloatTensor<Self>, channels_out: usize, precision: Precision) -> FloatTensor<Self> {
        let weight = weight.to_contiguous();
        let channels = [weight.shape()[0], channels_out];
        let (rows, terms, at) = band_conv::transposed_weight(values(&weight), channels, [conv::TAPS, conv::STRIDE]);
        packed(rows, pack_as(precision, rows, terms, at))
    }

    fn strided_gelu(x: FloatTensor<Self>, layer: LinearParameters<Self>, axis: Axis) -> FloatTensor<Self> {
        let (x, layer) = (x.to_contiguous(), Linear::from(layer));
        let from = extent(&x);
        let to = conv::strided(from, layer.rows, axis);
        let mut out = output(to);
        let weights = panels(&layer, conv::TAPS * from.channels);
        conv::strided_gelu((values(&x), from), weights, values(&layer.bias), axis, &mut out);
        shaped(out, to)
    }

    fn conv_glu(
        x: FloatTensor<Self>,
        extra: GluExtra<Self>,
        layer: LinearParameters<Self>,
        taps: [usize; 2],
    ) -> FloatTensor<Self> {
        let (x, layer) = (x.to_contiguous(), Linear::from(layer));
        let [skip, embedding] = match extra {
            GluExtra::None => [None, None],
            GluExtra::Skip(skip) => [Some(skip.to_contiguous()), None],
            GluExtra::Embedding(table) => [None, Some(table.to_contiguous())],
        };
        let extras = GluExtras { skip: skip.as_ref().map(values), embedding: embedding.as_ref().map(values) };
        let from = extent(&x);
        let to = Extent { channels: layer.rows / 2, ..from };
        let mut out = output(to);
        conv::conv_glu((values(&x), from), values(&layer.weight), values(&layer.bias), taps, extras, &mut out);
        shaped(out, to)
    }

    fn transposed_gelu(
        x: FloatTensor<Self>,
        layer: LinearParameters<Self>,
        axis: Axis,
        frames: usize,
        activate: bool,
    ) -> FloatTensor<Self> {
        let (x, layer) = (x.to_contiguous(), Linear::from(layer));
        let from = extent(&x);
        let to = conv::transposed(from, layer.rows, axis, frames);
        let mut out = output(to);
        let weights = Panels::new(values(&layer.weight), conv::STRIDE * layer.rows, 2 * from.channels);
        let bias = values(&layer.bias);
        conv::transposed_gelu((values(&x), from), weights, bias, (axis, activate), (&mut out, to));
        shaped(out, to)
    }

    fn dconv(x: FloatTensor<Self>, layer: DConvParameters<Self>) -> FloatTensor<Self> {
        let dilation = layer.dilation;
        let compress = Linear::from(LinearParameters { weight: layer.compress, bias: layer.compress_bias });
        let expand = Linear::from(LinearParameters { weight: layer.expand, bias: layer.expand_bias });
        let norm1 = Norm::from(NormParameters { weight: layer.norm1, bias: layer.norm1_bias });
        let norm2 = Norm::from(NormParameters { weight: layer.norm2, bias: layer.norm2_bias });
        let scale = layer.scale.to_contiguous();
        change(x, |x, extent| {
            let layer = DConvLayer {
                compress: panels(&compress, dconv::TAPS * extent.channels),
                compress_bias: values(&compress.bias),
                norm1: norm1.values(),
                expand: panels(&expand, compress.rows),
                expand_bias: values(&expand.bias),
                norm2: norm2.values(),
                scale: values(&scale),
                dilation,
            };
            dconv::dconv(x, extent, &layer);
        })
    }

    fn position_norm(x: FloatTensor<Self>, norm: NormParameters<Self>, table: FloatTensor<Self>) -> FloatTensor<Self> {
        let (norm, table) = (Norm::from(norm), table.to_contiguous());
        change(x, |x, extent| transformer::position_norm((x, extent), norm.values(), values(&table)))
    }

    fn linear(x: FloatTensor<Self>, layer: LinearParameters<Self>) -> FloatTensor<Self> {
        project(x, None, layer)
    }

    fn norm_linear(
        x: FloatTensor<Self>,
        norm: NormParameters<Self>,
        layer: LinearParameters<Self>,
    ) -> FloatTensor<Self> {
        project(x, Some(norm), layer)
    }

    fn linear_residual(
        x: FloatTensor<Self>,
        y: FloatTensor<Self>,
        layer: LinearParameters<Self>,
        scale: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let (y, layer, scale) = (y.to_contiguous(), Linear::from(layer), scale.to_contiguous());
        change(x, |x, extent| {
            transformer::linear_residual((values(&y), extent), layer.over(extent.channels), values(&scale), x);
        })
    }

    fn feed_forward(
        x: FloatTensor<Self>,
        norm: NormParameters<Self>,
        first: LinearParameters<Self>,
        second: LinearParameters<Self>,
        scale: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let (norm, first, second) = (Norm::from(norm), Linear::from(first), Linear::from(second));
        let scale = scale.to_contiguous();
        change(x, |x, extent| {
            let (first, second) = (first.over(extent.channels), second.over(first.rows));
            transformer::feed_forward((x, extent), norm.values(), first, second, values(&scale));
        })
    }

    fn attention(
        x: FloatTensor<Self>,
        other: FloatTensor<Self>,
        [q, k, v]: [usize; 3],
        heads: usize,
        channels: usize,
        precision: Precision,
    ) -> FloatTensor<Self> {
        let (x, other) = (x.to_contiguous(), other.to_contiguous());
        let to = Extent { channels, ..extent(&x) };
        let projection = |of, first| Projection { values: values(of), extent: extent(of), first };
        let mut out = output(to);
        let [q, k, v] = [projection(&x, q), projection(&other, k), projection(&other, v)];
        attention(q, k, v, [heads, channels], precision, &mut out);
        shaped(out, to)
    }

    fn group_norm(x: FloatTensor<Self>, norm: NormParameters<Self>) -> FloatTensor<Self> {
        let norm = Norm::from(norm);
        change(x, |x, extent| norm::group_norm(x, extent, norm.values()))
    }
}

fn project(x: FlexTensor, norm: Option<NormParameters<Flex>>, layer: LinearParameters<Flex>) -> FlexTensor {
    let (x, norm, layer) = (x.to_contiguous(), norm.map(Norm::from), Linear::from(layer));
    let from = extent(&x);
    let to = Extent { channels: layer.rows, ..from };
    let mut out = output(to);
    let norm = norm.as_ref().map(Norm::values);
    transformer::linear((values(&x), from), norm, layer.over(from.channels), &mut out);
    shaped(out, to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burn_tensor_uses_buffer_memory() {
        let mut buffer = Buffer::copy_of(&[1.0; 99_991]);
        let place = buffer.as_ptr().addr();
        assert!(place.is_multiple_of(64));
        buffer[3] = 2.0;
        let bytes = size_of_val(&*buffer);
        // SAFETY: `bytes` is the size of the values, and all of them are initialised.
        let mut bytes = unsafe { burn_std::Bytes::from_controller(Box::new(TensorMemory(buffer)), bytes) };
        assert_eq!(&bytes[12..16], 2.0_f32.to_ne_bytes());
        bytes[12..16].copy_from_slice(&4.0_f32.to_ne_bytes());
        let copy = bytes.clone();
        assert_eq!(bytes.as_ptr().addr(), place);
        drop(bytes);
        assert_eq!(&copy[12..16], 4.0_f32.to_ne_bytes(), "a clone is a copy");
    }
}
