//! The network with its spectra: from segments to stems.

use std::sync::Arc;

use burn::tensor::{DType, Device, Tensor, TensorData, Transaction};
use rayon::prelude::*;
use vocalizer_core::part::Stem;

use super::config::HtdemucsConfig;
use super::model::Htdemucs;
use crate::dsp::stft::Stft;
use crate::networks::network::pairs;
use crate::networks::{Chunking, Format, Level, Network, NetworkConfig, Outputs, Segment, Watcher};
use crate::ops;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
use crate::ops::{settle, spectrum};
use crate::weights::{WeightsError, WeightsFile};

impl NetworkConfig for HtdemucsConfig {
    fn sources(&self) -> &[Stem] {
        &self.sources
    }

    fn segment_frames(&self) -> usize {
        self.segment_frames
    }

    fn chunking(&self) -> Chunking {
        Chunking::Triangle
    }

    fn level(&self) -> Level {
        Level::Unbiased
    }

    /// Loads all stems, which the network computes together.
    fn load(
        &self,
        _: &[usize],
        file: &WeightsFile,
        device: &Device,
        format: Format,
    ) -> Result<Box<dyn Network>, WeightsError> {
        let stft = Stft::new(self.nfft);
        Ok(Box::new(OnDevice {
            network: Htdemucs::load(self, file, device, format)?,
            sources: self.sources.len(),
            samples: self.segment_frames,
            device: device.clone(),
            dtype: format.values,
            #[cfg(any(feature = "wgpu", feature = "cuda"))]
            tables: spectrum::supports(device, self.nfft)
                .then(|| Tensor::from_data(TensorData::new(stft.tables(), [3 * self.nfft]), (device, DType::F32))),
            stft: Arc::new(stft),
        }))
    }
}

/// The network on a device.
struct OnDevice {
    network: Htdemucs,
    stft: Arc<Stft>,
    sources: usize,
    /// Frames of a segment. Shorter segments are padded with silence.
    samples: usize,
    device: Device,
    dtype: DType,
    /// Tables for spectra on the GPU. If `None`, the CPU computes the spectra.
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    tables: Option<Tensor<1>>,
}

impl Network for OnDevice {
    fn submit(&self, segments: &[Segment], wanted: &[usize], watcher: &mut dyn Watcher) -> Result<Outputs, String> {
        let (batch, channels, samples) = (segments.len(), 2, self.samples);
        let frames = segments.first().map_or(0, |[left, _]| left.len());
        let mut signals: Vec<Vec<f32>> = segments.iter().flatten().cloned().collect();
        signals.par_iter_mut().for_each(|signal| signal.resize(samples, 0.0));
        let wanted = Wanted { sources: self.sources, wanted: wanted.to_vec(), frames };
        #[cfg(any(feature = "wgpu", feature = "cuda"))]
        if let Some(tables) = &self.tables {
            let wave = TensorData::new(signals.concat(), [batch, channels, samples]);
            let wave = Tensor::from_data(wave, (&self.device, DType::F32));
            let (x, xt, undo) = spectrum::analyse(wave, tables, self.dtype);
            settle(&self.device);
            watcher.part("stft");
            let (x, xt) = self.network.forward(x, xt, watcher);
            let stems = spectrum::synthesise(x, xt, undo, tables);
            return Ok(Box::new(move |watcher| {
                let stems = stems.try_into_data().map_err(|e| e.to_string())?;
                let stems: Vec<_> = floats(&stems)?.par_chunks(samples).collect();
                let out =
                    wanted.signals(batch).into_par_iter().map(|signal| stems[signal][..frames].to_vec()).collect();
                watcher.part("inverse stft");
                Ok(wanted.pairs(out, batch))
            }));
        }
        let (bins, spectra) = (self.stft.bins(), self.stft.frames(samples));
        let mut spectrum = self.stft.analyse_all(&signals);
        let mut wave = signals.concat();
        let each = |values: &mut [f32]| {
            let len = values.len() / batch;
            values.chunks_mut(len).map(Scale::take).collect::<Vec<_>>()
        };
        let scales: Vec<_> = each(&mut spectrum).into_iter().zip(each(&mut wave)).collect();
        let spectrum = ops::data(spectrum, [batch, 2 * channels, bins, spectra]);
        let wave = TensorData::new(wave, [batch, channels, samples]);
        let x = Tensor::from_data(spectrum, (&self.device, self.dtype));
        let xt = Tensor::from_data(wave, (&self.device, self.dtype));
        watcher.part("stft");
        let (x, xt) = self.network.forward(x, xt, watcher);
        let stft = self.stft.clone();
        Ok(Box::new(move |watcher| {
            let read = Transaction::default().register(x).register(xt).try_execute().map_err(|e| e.to_string())?;
            let read: Vec<_> = read.into_iter().map(|data| data.convert::<f32>()).collect();
            let [x, xt] = read.try_into().map_err(|_| "the network did not return two outputs".to_owned())?;
            let (x, xt) = (floats(&x)?, floats(&xt)?);
            let plane = 2 * bins * spectra;
            let synthesise = |signal: usize| {
                let (scale, scale_t) = scales[signal / (2 * wanted.sources)];
                let mut out: Vec<_> = xt[signal * samples..][..samples].iter().map(|&v| scale_t.undo(v)).collect();
                stft.synthesise(&x[signal * plane..][..plane], |v| scale.undo(v), &mut out);
                out.truncate(wanted.frames);
                out
            };
            let out = wanted.signals(batch).into_par_iter().map(synthesise).collect();
            watcher.part("inverse stft");
            Ok(wanted.pairs(out, batch))
        }))
    }
}

/// Which of the network's outputs to read.
struct Wanted {
    sources: usize,
    wanted: Vec<usize>,
    frames: usize,
}

impl Wanted {
    /// Returns the positions of the wanted signals in the network's output, left and right of each stem.
    fn signals(&self, batch: usize) -> Vec<usize> {
        let stems = (0..batch).flat_map(|item| self.wanted.iter().map(move |stem| item * self.sources + stem));
        stems.flat_map(|stem| [2 * stem, 2 * stem + 1]).collect()
    }

    fn pairs(&self, signals: Vec<Vec<f32>>, batch: usize) -> Vec<Vec<Segment>> {
        pairs(signals, [batch, self.wanted.len()])
    }
}

fn floats(data: &TensorData) -> Result<&[f32], String> {
    data.as_slice().map_err(|e| e.to_string())
}

/// Returns the sum of `of` over the values, in an order that does not depend on the number of threads.
fn sum(values: &[f32], of: impl Fn(f64) -> f64 + Sync) -> f64 {
    let parts = values.par_chunks(1 << 14).map(|part| part.iter().map(|&v| of(f64::from(v))).sum::<f64>());
    parts.collect::<Vec<_>>().into_iter().sum()
}

/// The normalisation of one network input to mean 0 and unbiased standard deviation 1.
#[derive(Clone, Copy)]
struct Scale {
    mean: f32,
    std: f32,
}

impl Scale {
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "counts below 2^53; used as f32")]
    fn take(values: &mut [f32]) -> Self {
        let n = values.len() as f64;
        let mean = sum(values, |v| v) / n;
        let squares = sum(values, |v| (v - mean).powi(2));
        let (mean, std) = (mean as f32, (squares / (n - 1.0).max(1.0)).sqrt() as f32);
        let divisor = 1e-5 + std;
        values.par_iter_mut().for_each(|v| *v = (*v - mean) / divisor);
        Self { mean, std }
    }

    fn undo(self, value: f32) -> f32 {
        value * self.std + self.mean
    }
}
