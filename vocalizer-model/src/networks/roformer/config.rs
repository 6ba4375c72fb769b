//! The configuration of a RoFormer, as its training repository writes it.

use serde_json::Value;

use super::bands::{self, Band};
use crate::networks::toolkit::{Common, Defaults, Sections, at_least_one, malformed, unsupported};
use crate::weights::{Arguments, WeightsError};

/// The variant of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// Band-Split RoFormer: consecutive bands.
    Bs,
    /// Mel-Band RoFormer: overlapping bands on the mel scale.
    Mel,
}

/// The configuration of a RoFormer. Options that change the arithmetic in a way that is not implemented are refused by
/// name; options of the training are ignored.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RoformerConfig {
    /// The variant.
    pub(crate) family: Family,
    /// What the configuration of every network says.
    pub(crate) common: Common,
    /// Whether bin 0 of the output is zero. The training repository does so since 2025-09-23; the published models are
    /// older and their configurations lack the key, so an absent key means no.
    pub(crate) zero_dc: bool,
    /// Whether the reference returns as many samples as it gets, not whole hops. Ours always does.
    pub(crate) match_input_audio_length: bool,
    /// Whether each layer gets the sum of all earlier outputs.
    pub(crate) skip_connection: bool,
    /// The frequency bands.
    pub(crate) bands: Vec<Band>,
    /// Channels between the layers.
    pub(crate) dim: usize,
    /// Layers.
    pub(crate) depth: usize,
    /// Blocks of the transformer along time, and of that along frequency, in each layer.
    pub(crate) axis_depths: [usize; 2],
    /// Attention heads.
    pub(crate) heads: usize,
    /// Channels of a head.
    pub(crate) dim_head: usize,
    /// Linear layers of a mask estimator.
    pub(crate) mask_layers: usize,
    /// Hidden channels of a mask estimator.
    pub(crate) mask_hidden: usize,
}

/// Hidden channels of the feed-forward parts, relative to the channels.
pub(super) const EXPANSION: usize = 4;

/// The most positions (frames and bands) times channels: about nine times those of the largest published model.
const MOST_VALUES: usize = 1 << 28;

impl RoformerConfig {
    /// Reads the sections `audio`, `model`, `training` and `inference` of a configuration. `family` is
    /// `bs_roformer` or `mel_band_roformer`.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Malformed`] if a value has the wrong type or is out of range, [`WeightsError::Unsupported`] if
    /// the family is another one, or an option selects arithmetic that this network does not implement.
    pub(crate) fn from_json(config: &Value, family: &str) -> Result<Self, WeightsError> {
        let family = match family {
            "bs_roformer" => Family::Bs,
            "mel_band_roformer" => Family::Mel,
            _ => return unsupported("a family other than bs_roformer and mel_band_roformer"),
        };
        let sections = Sections::of(config)?;
        let model = &sections.model;
        refuse_variants(model)?;
        let common = Common::read(
            &sections,
            Defaults {
                keys: ["stft_n_fft", "stft_hop_length", "stft_win_length"],
                nfft: 2048,
                hop: 512,
                chunk_frames: 352_800,
                instruments: None,
            },
        )?;
        let count = model.count("num_stems", 1, 256)?;
        if count != common.stems.len() {
            return malformed(&format!("num_stems is {count}, but the network's stems are {}", common.stems.len()));
        }
        let dim = at_least_one(model, "dim", 384, 1 << 12)?;
        let depth = model.count("mask_estimator_depth", if family == Family::Bs { 2 } else { 1 }, 8)?;
        let config = Self {
            family,
            zero_dc: model.flag("zero_dc", false)?,
            match_input_audio_length: model.flag("match_input_audio_length", false)?,
            skip_connection: model.flag("skip_connection", false)?,
            bands: bands_of(family, model, common.nfft)?,
            common,
            dim,
            depth: at_least_one(model, "depth", 6, 64)?,
            axis_depths: [
                at_least_one(model, "time_transformer_depth", 2, 8)?,
                at_least_one(model, "freq_transformer_depth", 2, 8)?,
            ],
            heads: at_least_one(model, "heads", 8, 64)?,
            dim_head: at_least_one(model, "dim_head", 64, 256)?,
            mask_layers: if family == Family::Bs { depth } else { depth + 1 },
            mask_hidden: dim * at_least_one(model, "mlp_expansion_factor", 4, 16)?,
        };
        if config.mask_layers == 0 {
            return malformed("mask_estimator_depth of 0");
        }
        if !config.dim_head.is_multiple_of(8) {
            return unsupported("dim_head that is not a multiple of 8");
        }
        let positions = config.bands.len() * (config.common.chunk_frames / config.common.hop + 1);
        if positions.saturating_mul(dim.max(config.heads * config.dim_head)) > MOST_VALUES {
            return malformed("the chunk has too many positions for its channels: chunk_size is too large");
        }
        Ok(config)
    }
}

/// Refuses options that change the arithmetic in a way that is not implemented.
fn refuse_variants(model: &Arguments<'_>) -> Result<(), WeightsError> {
    if model.count("linear_transformer_depth", 0, 1 << 20)? > 0 {
        return unsupported("linear_transformer_depth above 0");
    }
    for key in ["use_shared_bias", "use_pope", "stft_normalized"] {
        if model.flag(key, false)? {
            return unsupported(&format!("{key}: true"));
        }
    }
    if let Some(key) = model.0.keys().find(|key| key.contains("conformer")) {
        return unsupported(&format!("conformers ({})", key.chars().take(40).collect::<String>().escape_debug()));
    }
    if model.flag("stereo", false)? {
        Ok(())
    } else {
        unsupported("a network for one channel; use one with stereo: true")
    }
}

fn bands_of(family: Family, model: &Arguments<'_>, nfft: usize) -> Result<Vec<Band>, WeightsError> {
    let bins = nfft / 2 + 1;
    let bands = match family {
        Family::Mel => {
            let count = at_least_one(model, "num_bands", 60, 512)?;
            bands::mel(count, nfft, 44_100)
        }
        Family::Bs => {
            let widths = match model.get("freqs_per_bands") {
                None => Some(bands::default_widths()),
                Some(value) => value.as_array().filter(|widths| widths.len() <= 512).and_then(|widths| {
                    let width = |v: &Value| v.as_u64().and_then(|n| usize::try_from(n).ok());
                    widths.iter().map(|v| width(v).filter(|n| (1..=bins).contains(n))).collect()
                }),
            };
            widths.filter(|widths| widths.iter().sum::<usize>() == bins).map(|widths| bands::consecutive(&widths))
        }
    };
    let bands = bands.filter(|bands| bands::coverage(bands, bins).iter().all(|&bands| bands > 0));
    bands.ok_or_else(|| {
        let key = if family == Family::Mel { "num_bands" } else { "freqs_per_bands" };
        WeightsError::Malformed(format!("the bands ({key}) do not cover the {bins} bins of the spectrum"))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sections(changes: &[(&str, &str, Value)]) -> Value {
        let mut config = json!({
            "audio": {"chunk_size": 352_800, "num_channels": 2, "sample_rate": 44_100},
            "model": {"dim": 384, "depth": 6, "stereo": true, "num_stems": 1, "num_bands": 60, "flash_attn": true,
                "stft_hop_length": 441, "mask_estimator_depth": 2, "linear_transformer_depth": 0},
            "training": {"instruments": ["Vocals", "other"], "target_instrument": "vocals", "lr": 1e-5},
            "inference": {"num_overlap": 4},
        });
        for (section, key, value) in changes {
            config[section][key] = value.clone();
        }
        config
    }

    fn mel(changes: &[(&str, &str, Value)]) -> Result<RoformerConfig, WeightsError> {
        RoformerConfig::from_json(&sections(changes), "mel_band_roformer")
    }

    #[test]
    fn absent_keys_have_the_defaults_of_the_toolkit() {
        let config = mel(&[]).unwrap();
        let common = config.common;
        assert_eq!((common.stems, common.instruments.len()), (vec!["vocals".to_owned()], 2));
        assert_eq!((common.nfft, common.hop, common.chunk_frames, common.num_overlap), (2048, 441, 352_800, 4));
        assert_eq!((config.heads, config.dim_head, config.axis_depths), (8, 64, [2, 2]));
        assert_eq!((config.mask_layers, config.mask_hidden, config.bands.len()), (3, 1536, 60));
        assert!(!config.zero_dc && !config.skip_connection && !common.normalize && !config.match_input_audio_length);
        let config = RoformerConfig::from_json(&sections(&[]), "bs_roformer").unwrap();
        assert_eq!((config.mask_layers, config.bands.len()), (2, 62));
    }

    #[test]
    fn chunk_of_inference_wins() {
        assert_eq!(mel(&[("inference", "chunk_size", json!(9702))]).unwrap().common.chunk_frames, 9702);
    }

    #[test]
    fn other_arithmetic_is_refused_by_name() {
        for (key, value) in [
            ("linear_transformer_depth", json!(1)),
            ("use_shared_bias", json!(true)),
            ("use_pope", json!(true)),
            ("stft_normalized", json!(true)),
            ("conformer_depth", json!(1)),
            ("stft_win_length", json!(1024)),
            ("dim_head", json!(12)),
        ] {
            let error = mel(&[("model", key, value)]).unwrap_err();
            assert!(matches!(&error, WeightsError::Unsupported(what) if what.contains(key)), "{key}: {error}");
        }
        assert!(mel(&[("model", "stereo", json!(false))]).is_err());
        let error = mel(&[("audio", "sample_rate", json!(48_000))]).unwrap_err().to_string();
        assert!(error.contains("at 48000 Hz (sample_rate); use a network for 2 channels at 44100 Hz"), "{error}");
        assert!(RoformerConfig::from_json(&sections(&[]), "scnet").is_err());
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        let most = json!(u64::MAX);
        for key in ["dim", "depth", "heads", "dim_head", "num_bands", "time_transformer_depth", "mask_estimator_depth"]
        {
            for value in [&most, &json!(-1), &json!(1.5), &json!("8"), &json!([])] {
                assert!(mel(&[("model", key, value.clone())]).is_err(), "{key}: {value}");
            }
        }
        for (section, key, value) in [
            ("model", "dim", json!(0)),
            ("model", "stft_hop_length", json!(0)),
            ("model", "stft_hop_length", json!(1025)),
            ("model", "stft_n_fft", json!(2047)),
            ("model", "mlp_expansion_factor", json!(17)),
            ("model", "num_bands", json!(500)),
            ("model", "num_stems", json!(2)),
            ("inference", "chunk_size", json!(1024)),
            ("inference", "chunk_size", json!(10_000_000)),
            ("inference", "num_overlap", json!(0)),
            ("training", "instruments", json!([])),
            ("training", "instruments", json!([1])),
            ("training", "target_instrument", json!("drums")),
        ] {
            assert!(mel(&[(section, key, value.clone())]).is_err(), "{key}: {value}");
        }
        let hostile = [("model", "stft_hop_length", json!(1)), ("inference", "chunk_size", json!(2_000_000))];
        assert!(mel(&hostile).is_err(), "two million frames");
        for widths in [json!([]), json!([2, 2]), json!([1025, 0]), json!([1024, "1"]), json!(vec![1; 1025])] {
            let config = sections(&[("model", "freqs_per_bands", widths.clone())]);
            assert!(RoformerConfig::from_json(&config, "bs_roformer").is_err(), "{widths}");
        }
        for config in [json!(null), json!([]), json!({"model": 1})] {
            assert!(RoformerConfig::from_json(&config, "bs_roformer").is_err(), "{config}");
        }
    }
}
