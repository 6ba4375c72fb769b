//! Networks that map the spectrum of the song to the spectra of the stems.

use std::sync::Arc;

use burn::tensor::{DType, Device, Tensor, TensorData};
use rayon::prelude::*;
use vocalizer_core::part::Stem;

use super::network::pairs;
use super::{Network, Outputs, Segment, Watcher};
use crate::dsp::spectra::Spectra;
use crate::weights::WeightsError;

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

/// The stems of a network: what it separates, and perhaps what this leaves of the song.
pub(super) struct Stems {
    /// All stems.
    pub(super) sources: Vec<Stem>,
    /// Number of stems that the network separates. The stem after these is what they leave.
    pub(super) separated: usize,
}

impl Stems {
    /// Reads the stems of a training configuration. A network with one target leaves the other instrument, or the
    /// instrumental.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Unsupported`] if a name cannot be the name of a stem, or two stems have the same.
    pub(super) fn read(separated: &[String], instruments: &[String]) -> Result<Self, WeightsError> {
        let stem = |name: &String| {
            let plain = name.trim().to_lowercase().replace(' ', "-");
            plain.parse::<Stem>().map_err(|e| WeightsError::Unsupported(e.to_string()))
        };
        let mut sources = separated.iter().map(stem).collect::<Result<Vec<_>, _>>()?;
        let separated = sources.len();
        if let [target] = sources[..] {
            let others = instruments.iter().map(stem).collect::<Result<Vec<_>, _>>()?;
            let others: Vec<_> = others.into_iter().filter(|&other| other != target).collect();
            sources.push(match others[..] {
                [other] => other,
                _ if target == Stem::INSTRUMENTAL => Stem::OTHER,
                _ => Stem::INSTRUMENTAL,
            });
        }
        match sources.iter().enumerate().find(|(at, stem)| sources[..*at].contains(stem)) {
            Some((_, stem)) => Err(WeightsError::Unsupported(format!("two stems of the name {stem}"))),
            None => Ok(Self { sources, separated }),
        }
    }
}

/// Such a network on a device, with its transform.
pub(super) struct Spectral<N> {
    pub(super) network: N,
    pub(super) spectra: Arc<Spectra>,
    /// Number of stems that the network separates. The stem after these is what they leave.
    pub(super) separated: usize,
    pub(super) device: Device,
    pub(super) dtype: DType,
}

impl<N: SpectralNetwork> Network for Spectral<N> {
    fn submit(&self, segments: &[Segment], wanted: &[usize], watcher: &mut dyn Watcher) -> Result<Outputs, String> {
        let batch = segments.len();
        let frames = segments.first().map_or(0, |[left, _]| left.len());
        let samples = self.network.padded(frames);
        let has_rest = wanted.contains(&self.separated);
        let heads: Vec<usize> = (0..self.separated).filter(|stem| has_rest || wanted.contains(stem)).collect();
        let mut signals: Vec<Vec<f32>> = segments.iter().flatten().cloned().collect();
        signals.par_iter_mut().for_each(|signal| signal.resize(samples, 0.0));
        let shape = [batch, 4, self.spectra.bins(), self.spectra.frames(samples)];
        let x = TensorData::new(self.spectra.analyse_all(&signals), shape);
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
            let separated = pairs(y.par_chunks(plane).map(synthesise).collect(), [batch, heads.len()]);
            let stems = separated.into_iter().zip(signals.chunks(2)).map(|(stems, song)| {
                let stem = |stem: &usize| match heads.iter().position(|head| head == stem) {
                    Some(place) => stems[place].clone(),
                    None => rest(song, &stems),
                };
                wanted.iter().map(stem).collect()
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
