//! The families of networks.

use std::fmt;

use serde_json::Value;

use super::WeightsError;
use super::error::excerpt;

/// A family of networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Family {
    /// Hybrid Transformer Demucs.
    Htdemucs,
    /// SCNet.
    Scnet,
    /// BS-RoFormer.
    BsRoformer,
    /// Mel-Band RoFormer.
    MelBandRoformer,
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Family {
    /// All families whose checkpoints can be imported.
    pub const IMPORTED: [Self; 3] = [Self::Scnet, Self::BsRoformer, Self::MelBandRoformer];

    /// Returns the name in the metadata of a weights file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Htdemucs => "htdemucs",
            Self::Scnet => "scnet",
            Self::BsRoformer => "bs_roformer",
            Self::MelBandRoformer => "mel_band_roformer",
        }
    }

    /// Returns the family with this name.
    ///
    /// # Errors
    ///
    /// [`WeightsError::UnknownFamily`] if there is none.
    pub fn named(name: &str) -> Result<Self, WeightsError> {
        let found = Self::IMPORTED.into_iter().find(|family| family.name() == name);
        found.ok_or_else(|| unknown(format!("family {}", excerpt(name))))
    }

    /// Returns the family that tensors with these keys belong to.
    ///
    /// # Errors
    ///
    /// [`WeightsError::UnknownFamily`] if it is none of the known ones.
    pub fn of_keys(keys: &[&str]) -> Result<Self, WeightsError> {
        let any = |prefix: &str| keys.iter().any(|key| key.starts_with(prefix));
        if any("band_split.to_features.") {
            let is_mel =
                |key: &&str| matches!(key.split('.').collect::<Vec<_>>()[..], ["layers", _, _, "norm", "gamma"]);
            return match (keys.iter().any(is_mel), any("final_norm.")) {
                (true, false) => Ok(Self::MelBandRoformer),
                (false, true) => Ok(Self::BsRoformer),
                _ => Err(unknown(
                    "a RoFormer with neither the norms of BS-RoFormer nor those of Mel-Band RoFormer".into(),
                )),
            };
        }
        if any("encoder.0.SDlayer.") {
            let is_other = |key: &&&str| !is_of_scnet(key);
            return match keys.iter().find(is_other) {
                Some(key) => {
                    Err(unknown(format!("a variant of SCNet (masked, tran, …) with the tensor {}", excerpt(key))))
                }
                None => Ok(Self::Scnet),
            };
        }
        if any("tencoder.0.") {
            let what = "HTDemucs, whose weights Vocalizer downloads itself (vocalizer models fetch htdemucs)";
            return Err(unknown(what.into()));
        }
        Err(unknown(match keys.first() {
            Some(key) => format!("an unknown network with the tensor {}", excerpt(key)),
            None => "no tensors".into(),
        }))
    }

    /// Checks that the configuration's section `model` describes a network of this family.
    ///
    /// # Errors
    ///
    /// [`WeightsError::ConfigMismatch`] if it describes another.
    pub fn check_config(self, config: &Value) -> Result<(), WeightsError> {
        let has = |key: &str| config.get("model").is_some_and(|model| model.get(key).is_some());
        // The defaults of both RoFormers leave out the key that tells them apart.
        let described: &[Self] = if has("band_SR") {
            &[Self::Scnet]
        } else if has("freqs_per_bands") {
            &[Self::BsRoformer]
        } else if has("num_bands") {
            &[Self::MelBandRoformer]
        } else if has("dim") && has("depth") {
            &[Self::BsRoformer, Self::MelBandRoformer]
        } else {
            &[]
        };
        if described.contains(&self) {
            return Ok(());
        }
        let described = match described {
            [] => "none of the known networks".to_owned(),
            [one, ..] => format!("the family {one}"),
        };
        Err(WeightsError::ConfigMismatch(format!(
            "the tensors are of the family {self}, the configuration is for {described}"
        )))
    }
}

/// Returns whether the plain SCNet has a tensor of such a key.
fn is_of_scnet(key: &str) -> bool {
    matches!(
        key.split('.').collect::<Vec<_>>()[..],
        ["encoder", _, "SDlayer" | "conv_modules" | "globalconv", ..]
            | ["separation_net", "dp_modules", _, "norm_layers" | "lstm_layers" | "linear_layers", ..]
            | ["decoder", _, "0" | "1", "conv" | "convtrs", ..]
    )
}

fn unknown(what: String) -> WeightsError {
    let known = Family::IMPORTED.map(Family::name).join(", ");
    WeightsError::UnknownFamily { what, known }
}
