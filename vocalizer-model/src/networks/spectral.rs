//! Networks that map the spectrum of the song to the spectra of the stems.

use std::sync::Arc;

use burn::tensor::{DType, Device, Tensor};
use rayon::prelude::*;
use vocalizer_core::part::Stem;

use super::network::pairs;
use super::toolkit::Common;
use super::{Chunking, Format, Level, Network, NetworkConfig, Outputs, Segment, Watcher};
use crate::dsp::spectra::Spectra;
use crate::ops;
use crate::weights::{Tensors, WeightsError, WeightsFile, stems_of};

/// The configuration of a network between a spectrum and the spectra of its stems.
pub(super) trait SpectralConfig: Send + Sync {
    type Network: SpectralNetwork + 'static;

    fn common(&self) -> &Common;

    /// Returns the transform before the network and after it.
    fn spectra(&self) -> Spectra;

    /// Loads the network. It separates at least `stems`, which are positions among its own.
    ///
    /// # Errors
    ///
    /// [`WeightsError::MissingKey`] or [`WeightsError::WrongShape`] if the file does not match the configuration.
    fn load(
        &self,
        stems: &[usize],
        file: &dyn Tensors,
        device: &Device,
        format: Format,
    ) -> Result<Self::Network, WeightsError>;
}

/// A network between a spectrum and the spectra of its stems.
pub(super) trait SpectralNetwork: Send + Sync {
    /// # Shapes
    ///
    /// - `x`: `[batch, 4, bins, frames]`: left real, left imaginary, right real, right imaginary
    /// - `wanted`: positions of stems
    /// - output: `[batch, 4 * wanted, bins, frames]`
    fn forward(&self, x: Tensor<4>, wanted: &[usize], watcher: &mut dyn Watcher) -> Tensor<4>;

    /// Returns the length to which a segment is extended with silence.
    fn padded(&self, samples: usize) -> usize {
        samples
    }
}

/// A configuration with its stems.
pub(super) struct Configured<C> {
    config: C,
    stems: Stems,
}

impl<C: SpectralConfig> Configured<C> {
    /// # Errors
    ///
    /// [`WeightsError::Unsupported`] if an instrument's name cannot be the name of a stem, or two stems have the same.
    pub(super) fn new(config: C) -> Result<Self, WeightsError> {
        let Common { stems, instruments, .. } = config.common();
        let stems = Stems { sources: stems_of(stems, instruments)?, separated: stems.len() };
        Ok(Self { config, stems })
    }
}

impl<C: SpectralConfig> NetworkConfig for Configured<C> {
    fn sources(&self) -> &[Stem] {
        &self.stems.sources
    }

    fn segment_frames(&self) -> usize {
        self.config.common().chunk_frames
    }

    fn chunking(&self) -> Chunking {
        Chunking::Fades(self.config.common().num_overlap)
    }

    fn level(&self) -> Level {
        if self.config.common().normalize { Level::Population } else { Level::Unchanged }
    }

    fn load(
        &self,
        stems: &[usize],
        file: &WeightsFile,
        device: &Device,
        format: Format,
    ) -> Result<Box<dyn Network>, WeightsError> {
        let network = self.config.load(&self.stems.heads(stems), file, device, format)?;
        let spectra = Arc::new(self.config.spectra());
        Ok(Box::new(Spectral {
            network,
            spectra,
            stems: self.stems.clone(),
            device: device.clone(),
            dtype: format.values,
        }))
    }
}

/// The stems of a network: what it separates, and perhaps what this leaves of the song.
#[derive(Clone)]
struct Stems {
    /// All stems.
    sources: Vec<Stem>,
    /// Number of stems that the network separates. The stem after these is what they leave.
    separated: usize,
}

impl Stems {
    /// Returns what the network must separate for some of its stems. What it leaves of the song needs all that it separates.
    fn heads(&self, wanted: &[usize]) -> Vec<usize> {
        let has_rest = wanted.contains(&self.separated);
        (0..self.separated).filter(|stem| has_rest || wanted.contains(stem)).collect()
    }
}

/// A network on a device, with its transform.
struct Spectral<N> {
    network: N,
    spectra: Arc<Spectra>,
    stems: Stems,
    device: Device,
    dtype: DType,
}

impl<N: SpectralNetwork> Network for Spectral<N> {
    fn submit(&self, segments: &[Segment], wanted: &[usize], watcher: &mut dyn Watcher) -> Result<Outputs, String> {
        let batch = segments.len();
        let frames = segments.first().map_or(0, |[left, _]| left.len());
        let samples = self.network.padded(frames);
        let heads = self.stems.heads(wanted);
        let mut signals: Vec<Vec<f32>> = segments.iter().flatten().cloned().collect();
        signals.par_iter_mut().for_each(|signal| signal.resize(samples, 0.0));
        let shape = [batch, 4, self.spectra.bins(), self.spectra.frames(samples)];
        let x = ops::data(self.spectra.analyse_all(&signals), shape);
        let x = Tensor::from_data(x, (&self.device, self.dtype));
        watcher.part("stft");
        let y = self.network.forward(x, &heads, watcher);
        let (spectra, wanted) = (self.spectra.clone(), wanted.to_vec());
        Ok(Box::new(move |watcher| {
            let y = y.try_into_data().map_err(|e| e.to_string())?.convert::<f32>();
            let y: &[f32] = y.as_slice().map_err(|e| e.to_string())?;
            let plane = 2 * shape[2] * shape[3];
            let synthesise = |planes: &[f32]| {
                let mut out = vec![0.0; samples];
                spectra.synthesise(planes, &mut out);
                out.truncate(frames);
                out
            };
            // One after the other, because each of them is computed in parallel.
            let separated = pairs(y.chunks(plane).map(synthesise).collect(), [batch, heads.len()]);
            let stems = separated.into_iter().zip(signals.chunks(2)).map(|(mut stems, song)| {
                if !wanted.iter().all(|stem| heads.contains(stem)) {
                    stems.push(rest(song, &stems));
                }
                let place = |stem: &usize| heads.iter().position(|head| head == stem).unwrap_or(heads.len());
                wanted.iter().map(|stem| std::mem::take(&mut stems[place(stem)])).collect()
            });
            let stems = stems.collect();
            watcher.part("inverse stft");
            Ok(stems)
        }))
    }
}

/// Returns the song without the stems.
fn rest(song: &[Vec<f32>], stems: &[Segment]) -> Segment {
    [0, 1].map(|channel| {
        let mut rest = song[channel].clone();
        for stem in stems {
            rest.truncate(stem[channel].len());
            rest.iter_mut().zip(&stem[channel]).for_each(|(rest, value)| *rest -= value);
        }
        rest
    })
}
