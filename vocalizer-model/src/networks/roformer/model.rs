//! The complete network.

use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::bands::coverage;
use super::config::{Family, RoformerConfig};
use super::layers::{BandSplit, Block, MaskEstimator, Norm, Rotation};
use super::layout::frequencies;
use crate::dsp::spectra::{Spectra, Window};
use crate::networks::loader::Loader;
use crate::networks::spectral::{SpectralConfig, SpectralNetwork};
use crate::networks::toolkit::Common;
use crate::networks::{Format, Watcher};
use crate::ops::Axis;
use crate::weights::Tensors;
use crate::weights::WeightsError;

/// A RoFormer without the Fourier transforms: from the spectrum of a mixture to those of its stems.
#[derive(Debug)]
pub(crate) struct Roformer {
    pub(super) band_split: BandSplit,
    /// Per layer, the transformers along time and along frequency.
    pub(super) layers: Vec<[Transformer; 2]>,
    final_norm: Option<Norm>,
    /// By stem; only the loaded ones.
    estimators: Vec<Option<MaskEstimator>>,
    /// For overlapping bands.
    joining: Option<Joining>,
    skip_connection: bool,
    zero_dc: bool,
}

impl Roformer {
    /// Loads the network with the mask estimators of `stems` (indices into the configuration's stems).
    ///
    /// # Errors
    ///
    /// [`WeightsError::MissingKey`] or [`WeightsError::WrongShape`] if the source does not match the configuration.
    pub(crate) fn load(
        config: &RoformerConfig,
        stems: &[usize],
        source: &dyn Tensors,
        device: &Device,
        format: Format,
    ) -> Result<Self, WeightsError> {
        let root = Loader::new(source, device, format);
        let transformer = |layer: usize, axis: usize, shared: &Arc<Rotation>| {
            let from = root.at("layers").at(layer).at(axis);
            let block = |block: usize| {
                let rotation = rotation(&root, config, &frequencies(layer, axis, block), shared)?;
                Block::load(&from.at("layers").at(block), config, rotation)
            };
            let norm = || Norm::load(&from.at("norm"), config.dim);
            Ok::<_, WeightsError>(Transformer {
                axis: [Axis::Frames, Axis::Rows][axis],
                blocks: (0..config.axis_depths[axis]).map(block).collect::<Result<_, _>>()?,
                norm: (config.family == Family::Mel).then(norm).transpose()?,
            })
        };
        let [time, frequency] = [shared_rotation(&root, config, 0)?, shared_rotation(&root, config, 1)?];
        let layers = (0..config.depth)
            .map(|layer| Ok::<_, WeightsError>([transformer(layer, 0, &time)?, transformer(layer, 1, &frequency)?]));
        let estimator = |stem: usize| {
            let load = || MaskEstimator::load(&root.at("mask_estimators").at(stem), config);
            stems.contains(&stem).then(load).transpose()
        };
        let final_norm = || Norm::load(&root.at("final_norm"), config.dim);
        Ok(Self {
            band_split: BandSplit::load(&root.at("band_split"), config)?,
            layers: layers.collect::<Result<_, _>>()?,
            final_norm: (config.family == Family::Bs).then(final_norm).transpose()?,
            estimators: (0..config.common.stems.len()).map(estimator).collect::<Result<_, _>>()?,
            joining: (config.family == Family::Mel).then(|| Joining::new(config, &root, device)),
            skip_connection: config.skip_connection,
            zero_dc: config.zero_dc,
        })
    }

    /// Returns the network's state before the mask estimators.
    ///
    /// # Shapes
    ///
    /// - `spectrum`: `[batch, 4, bins, frames]`
    /// - output: `[batch, dim, bands, frames]`
    pub(crate) fn features(&self, spectrum: Tensor<4>, watcher: &mut dyn Watcher) -> Tensor<4> {
        let mut x = self.band_split.forward(spectrum);
        watcher.output("band_split", &|| by_frame(&x));
        let mut earlier: Option<Tensor<4>> = None;
        for (index, [time, frequency]) in self.layers.iter().enumerate() {
            if let Some(earlier) = &earlier {
                x = x + earlier.clone();
            }
            x = time.forward(x);
            watcher.output(&format!("layers.{index}.0"), &|| sequences(&x, Axis::Frames));
            x = frequency.forward(x);
            watcher.output(&format!("layers.{index}.1"), &|| sequences(&x, Axis::Rows));
            if self.skip_connection {
                earlier = Some(match earlier {
                    Some(earlier) => earlier + x.clone(),
                    None => x.clone(),
                });
            }
        }
        if let Some(norm) = &self.final_norm {
            x = norm.forward(x);
            watcher.output("final_norm", &|| by_frame(&x));
        }
        watcher.part("transformers");
        x
    }

    /// Returns the spectrum of one stem, from the state that [`Self::features`] returned.
    ///
    /// # Shapes
    ///
    /// - `x`: `[batch, dim, bands, frames]`
    /// - `spectrum` and output: `[batch, 4, bins, frames]`
    ///
    /// # Panics
    ///
    /// If the stem was not loaded.
    pub(crate) fn stem(&self, x: Tensor<4>, spectrum: &Tensor<4>, stem: usize, watcher: &mut dyn Watcher) -> Tensor<4> {
        let y = masked(spectrum, &self.mask(x, stem, watcher));
        let y = if self.zero_dc {
            let bins = y.dims()[2];
            Tensor::cat(vec![y.clone().narrow(2, 0, 1).zeros_like(), y.narrow(2, 1, bins - 1)], 2)
        } else {
            y
        };
        watcher.part("masks");
        y
    }

    /// Returns the mask of one stem, before bin 0 is set to zero.
    ///
    /// # Shapes
    ///
    /// - `x`: `[batch, dim, bands, frames]`
    /// - output: `[batch, 4, bins, frames]`
    ///
    /// # Panics
    ///
    /// If the stem was not loaded.
    pub(super) fn mask(&self, x: Tensor<4>, stem: usize, watcher: &mut dyn Watcher) -> Tensor<4> {
        let estimator = self.estimators[stem].as_ref().expect("a stem that was loaded");
        let masks = estimator.forward(x);
        watcher.output(&format!("mask_estimators.{stem}"), &|| {
            let [batch, rows, _, frames] = masks.dims();
            masks.clone().reshape([batch, 4 * rows, frames]).swap_dims(1, 2).into_data()
        });
        let mask = match &self.joining {
            Some(joining) => joining.forward(&masks),
            None => masks,
        };
        mask.swap_dims(1, 2)
    }
}

impl SpectralConfig for RoformerConfig {
    type Network = Roformer;

    fn common(&self) -> &Common {
        &self.common
    }

    fn spectra(&self) -> Spectra {
        Spectra::new(self.common.nfft, self.common.hop, Window::Hann, false)
    }

    fn load(
        &self,
        stems: &[usize],
        file: &dyn Tensors,
        device: &Device,
        format: Format,
    ) -> Result<Roformer, WeightsError> {
        Roformer::load(self, stems, file, device, format)
    }
}

/// Panics if a stem was not loaded.
impl SpectralNetwork for Roformer {
    fn forward(&self, x: Tensor<4>, wanted: &[usize], watcher: &mut dyn Watcher) -> Tensor<4> {
        let state = self.features(x.clone(), watcher);
        let stems = wanted.iter().map(|&stem| self.stem(state.clone(), &x, stem, watcher));
        Tensor::cat(stems.collect(), 1)
    }
}

/// Multiplies complex values of two channels.
///
/// # Shapes
///
/// - `spectrum`, `mask` and output: `[batch, 4, bins, frames]`
fn masked(spectrum: &Tensor<4>, mask: &Tensor<4>) -> Tensor<4> {
    let part = |x: &Tensor<4>, index: usize| x.clone().narrow(1, index, 1);
    let channel = |re: usize| {
        let [a, b, c, d] = [part(spectrum, re), part(spectrum, re + 1), part(mask, re), part(mask, re + 1)];
        [a.clone() * c.clone() - b.clone() * d.clone(), a * d + b * c]
    };
    Tensor::cat([channel(0), channel(2)].concat(), 1)
}

/// Returns values in the reference's layout `[batch, frames, bands, dim]`.
fn by_frame(x: &Tensor<4>) -> TensorData {
    x.clone().permute([0, 3, 2, 1]).into_data()
}

/// Returns values in the reference's layout of a transformer along an axis: `[sequences, positions, dim]`.
pub(super) fn sequences(x: &Tensor<4>, axis: Axis) -> TensorData {
    let [batch, dim, bands, frames] = x.dims();
    match axis {
        Axis::Frames => x.clone().permute([0, 2, 3, 1]).reshape([batch * bands, frames, dim]).into_data(),
        Axis::Rows => x.clone().permute([0, 3, 2, 1]).reshape([batch * frames, bands, dim]).into_data(),
    }
}

/// Blocks along one axis, and a norm in Mel-Band RoFormer.
#[derive(Debug)]
pub(super) struct Transformer {
    pub(super) axis: Axis,
    pub(super) blocks: Vec<Block>,
    pub(super) norm: Option<Norm>,
}

impl Transformer {
    /// # Shapes
    ///
    /// - `x` and output: `[batch, dim, bands, frames]`
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = self.blocks.iter().fold(x, |x, block| block.feed(block.attend(x, self.axis)));
        match &self.norm {
            Some(norm) => norm.forward(x),
            None => x,
        }
    }
}

/// Returns the rotation of the blocks of an axis that have none of their own: a file may store it under one name only,
/// or not at all.
fn shared_rotation(root: &Loader<'_>, config: &RoformerConfig, axis: usize) -> Result<Arc<Rotation>, WeightsError> {
    let blocks = (0..config.depth).flat_map(|layer| (0..config.axis_depths[axis]).map(move |block| (layer, block)));
    let stored = blocks.map(|(layer, block)| frequencies(layer, axis, block)).find(|key| root.has(key));
    Ok(Rotation::new(match stored {
        Some(key) => root.values(&key, [config.dim_head / 2])?,
        None => Rotation::frequencies(config.dim_head),
    }))
}

/// Returns the rotation that is stored under a key, or else the shared one.
fn rotation(
    root: &Loader<'_>,
    config: &RoformerConfig,
    key: &str,
    shared: &Arc<Rotation>,
) -> Result<Arc<Rotation>, WeightsError> {
    if !root.has(key) {
        return Ok(shared.clone());
    }
    let own = Rotation::new(root.values(key, [config.dim_head / 2])?);
    Ok(if own.is_same(shared) { shared.clone() } else { own })
}

/// Takes the mean over the bands of each bin, in rounds: each round adds one band's share to every bin.
#[derive(Debug)]
struct Joining(Vec<Round>);

/// The row of each bin among those of all bands, and its share.
#[derive(Debug)]
struct Round {
    rows: Tensor<1, Int>,
    shares: Tensor<4>,
}

impl Joining {
    fn new(config: &RoformerConfig, root: &Loader<'_>, device: &Device) -> Self {
        let bins = config.common.bins();
        let mut of_bin = vec![Vec::new(); bins];
        let mut row = 0_i32;
        for band in &config.bands {
            for rows in &mut of_bin[band.first..band.first + band.bins] {
                rows.push(row);
                row += 1;
            }
        }
        let coverage = coverage(&config.bands, bins);
        let rounds = (0..coverage.iter().copied().max().unwrap_or_default()).map(|round| {
            // Bins with fewer bands add nothing.
            let rows: Vec<i32> = of_bin.iter().map(|rows| rows.get(round).copied().unwrap_or(rows[0])).collect();
            #[expect(clippy::cast_precision_loss, reason = "at most 512 bands")]
            let share = |&bands: &usize| if round < bands { 1.0 / bands as f32 } else { 0.0 };
            Round {
                rows: Tensor::from_data(TensorData::new(rows, [bins]), device),
                shares: root.on_device(coverage.iter().map(share).collect(), [1, bins, 1, 1]),
            }
        });
        Self(rounds.collect())
    }

    /// # Shapes
    ///
    /// - `masks`: `[batch, bins of all bands, 4, frames]`
    /// - output: `[batch, bins, 4, frames]`
    fn forward(&self, masks: &Tensor<4>) -> Tensor<4> {
        let shares = self.0.iter().map(|Round { rows, shares }| masks.clone().select(1, rows.clone()) * shares.clone());
        shares.reduce(|sum, share| sum + share).expect("every bin is in a band")
    }
}
