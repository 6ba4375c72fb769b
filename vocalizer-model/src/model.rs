//! A model ready to run: one network, or a bag of them with weights.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;
use vocalizer_core::part::Stem;

use crate::Error;
use crate::dsp::stft::Stft;
use crate::htdemucs::{Htdemucs, HtdemucsConfig, Watcher};
use crate::weights::{self, WeightsError, WeightsFile};

/// A separation model in memory.
pub struct Model {
    pub(crate) members: Vec<Member>,
    sources: Vec<Stem>,
}

impl Model {
    /// The model of this name from the cache, fetched first where it is not there yet.
    ///
    /// # Errors
    ///
    /// [`Error::Weights`] where there is no such model, or its weights cannot be had or do not check.
    pub fn named(name: &str) -> Result<Self, Error> {
        let spec = weights::find(name)?;
        let cache = weights::Cache::locate()?;
        #[cfg(feature = "fetch")]
        weights::fetch(spec, &cache, &mut weights::NoListener)?;
        Self::cached(spec, &cache)
    }

    /// A model whose weights are in the cache already.
    ///
    /// # Errors
    ///
    /// [`Error::WeightsFile`] where a file is missing or does not hold what it should.
    pub fn cached(spec: &weights::ModelSpec, cache: &weights::Cache) -> Result<Self, Error> {
        let members = spec
            .members
            .iter()
            .zip(spec.weights)
            .map(|(member, mix)| Member::open(&cache.member_path(member), Some(member), mix))
            .collect::<Result<Vec<_>, _>>()?;
        Self::of(members)
    }

    /// A model from one weights file: safetensors with the class and its arguments in the metadata.
    ///
    /// # Errors
    ///
    /// [`Error::WeightsFile`] where the file cannot be read, lacks a tensor, or holds one of another shape.
    pub fn from_file(path: &Path) -> Result<Self, Error> {
        Self::of(vec![Member::open(path, None, &[])?])
    }

    fn of(members: Vec<Member>) -> Result<Self, Error> {
        let sources = members.first().map(|m| m.config.sources.clone()).unwrap_or_default();
        let agree = members.iter().all(|m| m.config.sources == sources && m.mix.len() == sources.len());
        if sources.is_empty() || !agree {
            return Err(WeightsError::Malformed("the members of the model do not agree on its stems".into()).into());
        }
        Ok(Self { members, sources })
    }

    /// The stems this model gives, in its own order.
    pub fn sources(&self) -> &[Stem] {
        &self.sources
    }

    /// What it computes on.
    pub fn device(&self) -> &'static str {
        "cpu"
    }

    /// The rate the model works at, in Hz.
    pub fn rate_hz(&self) -> u32 {
        44_100
    }

    /// The longest segment the model takes, in frames at [`Self::rate_hz`].
    pub fn segment_frames(&self) -> usize {
        self.members.iter().map(|m| m.config.segment_frames).min().unwrap_or_default()
    }
}

/// One network of a bag.
pub(crate) struct Member {
    net: Htdemucs,
    pub(crate) config: HtdemucsConfig,
    /// How much it counts for each stem.
    pub(crate) mix: Vec<f32>,
    stft: Stft,
    device: Device,
}

impl Member {
    fn open(path: &Path, published: Option<&weights::MemberSpec>, mix: &[f32]) -> Result<Self, Error> {
        let wrap = |source| Error::WeightsFile { path: path.to_owned(), source };
        let file = WeightsFile::open(path).map_err(wrap)?;
        file.check().map_err(wrap)?;
        let config = HtdemucsConfig::from_kwargs(file.kwargs()).map_err(wrap)?;
        let device = Device::flex();
        let verify = || published.map_or(Ok(()), |published| file.verify(published));
        let (verified, net) = rayon::join(verify, || Htdemucs::load(&config, &file, &device));
        verified.map_err(wrap)?;
        let net = net.map_err(wrap)?;
        let mix = if mix.is_empty() { vec![1.0; config.sources.len()] } else { mix.to_vec() };
        let stft = Stft::new(config.nfft);
        Ok(Self { net, config, mix, stft, device })
    }

    /// Separates one segment of at most `segment_frames`; a shorter one is followed by silence.
    ///
    /// # Shapes
    ///
    /// - `segment`: `[2][frames]`
    /// - output: `[sources][2][frames]`
    pub(crate) fn forward(&self, segment: [Vec<f32>; 2], watcher: &mut dyn Watcher) -> Vec<[Vec<f32>; 2]> {
        let wanted = segment[0].len();
        let samples = self.config.segment_frames;
        let mut segment = segment.to_vec();
        segment.iter_mut().for_each(|channel| channel.resize(samples, 0.0));
        let channels = segment.len();

        let mut spectrum = self.stft.analyse_all(&segment);
        let (bins, frames) = (self.stft.bins(), self.stft.frames(samples));
        let scale = Scale::take(&mut spectrum);
        let mut wave = segment.concat();
        let scale_t = Scale::take(&mut wave);

        let x = Tensor::from_data(TensorData::new(spectrum, [1, 2 * channels, bins, frames]), &self.device);
        let xt = Tensor::from_data(TensorData::new(wave, [1, channels, samples]), &self.device);
        watcher.part("stft");
        let (x, xt) = self.net.forward(x, xt, watcher);
        let (x, xt) = (x.into_data(), xt.into_data());
        let (x, xt) = (floats(&x), floats(&xt));

        let mut out: Vec<Vec<f32>> = xt.chunks(samples).map(|c| c.iter().map(|v| scale_t.undo(*v)).collect()).collect();
        out.par_iter_mut().zip(x.par_chunks(2 * bins * frames)).for_each(|(signal, planes)| {
            self.stft.synthesise(planes, |v| scale.undo(v), signal);
            signal.truncate(wanted);
        });
        watcher.part("inverse stft");
        let mut out = out.into_iter();
        std::iter::from_fn(|| Some([out.next()?, out.next()?])).collect()
    }
}

fn floats(data: &TensorData) -> &[f32] {
    data.as_slice().expect("the network computes in f32")
}

/// The sum of what `of` makes of each value, in an order that does not depend on the threads.
fn sum(values: &[f32], of: impl Fn(f64) -> f64 + Sync) -> f64 {
    let parts = values.par_chunks(1 << 14).map(|part| part.iter().map(|&v| of(f64::from(v))).sum::<f64>());
    parts.collect::<Vec<_>>().into_iter().sum()
}

/// The normalisation of one network input: mean out, unbiased standard deviation to one.
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
