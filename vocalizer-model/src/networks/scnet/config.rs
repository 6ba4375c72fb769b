//! The configuration of an SCNet, as its training repository writes it.

use serde_json::Value;

use crate::networks::toolkit::{Common, Defaults, Sections, at_least_one, malformed, names, unsupported};
use crate::ops::scnet::Band;
use crate::weights::{Arguments, WeightsError};

/// The configuration of an SCNet. Options that change the arithmetic in a way that is not implemented are refused by
/// name; options of the training are ignored.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ScnetConfig {
    /// What the configuration of every network says. The transform has no window.
    pub(crate) common: Common,
    /// Whether the transform is scaled to preserve energy.
    pub(crate) normalized: bool,
    /// Channels before and after each encoder block.
    pub(crate) dims: [usize; BLOCKS + 1],
    /// Share of the lowest and of the middle band in the rows of a block.
    pub(crate) shares: [f64; 2],
    /// Stride over the rows of each band.
    pub(crate) strides: [usize; 3],
    /// Taps over the rows of each band.
    pub(crate) kernels: [usize; 3],
    /// Residual units of each band.
    pub(crate) conv_depths: [usize; 3],
    /// Channels of a block, relative to the hidden channels of its residual units.
    pub(crate) compress: usize,
    /// Dual-path layers.
    pub(crate) layers: usize,
}

/// Blocks of the encoder and of the decoder.
pub(super) const BLOCKS: usize = 3;

/// The sources, if not given.
const SOURCES: [&str; 4] = ["drums", "bass", "other", "vocals"];

/// The most values of a tensor: more than eight times those of the largest published model.
const MOST_VALUES: usize = 1 << 28;

impl ScnetConfig {
    /// Reads the sections `audio`, `model`, `training` and `inference` of a configuration. Absent options of the model have
    /// the defaults of the training repository.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Malformed`] if a value has the wrong type or is out of range, [`WeightsError::Unsupported`] if
    /// an option selects arithmetic that this network does not implement.
    pub(crate) fn from_json(config: &Value) -> Result<Self, WeightsError> {
        let sections = Sections::of(config)?;
        let model = &sections.model;
        refuse_variants(model)?;
        let sources = names(model, "sources")?.unwrap_or_else(|| SOURCES.map(str::to_owned).into());
        let common = Common::read(
            &sections,
            Defaults {
                keys: ["nfft", "hop_size", "win_size"],
                nfft: 4096,
                hop: 1024,
                chunk_frames: 485_100,
                instruments: Some(sources.clone()),
            },
        )?;
        let equal = |(a, b): (&String, &String)| a.eq_ignore_ascii_case(b);
        if common.stems.len() != sources.len() || !common.stems.iter().zip(&sources).all(equal) {
            return malformed("the sources of the model are not the instruments of the training, in the same order");
        }
        let [low, mid, _high] = shares(model)?;
        let config = Self {
            common,
            normalized: model.flag("normalized", true)?,
            dims: counts(model, "dims", [4, 32, 64, 128], 1 << 11)?,
            shares: [low, mid],
            strides: counts(model, "band_stride", [1, 4, 16], 64)?,
            kernels: counts(model, "band_kernel", [3, 4, 16], 64)?,
            conv_depths: counts(model, "conv_depths", [3, 2, 1], 16)?,
            compress: at_least_one(model, "compress", 4, 1 << 11)?,
            layers: at_least_one(model, "num_dplayer", 6, 64)?,
        };
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), WeightsError> {
        if self.dims[0] != 4 {
            return unsupported("dims that do not start with 4, the channels of a stereo spectrum");
        }
        if self.dims[1..].iter().any(|&channels| channels < self.compress) {
            return malformed("compress must not be more than the channels of a block (dims)");
        }
        if !self.layers.is_multiple_of(2) {
            return unsupported("an odd number of dual-path layers (num_dplayer)");
        }
        if self.strides.iter().zip(self.kernels).any(|(&stride, kernel)| stride > 1 && kernel != stride) {
            return unsupported("a band_kernel other than the band's stride; use it with stride 1 only");
        }
        let mut rows = self.common.bins();
        let frames = self.frames(self.padded(self.common.chunk_frames));
        for block in 0..BLOCKS {
            let bands = self.bands(rows);
            if bands.iter().any(|band| band.rows == 0) || bands.iter().map(|band| band.rows).sum::<usize>() != rows {
                return malformed("the bands (band_SR) must cover at least one row each and all rows of every block");
            }
            let coarse: usize = bands.map(Band::coarse_rows).iter().sum();
            // The decoder's last block has the stems' channels, and its convolutions have twice the block's.
            let into = if block == 0 { 4 * self.common.stems.len() } else { self.dims[block] };
            let most = (into * rows).max(2 * self.dims[block + 1] * coarse);
            if most.saturating_mul(frames) > MOST_VALUES {
                return malformed("the chunk has too many frames for its channels: chunk_size is too large");
            }
            rows = coarse;
        }
        // An LSTM of an odd layer has four times the block's channels as output.
        if (4 * self.dims[BLOCKS] * rows).saturating_mul(frames) > MOST_VALUES {
            return malformed("the chunk has too many frames for its channels: chunk_size is too large");
        }
        Ok(())
    }

    /// Returns the number of samples after padding with zeros at the end, for an even number of frames.
    pub(crate) fn padded(&self, samples: usize) -> usize {
        let hops = samples / self.common.hop + 1;
        self.common.hop * if hops.is_multiple_of(2) { hops + 1 } else { hops }
    }

    /// Returns the frames of the spectrum of this many padded samples.
    fn frames(&self, padded: usize) -> usize {
        padded / self.common.hop + 1
    }

    /// Returns the bands of a block that has this many rows.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "rows")]
    pub(super) fn bands(&self, rows: usize) -> [Band; 3] {
        let until = |share: f64| ((rows as f64 * share).ceil() as usize).min(rows);
        let ends = [0, until(self.shares[0]), until(self.shares[0] + self.shares[1]), rows];
        std::array::from_fn(|i| Band {
            first: ends[i],
            rows: ends[i + 1].saturating_sub(ends[i]),
            taps: self.kernels[i],
            stride: self.strides[i],
        })
    }

    /// Returns the bands of each block.
    pub(super) fn blocks(&self) -> [[Band; 3]; BLOCKS] {
        let mut rows = self.common.bins();
        std::array::from_fn(|_| {
            let bands = self.bands(rows);
            rows = bands.map(Band::coarse_rows).iter().sum();
            bands
        })
    }

    /// Returns the channels that the decoder block of an encoder block makes.
    pub(super) fn outer(&self, block: usize) -> usize {
        if block == 0 { self.dims[0] * self.common.stems.len() } else { self.dims[block] }
    }

    /// Returns the channels of a dual-path layer.
    pub(super) fn width(&self, layer: usize) -> usize {
        self.dims[BLOCKS] * if layer.is_multiple_of(2) { 1 } else { 2 }
    }
}

/// Reads a list of counts, each from 1 to `most`.
fn counts<const N: usize>(
    section: &Arguments<'_>,
    key: &str,
    default: [usize; N],
    most: usize,
) -> Result<[usize; N], WeightsError> {
    let Some(value) = section.get(key) else { return Ok(default) };
    let count = |value: &Value| value.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| (1..=most).contains(n));
    let counts = value.as_array().and_then(|values| values.iter().map(count).collect::<Option<Vec<_>>>());
    counts.and_then(|counts| counts.try_into().ok()).ok_or_else(|| Arguments::malformed(key, value))
}

/// Reads each band's share of the rows.
fn shares(model: &Arguments<'_>) -> Result<[f64; 3], WeightsError> {
    let key = "band_SR";
    let Some(value) = model.get(key) else { return Ok([0.175, 0.392, 0.433]) };
    let share = |value: &Value| value.as_f64().filter(|share| (0.0..=1.0).contains(share));
    let shares = value.as_array().and_then(|values| values.iter().map(share).collect::<Option<Vec<_>>>());
    shares.and_then(|shares| shares.try_into().ok()).ok_or_else(|| Arguments::malformed(key, value))
}

/// Refuses options that change the arithmetic in a way that is not implemented.
fn refuse_variants(model: &Arguments<'_>) -> Result<(), WeightsError> {
    for (key, only) in [("audio_channels", 2), ("conv_kernel", 3), ("expand", 1)] {
        if model.count(key, only, 1 << 20)? != only {
            return unsupported(&format!("{key} other than {only}"));
        }
    }
    if model.get("tran_params").is_some() {
        return unsupported("SCNet with transformers (tran_params)");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sections(changes: &[(&str, &str, Value)]) -> Result<ScnetConfig, WeightsError> {
        let mut config = json!({
            "audio": {"chunk_size": 485_100, "num_channels": 2, "sample_rate": 44_100},
            "model": {"sources": ["drums", "bass", "other", "vocals"], "expand": 1},
            "training": {"instruments": ["Drums", "Bass", "Other", "Vocals"], "target_instrument": null, "lr": 1e-5},
            "inference": {"num_overlap": 4, "normalize": true},
        });
        for (section, key, value) in changes {
            config[section][key] = value.clone();
        }
        ScnetConfig::from_json(&config)
    }

    #[test]
    fn absent_keys_have_the_defaults_of_the_toolkit() {
        let config = sections(&[]).unwrap();
        let common = config.common;
        assert_eq!(common.stems, ["Drums", "Bass", "Other", "Vocals"]);
        assert_eq!((common.nfft, common.hop, common.chunk_frames, common.num_overlap), (4096, 1024, 485_100, 4));
        assert_eq!((config.dims, config.conv_depths, config.layers), ([4, 32, 64, 128], [3, 2, 1], 6));
        assert!(common.normalize && config.normalized);
        let config = ScnetConfig::from_json(&json!({})).unwrap();
        assert_eq!((config.common.stems.len(), config.common.normalize), (4, false));
    }

    #[test]
    fn rows_of_published_models() {
        let rows =
            |config: &ScnetConfig| config.blocks().map(|bands| bands.map(Band::coarse_rows).iter().sum::<usize>());
        assert_eq!(rows(&sections(&[]).unwrap()), [616, 186, 57]);
        assert_eq!(rows(&sections(&[("model", "band_SR", json!([0.225, 0.372, 0.403]))]).unwrap()), [705, 243, 85]);
        let ihf = [
            ("model", "band_SR", json!([0.23, 0.37, 0.4])),
            ("model", "band_stride", json!([1, 4, 4])),
            ("model", "band_kernel", json!([3, 4, 4])),
        ];
        assert_eq!(rows(&sections(&ihf).unwrap()), [867, 368, 156]);
    }

    #[test]
    fn padding_makes_an_even_number_of_frames() {
        let config = sections(&[]).unwrap();
        for (samples, hops) in [(8000, 9), (7000, 7), (9216, 11), (485_100, 475), (1024, 3), (1, 1), (2047, 3)] {
            assert_eq!(config.padded(samples), 1024 * hops, "{samples}");
        }
    }

    #[test]
    fn chunk_of_inference_wins() {
        assert_eq!(sections(&[("inference", "chunk_size", json!(9702))]).unwrap().common.chunk_frames, 9702);
    }

    #[test]
    fn other_arithmetic_is_refused_by_name() {
        for (key, value) in [
            ("conv_kernel", json!(5)),
            ("expand", json!(2)),
            ("tran_params", json!({"depth": 1})),
            ("win_size", json!(2048)),
            ("audio_channels", json!(1)),
            ("dims", json!([2, 32, 64, 128])),
            ("num_dplayer", json!(5)),
            ("band_kernel", json!([3, 8, 16])),
        ] {
            let error = sections(&[("model", key, value)]).unwrap_err();
            assert!(matches!(&error, WeightsError::Unsupported(what) if what.contains(key)), "{key}: {error}");
        }
        let error = sections(&[("audio", "sample_rate", json!(48_000))]).unwrap_err().to_string();
        assert!(error.contains("at 48000 Hz (sample_rate); use a network for 2 channels at 44100 Hz"), "{error}");
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        let lists = ["dims", "band_SR", "band_stride", "band_kernel", "conv_depths"];
        for key in lists {
            for value in [json!([]), json!([u64::MAX, 1, 1]), json!([1, 1, 1, 1, 1]), json!(["1", 1, 1]), json!(3)] {
                assert!(sections(&[("model", key, value.clone())]).is_err(), "{key}: {value}");
            }
        }
        for key in ["nfft", "hop_size", "compress", "num_dplayer"] {
            for value in [json!(u64::MAX), json!(-1), json!(1.5), json!("8"), json!([]), json!(0), json!(1 << 15)] {
                assert!(sections(&[("model", key, value.clone())]).is_err(), "{key}: {value}");
            }
        }
        for (section, key, value) in [
            ("model", "band_SR", json!([0.0, 0.5, 0.5])),
            ("model", "band_SR", json!([0.5, 0.5, 0.0])),
            ("model", "band_SR", json!([0.5, -0.5, 1.0])),
            ("model", "compress", json!(64)),
            ("model", "sources", json!(["vocals"])),
            ("inference", "chunk_size", json!(2048)),
            ("inference", "chunk_size", json!(10_000_000)),
            ("inference", "num_overlap", json!(0)),
            ("training", "instruments", json!([])),
            ("training", "instruments", json!(["Bass", "Drums", "Other", "Vocals"])),
            ("training", "target_instrument", json!("drums")),
        ] {
            assert!(sections(&[(section, key, value.clone())]).is_err(), "{key}: {value}");
        }
        let hostile = [("model", "dims", json!([4, 2048, 2048, 2048])), ("inference", "chunk_size", json!(2_000_000))];
        assert!(sections(&hostile).is_err(), "gigabytes of activations");
        for config in [json!([]), json!({"model": 1})] {
            assert!(ScnetConfig::from_json(&config).is_err() || config == json!([]), "{config}");
        }
    }

    #[test]
    fn one_target_is_one_stem() {
        let one = [("model", "sources", json!(["vocals"])), ("training", "target_instrument", json!("Vocals"))];
        let common = sections(&one).unwrap().common;
        assert_eq!((common.stems, common.instruments.len()), (vec!["Vocals".to_owned()], 4));
    }
}
