//! Launches the kernels on tensors: their arguments, and the division of work into cubes.

use burn::backend::{DType, TensorMetadata};
use burn::tensor::Shape;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use cubecl::ir::{ElemType, FloatKind};
use cubecl::prelude::*;

use super::attention::{self, HeadsLaunch};
use super::product::{self, Along, Finish, GeometryLaunch, Plan, Read, Tile};
use super::reduce;
use crate::ops::parameters::{GluExtra, LinearParameters, NormParameters};
use vocalizer_kernels::conv::{Axis, STRIDE, TAPS};
use vocalizer_kernels::norm::EPSILON;

/// `[items, channels, rows, frames]`
#[derive(Clone, Copy)]
struct Extent {
    items: usize,
    channels: usize,
    rows: usize,
    frames: usize,
}

impl Extent {
    fn of(x: &CubeTensor) -> Self {
        let shape = x.shape();
        Self { items: shape[0], channels: shape[1], rows: shape[2], frames: shape[3] }
    }

    fn positions(self) -> usize {
        self.rows * self.frames
    }

    fn shape(self) -> Shape {
        Shape::from([self.items, self.channels, self.rows, self.frames])
    }
}

pub(super) fn empty(like: &CubeTensor, shape: Shape, dtype: DType) -> CubeTensor {
    empty_device_contiguous_dtype(like.client.clone(), like.device.clone(), shape, dtype)
}

pub(super) fn elements(x: &CubeTensor) -> ElemType {
    ElemType::Float(match x.dtype {
        DType::F32 => FloatKind::F32,
        DType::F16 => FloatKind::F16,
        DType::BF16 => FloatKind::BF16,
        other => unreachable!("unexpected data type {other:?}"),
    })
}

pub(super) fn cubes(counts: [usize; 3]) -> CubeCount {
    let [x, y, z] = counts.map(|count| u32::try_from(count).expect("the grid fits into u32"));
    CubeCount::Static(x, y, z)
}

pub(super) fn buffer(x: &CubeTensor) -> BufferArg {
    x.clone().into_buffer_arg()
}

/// A layer's weights, `[terms, rows]`, and bias.
type Linear = LinearParameters<CubeBackend>;

impl Linear {
    fn rows(&self) -> usize {
        self.bias.shape()[0]
    }
}

type Norm = NormParameters<CubeBackend>;

/// Mean and reciprocal deviation of each line or position.
pub(super) struct Moments(pub(super) CubeTensor);

/// Arguments of [`Read`].
#[derive(Default)]
struct Before<'a> {
    values: Option<&'a CubeTensor>,
    moments: Option<&'a Moments>,
    norm: Option<&'a Norm>,
}

/// Arguments of [`Finish`].
#[derive(Default)]
struct After<'a> {
    values: Option<&'a CubeTensor>,
    moments: Option<&'a Moments>,
    norm: Option<&'a Norm>,
    gamma: Option<&'a CubeTensor>,
}

/// A product over every line of an input.
struct Product<'a> {
    x: &'a CubeTensor,
    layer: &'a Linear,
    taps: [usize; 2],
    geometry: GeometryLaunch,
    lines: usize,
    read: Read,
    before: Before<'a>,
    finish: Finish,
    after: After<'a>,
    /// Shape of the output; `None` writes no output.
    out: Option<Shape>,
    moments: bool,
}

impl<'a> Product<'a> {
    /// A layer over the channels, position by position.
    fn linear(x: &'a CubeTensor, layer: &'a Linear) -> Self {
        let from = Extent::of(x);
        let to = Extent { channels: layer.rows(), ..from };
        Self {
            x,
            layer,
            taps: [1, 1],
            geometry: GeometryLaunch {
                weight_rows: layer.rows(),
                terms: from.channels,
                lines: 1,
                line_stride: 0,
                in_item: from.channels * from.positions(),
                in_channel: from.positions(),
                in_rows: from.rows,
                in_frames: from.frames,
                out_item: to.channels * to.positions(),
                out_channel: to.positions(),
                positions: to.positions(),
                frames: to.frames,
                out_extent: 0,
                row_stride: 1,
                frame_stride: 1,
                row_padding: 0,
                frame_padding: 0,
                frame_dilation: 1,
            },
            lines: from.items,
            read: Read::Plain,
            before: Before::default(),
            finish: Finish::Bias,
            after: After::default(),
            out: Some(to.shape()),
            moments: false,
        }
    }

    /// Sets the taps and the output extent.
    fn over(mut self, taps: [usize; 2], to: Extent) -> Self {
        self.taps = taps;
        self.geometry.terms *= taps[0] * taps[1];
        self.geometry.out_item = to.channels * to.positions();
        self.geometry.out_channel = to.positions();
        self.geometry.positions = to.positions();
        self.geometry.frames = to.frames;
        self.out = Some(to.shape());
        self
    }

    /// Processes each row separately.
    fn by_row(mut self) -> Self {
        let from = Extent::of(self.x);
        self.lines *= from.rows;
        self.geometry.lines = from.rows;
        self.geometry.line_stride = from.frames;
        self.geometry.in_rows = 1;
        self.geometry.positions = from.frames;
        self
    }

    fn finished(self, finish: Finish, after: After<'a>) -> Self {
        Self { finish, after, ..self }
    }

    /// Launches the product. Returns the output, and the moments of the output if requested.
    fn run(self) -> (Option<CubeTensor>, Option<Moments>) {
        let Self { x, layer, geometry: g, lines, .. } = self;
        let plan = |tile| Plan { tile, taps: self.taps, read: self.read, finish: self.finish, moments: self.moments };
        let plan = plan(tile(g.weight_rows, g.positions, lines));
        let (tile_rows, tile_positions) = (plan.tile.rows(), plan.tile.positions());
        let grid = [g.positions.div_ceil(tile_positions), g.weight_rows.div_ceil(tile_rows)];
        let tiles = grid[0] * grid[1];
        let out = self.out.map(|shape| empty(x, shape, x.dtype));
        let takes_moments = self.moments || self.finish == Finish::Moments;
        let partials = takes_moments.then(|| empty(x, Shape::from([lines * tiles * 3]), DType::F32));
        let Before { values, moments, norm } = self.before;
        let After { values: after, moments: after_moments, norm: after_norm, gamma } = self.after;
        let argument = |x: Option<&CubeTensor>| x.map(buffer).into();
        // SAFETY: the kernel checks every index against the geometry, which fits the buffers.
        unsafe {
            product::product::launch_unchecked(
                &x.client,
                cubes([grid[0], grid[1], lines]),
                CubeDim::new_1d(product::UNITS as u32),
                buffer(x),
                buffer(&layer.weight),
                buffer(&layer.bias),
                out.as_ref().map(buffer).into(),
                argument(values),
                moments.map(|m| buffer(&m.0)).into(),
                argument(norm.map(|n| &n.weight)),
                argument(norm.map(|n| &n.bias)),
                argument(after),
                after_moments.map(|m| buffer(&m.0)).into(),
                argument(after_norm.map(|n| &n.weight)),
                argument(after_norm.map(|n| &n.bias)),
                argument(gamma),
                partials.as_ref().map(buffer).into(),
                g,
                plan,
                elements(x),
            );
        }
        (out, partials.map(|partials| combine(partials, [lines, tiles], false)))
    }

    fn output(self) -> CubeTensor {
        self.run().0.expect("the product has an output")
    }
}

/// Selects the tile with the least estimated total time, assuming a GPU that runs 128 cubes at once and a cost per
/// value that grows for smaller tiles.
fn tile(rows: usize, positions: usize, lines: usize) -> Tile {
    const AT_ONCE: usize = 128;
    const TILES: [(Tile, usize); 4] = [
        (Tile { unit_rows: 8, unit_positions: 8, position_units: 16 }, 10),
        (Tile { unit_rows: 8, unit_positions: 4, position_units: 32 }, 12),
        (Tile { unit_rows: 8, unit_positions: 4, position_units: 64 }, 14),
        (Tile { unit_rows: 8, unit_positions: 2, position_units: 128 }, 20),
    ];
    let time = |(tile, each): &(Tile, usize)| {
        let cubes = rows.div_ceil(tile.rows()) * positions.div_ceil(tile.positions()) * lines;
        cubes.div_ceil(AT_ONCE) * tile.rows() * tile.positions() * each
    };
    TILES.iter().min_by_key(|tile| time(tile)).expect("some tiles").0
}

fn combine(partials: CubeTensor, [lines, pieces]: [usize; 2], unbiased: bool) -> Moments {
    let stats = empty(&partials, Shape::from([lines * 2]), DType::F32);
    // SAFETY: reads three numbers per piece of each line, and writes two per line.
    unsafe {
        reduce::combine::launch_unchecked(
            &stats.client,
            cubes([lines, 1, 1]),
            CubeDim::new_1d(reduce::UNITS as u32),
            buffer(&partials),
            buffer(&stats),
            pieces,
            EPSILON,
            unbiased,
        );
    }
    Moments(stats)
}

/// Returns the moments over all values of each item.
pub(super) fn item_moments(x: &CubeTensor, unbiased: bool) -> Moments {
    let items = x.shape()[0];
    let len = x.shape().num_elements() / items;
    let pieces = len.div_ceil(reduce::UNITS * reduce::UNIT_VALUES);
    let partials = empty(x, Shape::from([items * pieces * 3]), DType::F32);
    // SAFETY: reads are checked against `len`; writes three numbers per piece.
    unsafe {
        reduce::moments::launch_unchecked(
            &x.client,
            cubes([pieces, items, 1]),
            CubeDim::new_1d(reduce::UNITS as u32),
            buffer(x),
            buffer(&partials),
            len,
            elements(x),
        );
    }
    combine(partials, [items, pieces], unbiased)
}

fn position_moments(x: &CubeTensor) -> Moments {
    let extent = Extent::of(x);
    let stats = empty(x, Shape::from([extent.items * extent.positions() * 2]), DType::F32);
    // SAFETY: reads and writes are checked against the positions.
    unsafe {
        reduce::position_moments::launch_unchecked(
            &x.client,
            cubes([extent.positions().div_ceil(reduce::POSITIONS), extent.items, 1]),
            CubeDim::new_1d(reduce::UNITS as u32),
            buffer(x),
            buffer(&stats),
            extent.channels,
            extent.positions(),
            EPSILON,
            elements(x),
        );
    }
    Moments(stats)
}

fn normalise(
    x: &CubeTensor,
    moments: &Moments,
    norm: &Norm,
    table: Option<&CubeTensor>,
    by_position: bool,
) -> CubeTensor {
    let extent = Extent::of(x);
    let out = empty(x, extent.shape(), x.dtype);
    let cubes_of_item = (extent.channels * extent.positions()).div_ceil(reduce::UNITS);
    // SAFETY: reads and writes are checked against channels and positions.
    unsafe {
        reduce::normalise::launch_unchecked(
            &x.client,
            cubes([cubes_of_item, extent.items, 1]),
            CubeDim::new_1d(reduce::UNITS as u32),
            buffer(x),
            buffer(&moments.0),
            buffer(&norm.weight),
            buffer(&norm.bias),
            table.map(buffer).into(),
            buffer(&out),
            extent.channels,
            extent.positions(),
            by_position,
            elements(x),
        );
    }
    out
}

pub(in crate::ops) fn contiguous(x: CubeTensor) -> CubeTensor {
    into_contiguous(x)
}

pub(in crate::ops) fn strided_gelu(x: &CubeTensor, layer: &Linear, axis: Axis) -> CubeTensor {
    let from = Extent::of(x);
    let (taps, to) = match axis {
        Axis::Rows => ([TAPS, 1], Extent { rows: from.rows / STRIDE, ..from }),
        Axis::Frames => ([1, TAPS], Extent { frames: from.frames.div_ceil(STRIDE), ..from }),
    };
    let mut product = Product::linear(x, layer).over(taps, Extent { channels: layer.rows(), ..to });
    let g = &mut product.geometry;
    match axis {
        Axis::Rows => (g.row_stride, g.row_padding) = (STRIDE, 2),
        Axis::Frames => (g.frame_stride, g.frame_padding) = (STRIDE, 2),
    }
    product.finished(Finish::Gelu, After::default()).output()
}

pub(in crate::ops) fn conv_glu(
    x: &CubeTensor,
    extra: &GluExtra<CubeBackend>,
    layer: &Linear,
    taps: [usize; 2],
) -> CubeTensor {
    let to = Extent { channels: layer.rows() / 2, ..Extent::of(x) };
    let mut product = Product::linear(x, layer).over(taps, to).finished(Finish::Glu, After::default());
    (product.geometry.row_padding, product.geometry.frame_padding) = (taps[0] / 2, taps[1] / 2);
    match extra {
        GluExtra::None => {}
        GluExtra::Skip(skip) => {
            product.read = Read::Skip;
            product.before.values = Some(skip);
        }
        GluExtra::Embedding(table) => {
            product.finish = Finish::GluTable;
            product.after.values = Some(table);
        }
    }
    product.output()
}

pub(in crate::ops) fn transposed_gelu(
    x: &CubeTensor,
    layer: &Linear,
    axis: Axis,
    frames: usize,
    activate: bool,
) -> CubeTensor {
    let from = Extent::of(x);
    let channels = layer.rows();
    let (along, taps, sums, to) = match axis {
        Axis::Rows => {
            let sums = Extent { rows: from.rows + 1, ..from };
            (Along::Rows, [2, 1], sums, Extent { channels, rows: STRIDE * from.rows, ..from })
        }
        Axis::Frames => {
            let sums = Extent { frames: from.frames + 1, ..from };
            (Along::Frames, [1, 2], sums, Extent { channels, frames, ..from })
        }
    };
    let mut product = Product::linear(x, layer).over(taps, to);
    let g = &mut product.geometry;
    // Four rows of weights per channel.
    g.weight_rows = STRIDE * channels;
    (g.positions, g.frames) = (sums.positions(), sums.frames);
    g.out_extent = if axis == Axis::Rows { to.rows } else { to.frames };
    product.finished(Finish::Interleave(along, activate), After::default()).output()
}

/// One layer of a residual branch.
pub(in crate::ops) struct DConv {
    pub(in crate::ops) compress: Linear,
    pub(in crate::ops) norm1: Norm,
    pub(in crate::ops) expand: Linear,
    pub(in crate::ops) norm2: Norm,
    pub(in crate::ops) scale: CubeTensor,
    pub(in crate::ops) dilation: usize,
}

pub(in crate::ops) fn dconv(x: &CubeTensor, layer: &DConv) -> CubeTensor {
    let from = Extent::of(x);
    let mut compress =
        Product::linear(x, &layer.compress).over([1, 3], Extent { channels: layer.compress.rows(), ..from }).by_row();
    (compress.geometry.frame_padding, compress.geometry.frame_dilation) = (layer.dilation, layer.dilation);
    compress.moments = true;
    let (hidden, moments1) = compress.run();
    let hidden = hidden.expect("the compressed channels");
    let expand = || {
        let mut expand = Product::linear(&hidden, &layer.expand).by_row();
        expand.read = Read::GroupNormGelu;
        expand.before = Before { values: None, moments: moments1.as_ref(), norm: Some(&layer.norm1) };
        expand
    };
    // The expanded channels are computed twice and never stored: once for their moments, once to be normalised.
    let mut first = expand().finished(Finish::Moments, After::default());
    first.out = None;
    let (_, moments2) = first.run();
    let after =
        After { values: Some(x), moments: moments2.as_ref(), norm: Some(&layer.norm2), gamma: Some(&layer.scale) };
    let mut second = expand().finished(Finish::NormGluResidual, after);
    second.geometry.out_item = from.channels * from.positions();
    second.out = Some(from.shape());
    second.output()
}

pub(in crate::ops) fn position_norm(x: &CubeTensor, norm: &Norm, table: &CubeTensor) -> CubeTensor {
    normalise(x, &position_moments(x), norm, Some(table), true)
}

pub(in crate::ops) fn group_norm(x: &CubeTensor, norm: &Norm) -> CubeTensor {
    normalise(x, &item_moments(x, false), norm, None, false)
}

pub(in crate::ops) fn linear(x: &CubeTensor, layer: &Linear) -> CubeTensor {
    Product::linear(x, layer).output()
}

/// A linear layer on the normalised input, then GELU if `activate`.
pub(in crate::ops) fn norm_linear(x: &CubeTensor, norm: &Norm, layer: &Linear, activate: bool) -> CubeTensor {
    let moments = position_moments(x);
    let mut product = Product::linear(x, layer);
    product.read = Read::LayerNorm;
    product.before = Before { values: None, moments: Some(&moments), norm: Some(norm) };
    if activate {
        product.finish = Finish::Gelu;
    }
    product.output()
}

/// `x + scale · layer(y)`.
pub(in crate::ops) fn linear_residual(
    x: &CubeTensor,
    y: &CubeTensor,
    layer: &Linear,
    scale: &CubeTensor,
) -> CubeTensor {
    let after = After { values: Some(x), gamma: Some(scale), ..After::default() };
    Product::linear(y, layer).finished(Finish::Residual, after).output()
}

/// Returns `None` if a head has more channels than fit into the GPU's shared memory.
pub(in crate::ops) fn attention(
    x: &CubeTensor,
    other: &CubeTensor,
    [query_first, key_first, value_first]: [usize; 3],
    [heads, channels]: [usize; 2],
) -> Option<CubeTensor> {
    let (from, to) = (Extent::of(x), Extent::of(other));
    let width = channels / heads;
    let keys = attention::keys(width, x.client.properties().hardware.max_shared_memory_size)?;
    let out = empty(x, Extent { channels, ..from }.shape(), x.dtype);
    #[expect(clippy::cast_precision_loss, reason = "a head's channels")]
    let scale = 1.0 / (width as f32).sqrt();
    // SAFETY: reads and writes are checked against queries, keys and the head's width.
    unsafe {
        attention::attention::launch_unchecked(
            &x.client,
            cubes([from.positions().div_ceil(attention::QUERIES), heads, from.items]),
            CubeDim::new_1d(attention::UNITS as u32),
            buffer(x),
            buffer(other),
            buffer(&out),
            HeadsLaunch {
                heads,
                queries: from.positions(),
                keys: to.positions(),
                query_item: from.channels * from.positions(),
                key_item: to.channels * to.positions(),
                query_first,
                key_first,
                value_first,
                scale,
            },
            width,
            keys,
            elements(x),
        );
    }
    Some(out)
}
