//! The published models: sources, sizes, digests and licence.

use super::{RECIPES, WeightsError};

/// A model by name: one network, or a bag of several.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ModelSpec {
    /// Name of the model.
    pub name: &'static str,
    /// One-line description.
    pub summary: &'static str,
    /// The networks, in the order of `weights`.
    pub members: &'static [MemberSpec],
    /// Weight of each member (outer) for each source (inner).
    pub weights: &'static [&'static [f32]],
    /// The stems, in the order of the networks' output.
    pub sources: &'static [&'static str],
    /// Terms of use, to be shown before the download.
    pub licence: &'static str,
}

impl ModelSpec {
    /// Returns the total size of its files on the hub, in bytes.
    pub fn total_bytes(&self) -> u64 {
        self.members.iter().map(|m| m.bytes).sum()
    }
}

/// The weights file of one network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberSpec {
    /// Name of the file, on the hub and in the cache.
    pub file: &'static str,
    /// The repository on the Hugging Face hub.
    pub repository: &'static str,
    /// The commit of that repository.
    pub revision: &'static str,
    /// Size of the hub's file in bytes.
    pub bytes: u64,
    /// SHA-256 of the hub's file. Required: [`WeightsFile::verify`](super::WeightsFile::verify) compares against it
    /// even if it is empty, and then always fails.
    pub sha256: &'static str,
    /// [`WeightsFile::tensor_digest`](super::WeightsFile::tensor_digest), if known. It is the same for every source, and
    /// verifies files that differ from the hub's.
    pub tensor_digest: Option<&'static str>,
}

const FOUR: &[&str] = &["drums", "bass", "other", "vocals"];
const SIX: &[&str] = &["drums", "bass", "other", "vocals", "guitar", "piano"];

const LICENCE: &str = "Demucs's code is under the MIT licence; its author has said that the weights are for research use \
and not covered by it. Vocalizer does not ship them: it downloads them from their author's repository.";

const FT: MemberSpec = MemberSpec {
    file: "",
    repository: "adefossez/HTDemucs-ft",
    revision: "478be8a68f85418addd6f7baefd4be76522a4034",
    bytes: 84_025_440,
    sha256: "",
    tensor_digest: None,
};

/// All published models.
pub static MODELS: &[ModelSpec] = &[
    ModelSpec {
        name: "htdemucs",
        summary: "four stems, one network",
        members: &[MemberSpec {
            file: "955717e8.safetensors",
            repository: "adefossez/HTDemucs",
            revision: "bf35a81b663819a8255c8fefee17f9d812b786b5",
            bytes: 84_025_440,
            sha256: "d9fa14133cfcc034a6758923bb3a8ca9f8dfd0b582134643bbf83f72c17576dd",
            tensor_digest: Some("381a9e640624f3e362e5db6cabe43cf5859ce445b6c21efbcb64932e96f3c1d4"),
        }],
        weights: &[&[1.0, 1.0, 1.0, 1.0]],
        sources: FOUR,
        licence: LICENCE,
    },
    ModelSpec {
        name: "htdemucs_ft",
        summary: "four stems, one network tuned for each: slightly better, four times the work",
        members: &[
            MemberSpec {
                file: "f7e0c4bc.safetensors",
                sha256: "2c85ab3c62dd6edd8e0b965e38b16fd1cdde357cc25de6b6bc9ce7c83f60925f",
                ..FT
            },
            MemberSpec {
                file: "d12395a8.safetensors",
                sha256: "5b01a97567ae9a3178a6236fb520251045c03eb8834bc8c24a4eec11d6c8fb56",
                ..FT
            },
            MemberSpec {
                file: "92cfc3b6.safetensors",
                sha256: "a241863551f30d01c42bd7b97da40839922ead3acb0f1fcab25682f55b4eeb59",
                ..FT
            },
            MemberSpec {
                file: "04573f0d.safetensors",
                sha256: "68854b0d7c2b3274723b5761f6fd9f5aec5f1bcd3f0de7c1669546fdb7871b7c",
                ..FT
            },
        ],
        weights: &[&[1.0, 0.0, 0.0, 0.0], &[0.0, 1.0, 0.0, 0.0], &[0.0, 0.0, 1.0, 0.0], &[0.0, 0.0, 0.0, 1.0]],
        sources: FOUR,
        licence: LICENCE,
    },
    ModelSpec {
        name: "htdemucs_6s",
        summary: "six stems: also guitar and piano; its author calls the piano poor",
        members: &[MemberSpec {
            file: "5c90dfd2.safetensors",
            repository: "adefossez/HTDemucs-6s",
            revision: "3c5ee475be622df764938de97e4281a7b07ffa58",
            bytes: 54_885_744,
            sha256: "d2a1745f0744721f6b8ca5bf469b67c651ea5ed1b52998cab033b2158609d411",
            tensor_digest: None,
        }],
        weights: &[&[1.0, 1.0, 1.0, 1.0, 1.0, 1.0]],
        sources: SIX,
        licence: LICENCE,
    },
];

/// Finds a model by name. [`recipe`](super::recipe) finds a recipe.
///
/// # Errors
///
/// [`WeightsError::UnknownModel`], which lists the known names, also of recipes.
pub fn find(name: &str) -> Result<&'static ModelSpec, WeightsError> {
    MODELS.iter().find(|model| model.name == name).ok_or_else(|| WeightsError::UnknownModel {
        name: name.chars().take(64).collect(),
        known: MODELS
            .iter()
            .map(|model| model.name)
            .chain(RECIPES.iter().map(|recipe| recipe.name))
            .collect::<Vec<_>>()
            .join(", "),
    })
}
