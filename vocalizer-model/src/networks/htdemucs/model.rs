//! The complete network.

use burn::tensor::{Device, Tensor, TensorData};

use super::config::HtdemucsConfig;
use super::decoder::Decoder;
use super::encoder::Encoder;
use super::layers::layer;
use super::transformer::CrossTransformer;
use crate::networks::loader::Loader;
use crate::networks::{Format, Watcher};
use crate::ops::{self, Axis, Linear};
use crate::weights::{WeightsError, WeightsFile};

/// HTDemucs: a U-Net over the spectrogram and one over the waveform, joined by a transformer.
///
/// The caller normalises the input, scales the output back, and computes the STFT and its inverse.
#[derive(Debug)]
pub(crate) struct Htdemucs {
    encoder: Vec<Encoder>,
    tencoder: Vec<Encoder>,
    /// Frequency embedding after the first layer, `[channels, frequencies]`, already scaled.
    freq_emb: Option<Tensor<2>>,
    samplers: Option<Samplers>,
    crosstransformer: CrossTransformer,
    decoder: Vec<Decoder>,
    tdecoder: Vec<Decoder>,
}

/// The 1×1 convolutions between the U-Nets' and the transformer's channels.
#[derive(Debug)]
struct Samplers {
    channel_upsampler: Linear,
    channel_downsampler: Linear,
    channel_upsampler_t: Linear,
    channel_downsampler_t: Linear,
}

impl Htdemucs {
    /// Loads the network.
    ///
    /// # Errors
    ///
    /// [`WeightsError::MissingKey`] or [`WeightsError::WrongShape`] if the file does not match the configuration.
    pub(crate) fn load(
        config: &HtdemucsConfig,
        file: &WeightsFile,
        device: &Device,
        format: Format,
    ) -> Result<Self, WeightsError> {
        let root = Loader::new(file, device, format);
        let audio = config.audio_channels;
        let stems = config.sources.len() * audio;
        let into = |index: usize, outer: usize| if index == 0 { outer } else { config.channels_at(index - 1) };
        let layers = 0..config.depth;

        let encoder = layers.clone().map(|i| {
            Encoder::load(&root.at("encoder").at(i), config, Axis::Rows, [into(i, 2 * audio), config.channels_at(i)])
        });
        let tencoder = layers.clone().map(|i| {
            Encoder::load(&root.at("tencoder").at(i), config, Axis::Frames, [into(i, audio), config.channels_at(i)])
        });
        // Decoder layer 0 is the innermost.
        let decoder = layers.clone().rev().enumerate().map(|(i, level)| {
            let channels = [config.channels_at(level), into(level, 2 * stems)];
            Decoder::load(&root.at("decoder").at(i), config, Axis::Rows, channels, level == 0)
        });
        let tdecoder = layers.rev().enumerate().map(|(i, level)| {
            let channels = [config.channels_at(level), into(level, stems)];
            Decoder::load(&root.at("tdecoder").at(i), config, Axis::Frames, channels, level == 0)
        });
        let freq_emb = (config.freq_emb > 0.0)
            .then(|| {
                let shape = [config.nfft / 2 / config.stride, config.channels];
                let table: Tensor<2> = root.at("freq_emb.embedding").tensor("weight", shape)?;
                Ok::<_, WeightsError>(table.transpose() * (config.emb_scale * config.freq_emb))
            })
            .transpose()?;
        let samplers = (config.bottom_channels > 0)
            .then(|| {
                let (outer, inner) = (config.channels_at(config.depth - 1), config.bottom_channels);
                let sampler = |name: &str, [input, out]: [usize; 2]| layer(&root.at(name), [out, input, 1]);
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

    /// Runs the network on a batch of segments.
    ///
    /// # Shapes
    ///
    /// - `x`: `[batch, 2 * audio_channels, nfft / 2, frames]`, the normalised spectrogram, real and imaginary parts
    ///   as channels
    /// - `xt`: `[batch, audio_channels, samples]`, the normalised waveform
    /// - output: `[batch, sources * 2 * audio_channels, nfft / 2, frames]` and
    ///   `[batch, sources * audio_channels, samples]`
    pub(crate) fn forward(&self, x: Tensor<4>, xt: Tensor<3>, watcher: &mut dyn Watcher) -> (Tensor<4>, Tensor<3>) {
        let [batch, channels, samples] = xt.dims();
        let (mut x, mut xt) = (x, xt.reshape([batch, channels, 1, samples]));
        let (mut skips, mut skips_t, mut lengths_t) = (Vec::new(), Vec::new(), Vec::new());
        for (i, (encode, tencode)) in self.encoder.iter().zip(&self.tencoder).enumerate() {
            lengths_t.push(xt.dims()[3]);
            xt = tencode.forward(xt, None);
            watcher.output(&format!("tencoder.{i}"), &|| flat(&xt));
            skips_t.push(xt.clone());
            let embedding = self.freq_emb.as_ref().filter(|_| i == 0);
            x = encode.forward(x, embedding.cloned());
            watcher.output(&format!("encoder.{i}"), &|| match embedding {
                // The reference adds the embedding after the layer.
                Some(table) => (x.clone() - table.clone().unsqueeze::<3>().unsqueeze_dim(3)).to_data(),
                None => x.to_data(),
            });
            skips.push(x.clone());
        }
        watcher.part("encoder");
        (x, xt) = self.bottom(x, xt, watcher);
        watcher.part("transformer");
        for (i, (decode, tdecode)) in self.decoder.iter().zip(&self.tdecoder).enumerate() {
            let (Some(skip), Some(skip_t), Some(length_t)) = (skips.pop(), skips_t.pop(), lengths_t.pop()) else {
                unreachable!("one skip per layer");
            };
            let frames = x.dims()[3];
            x = decode.forward(x, skip, frames);
            watcher.output(&format!("decoder.{i}"), &|| x.to_data());
            xt = tdecode.forward(xt, skip_t, length_t);
            watcher.output(&format!("tdecoder.{i}"), &|| flat(&xt));
        }
        watcher.part("decoder");
        let [batch, channels, _, samples] = xt.dims();
        (x, xt.reshape([batch, channels, samples]))
    }

    fn bottom(&self, x: Tensor<4>, xt: Tensor<4>, watcher: &mut dyn Watcher) -> (Tensor<4>, Tensor<4>) {
        let Some(samplers) = &self.samplers else { return self.transform(x, xt, watcher) };
        let x = ops::linear(x, None, &samplers.channel_upsampler);
        watcher.output("channel_upsampler", &|| flat(&x));
        let xt = ops::linear(xt, None, &samplers.channel_upsampler_t);
        watcher.output("channel_upsampler_t", &|| flat(&xt));
        let (x, xt) = self.transform(x, xt, watcher);
        let x = ops::linear(x, None, &samplers.channel_downsampler);
        watcher.output("channel_downsampler", &|| flat(&x));
        let xt = ops::linear(xt, None, &samplers.channel_downsampler_t);
        watcher.output("channel_downsampler_t", &|| flat(&xt));
        (x, xt)
    }

    fn transform(&self, x: Tensor<4>, xt: Tensor<4>, watcher: &mut dyn Watcher) -> (Tensor<4>, Tensor<4>) {
        let (x, xt) = self.crosstransformer.forward(x, xt, watcher);
        watcher.output("crosstransformer", &|| x.to_data());
        watcher.output("crosstransformer#1", &|| flat(&xt));
        (x, xt)
    }
}

/// Returns each channel's values in one row, as in the reference's waveform branch.
fn flat(x: &Tensor<4>) -> TensorData {
    let [batch, channels, rows, frames] = x.dims();
    x.clone().reshape([batch, channels, rows * frames]).into_data()
}
