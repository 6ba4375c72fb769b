//! The whole network.

use burn::module::{Module, Param};
use burn::nn::conv::Conv1d;
use burn::tensor::{Device, Tensor, TensorData};

use super::config::HtdemucsConfig;
use super::decoder::{FreqDecoder, TimeDecoder};
use super::encoder::{FreqEncoder, TimeEncoder};
use super::layers::conv1d;
use super::loader::Loader;
use super::transformer::CrossTransformer;
use crate::weights::{WeightsError, WeightsFile};

/// HTDemucs: two U-nets, over the spectrogram and over the waveform, joined by a transformer.
///
/// What goes in is normalised and what comes out is not yet scaled back: both are the caller's, on the host, beside the
/// STFT and its inverse.
#[derive(Module, Debug)]
pub(crate) struct Htdemucs {
    encoder: Vec<FreqEncoder>,
    tencoder: Vec<TimeEncoder>,
    /// Embedding of the frequencies after the first layer, `[frequencies, channels]`, scaled for use.
    freq_emb: Option<Param<Tensor<2>>>,
    samplers: Option<Samplers>,
    crosstransformer: CrossTransformer,
    decoder: Vec<FreqDecoder>,
    tdecoder: Vec<TimeDecoder>,
}

/// The 1×1 convolutions that give the transformer its own width.
#[derive(Module, Debug)]
struct Samplers {
    channel_upsampler: Conv1d,
    channel_downsampler: Conv1d,
    channel_upsampler_t: Conv1d,
    channel_downsampler_t: Conv1d,
}

/// Someone who looks on while a segment passes through.
pub(crate) trait Watcher {
    /// The module of this name gave what `values` reads.
    fn output(&mut self, _name: &str, _values: &dyn Fn() -> TensorData) {}
    /// The part of the work that goes by this name is done.
    fn part(&mut self, _name: &'static str) {}
}

impl Watcher for () {}

impl Htdemucs {
    /// Builds the network from its weights.
    ///
    /// # Errors
    ///
    /// [`WeightsError::MissingKey`] or [`WeightsError::WrongShape`] where the file does not hold what the
    /// configuration asks for.
    pub(crate) fn load(config: &HtdemucsConfig, file: &WeightsFile, device: &Device) -> Result<Self, WeightsError> {
        let root = Loader::new(file, device);
        let audio = config.audio_channels;
        let stems = config.sources.len() * audio;
        let into = |index: usize, outer: usize| if index == 0 { outer } else { config.channels_at(index - 1) };
        let layers = 0..config.depth;

        let encoder = layers
            .clone()
            .map(|i| FreqEncoder::load(&root.at("encoder").at(i), config, [into(i, 2 * audio), config.channels_at(i)]));
        let tencoder = layers
            .clone()
            .map(|i| TimeEncoder::load(&root.at("tencoder").at(i), config, [into(i, audio), config.channels_at(i)]));
        // Decoder layer 0 is the innermost.
        let decoder = layers.clone().rev().enumerate().map(|(i, level)| {
            let channels = [config.channels_at(level), into(level, 2 * stems)];
            FreqDecoder::load(&root.at("decoder").at(i), config, channels, level == 0)
        });
        let tdecoder = layers.rev().enumerate().map(|(i, level)| {
            let channels = [config.channels_at(level), into(level, stems)];
            TimeDecoder::load(&root.at("tdecoder").at(i), config, channels, level == 0)
        });
        let freq_emb = (config.freq_emb > 0.0)
            .then(|| {
                let shape = [config.nfft / 2 / config.stride, config.channels];
                let table = root.at("freq_emb.embedding").tensor("weight", shape)?;
                Ok::<_, WeightsError>(Param::from_tensor(table * (config.emb_scale * config.freq_emb)))
            })
            .transpose()?;
        let samplers = (config.bottom_channels > 0)
            .then(|| {
                let (outer, inner) = (config.channels_at(config.depth - 1), config.bottom_channels);
                let sampler = |name: &str, channels| conv1d(&root.at(name), channels, [1, 1, 0, 1]);
                Ok::<_, WeightsError>(Samplers {
                    channel_upsampler: sampler("channel_upsampler", [outer, inner])?,
                    channel_downsampler: sampler("channel_downsampler", [inner, outer])?,
                    channel_upsampler_t: sampler("channel_upsampler_t", [outer, inner])?,
                    channel_downsampler_t: sampler("channel_downsampler_t", [inner, outer])?,
                })
            })
            .transpose()?;
        Ok(Self {
            encoder: encoder.collect::<Result<_, _>>()?,
            tencoder: tencoder.collect::<Result<_, _>>()?,
            freq_emb,
            samplers,
            crosstransformer: CrossTransformer::load(&root.at("crosstransformer"), config)?,
            decoder: decoder.collect::<Result<_, _>>()?,
            tdecoder: tdecoder.collect::<Result<_, _>>()?,
        })
    }

    /// One pass over a batch of segments.
    ///
    /// # Shapes
    ///
    /// - `x`: `[batch, 2 * audio_channels, nfft / 2, frames]`, the normalised spectrogram, real and imaginary parts
    ///   as channels
    /// - `xt`: `[batch, audio_channels, samples]`, the normalised waveform
    /// - output: `[batch, sources * 2 * audio_channels, nfft / 2, frames]` and
    ///   `[batch, sources * audio_channels, samples]`
    pub(crate) fn forward(&self, x: Tensor<4>, xt: Tensor<3>, watcher: &mut dyn Watcher) -> (Tensor<4>, Tensor<3>) {
        let (mut x, mut xt) = (x, xt);
        let (mut skips, mut skips_t, mut lengths_t) = (Vec::new(), Vec::new(), Vec::new());
        for (i, (encode, tencode)) in self.encoder.iter().zip(&self.tencoder).enumerate() {
            lengths_t.push(xt.dims()[2]);
            xt = tencode.forward(xt);
            watcher.output(&format!("tencoder.{i}"), &|| xt.to_data());
            skips_t.push(xt.clone());
            x = encode.forward(x);
            watcher.output(&format!("encoder.{i}"), &|| x.to_data());
            if let (0, Some(table)) = (i, &self.freq_emb) {
                let [freqs, channels] = table.dims();
                x = x + table.val().transpose().reshape([1, channels, freqs, 1]);
            }
            skips.push(x.clone());
        }
        watcher.part("encoder");
        (x, xt) = self.bottom(x, xt, watcher);
        watcher.part("transformer");
        for (i, (decode, tdecode)) in self.decoder.iter().zip(&self.tdecoder).enumerate() {
            let (Some(skip), Some(skip_t), Some(length_t)) = (skips.pop(), skips_t.pop(), lengths_t.pop()) else {
                unreachable!("as many skips as layers");
            };
            x = decode.forward(x, skip);
            watcher.output(&format!("decoder.{i}"), &|| x.to_data());
            xt = tdecode.forward(xt, skip_t, length_t);
            watcher.output(&format!("tdecoder.{i}"), &|| xt.to_data());
        }
        watcher.part("decoder");
        (x, xt)
    }

    fn bottom(&self, x: Tensor<4>, xt: Tensor<3>, watcher: &mut dyn Watcher) -> (Tensor<4>, Tensor<3>) {
        let Some(samplers) = &self.samplers else { return self.transform(x, xt, watcher) };
        let [batch, outer, freqs, frames] = x.dims();
        let x = samplers.channel_upsampler.forward(x.reshape([batch, outer, freqs * frames]));
        let inner = x.dims()[1];
        watcher.output("channel_upsampler", &|| x.to_data());
        let xt = samplers.channel_upsampler_t.forward(xt);
        watcher.output("channel_upsampler_t", &|| xt.to_data());
        let (x, xt) = self.transform(x.reshape([batch, inner, freqs, frames]), xt, watcher);
        let x = samplers.channel_downsampler.forward(x.reshape([batch, inner, freqs * frames]));
        watcher.output("channel_downsampler", &|| x.to_data());
        let xt = samplers.channel_downsampler_t.forward(xt);
        watcher.output("channel_downsampler_t", &|| xt.to_data());
        (x.reshape([batch, outer, freqs, frames]), xt)
    }

    fn transform(&self, x: Tensor<4>, xt: Tensor<3>, watcher: &mut dyn Watcher) -> (Tensor<4>, Tensor<3>) {
        let (x, xt) = self.crosstransformer.forward(x, xt, watcher);
        watcher.output("crosstransformer", &|| x.to_data());
        watcher.output("crosstransformer#1", &|| xt.to_data());
        (x, xt)
    }
}
