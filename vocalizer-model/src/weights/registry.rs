//! The published models: sources, sizes, digests, licences and published quality.

use super::{Family, Licence, MemberSpec, ModelSpec, RECIPES, Score, Source, Terms, WeightsError};

const FOUR: &[&str] = &["drums", "bass", "other", "vocals"];
const SIX: &[&str] = &["drums", "bass", "other", "vocals", "guitar", "piano"];
const FIFTY_THREE: &[&str] = &[
    "accordion",
    "acoustic-guitar",
    "back-vocal",
    "banjo",
    "bass",
    "bassoon",
    "bells",
    "bowed_strings",
    "brass",
    "cello",
    "clarinet",
    "congas",
    "digital-piano",
    "dobro",
    "double-bass",
    "drums",
    "electric-guitar",
    "flute",
    "french-horn",
    "glockenspiel",
    "guitar",
    "harmonica",
    "harp",
    "harpsichord",
    "hh",
    "keys",
    "kick",
    "lead-vocal",
    "mandolin",
    "marimba",
    "oboe",
    "organ",
    "percussion",
    "piano",
    "saxophone",
    "sitar",
    "snare",
    "strings",
    "synth",
    "tambourine",
    "timpani",
    "toms",
    "triangle",
    "trombone",
    "trumpet",
    "tuba",
    "ukulele",
    "viola",
    "violin",
    "vocal",
    "wind",
    "wind-chimes",
    "woodwind",
];

/// Evaluations that several models share.
const MULTISONG: &str = "Multisong (MVSEP)";
const MUSDB: &str = "MUSDB test";
const MUSDB_HQ: &str = "MUSDB18-HQ test, mean of the tracks";

/// Those who published scores. MSST is the repository ZFTurbo/Music-Source-Separation-Training.
const MSST_DOCS: &str = "pretrained_models.md of MSST";
const UNBLEND: &str = "unblend 1.0.0";
const FILE_NAME: &str = "the name of the file";

const MIT: &str = "MIT";

const DEMUCS_LICENCE: Licence = Licence {
    terms: Terms::ResearchOnly,
    identifier: None,
    stated_by: Some("the author of the weights"),
    stated_on: None,
    note: "Demucs's code is under the MIT licence; its author has said that the weights are for research use and not \
covered by it. Vocalizer does not ship them: it downloads them from their author's repository.",
};

const SCNET_LICENCE: Licence = Licence::stated(
    Terms::Permissive,
    MIT,
    "the author in issue 35 of starrytong/SCNet",
    Some("2026-07-17"),
    "Redistribution and conversion are allowed. The start of the comment was read in a stored copy, the rest is as third \
parties quote it. The model was trained on MUSDB18 alone, whose licence is for research; whether that reaches weights is \
not settled.",
);

/// A weights file of Demucs on the hub.
const fn demucs(file: &'static str, repository: &'static str, revision: &'static str) -> MemberSpec {
    MemberSpec::new(file, Source::Hub { repository, revision, path: file }, 84_025_440, "")
}

const fn ft(file: &'static str, sha256: &'static str) -> MemberSpec {
    let spec = demucs(file, "adefossez/HTDemucs-ft", "478be8a68f85418addd6f7baefd4be76522a4034");
    MemberSpec { sha256, ..spec }
}

/// A checkpoint, which is converted to `file` with this configuration.
const fn checkpoint(
    file: &'static str,
    source: Source,
    bytes: u64,
    sha256: &'static str,
    config: &'static str,
) -> MemberSpec {
    MemberSpec { config: Some(config), ..MemberSpec::new(file, source, bytes, sha256) }
}

/// All published models.
pub static MODELS: &[ModelSpec] = &[
    ModelSpec {
        summary: "four stems in one pass; the default",
        weights: &[&[1.0; 4]],
        sources: FOUR,
        scores: &[Score::new(
            MULTISONG,
            Some(9.16),
            &[("bass", 11.76), ("drums", 10.88), ("vocals", 8.24), ("other", 5.74)],
            MSST_DOCS,
        )],
        gflop_per_s: Some(57.2),
        ..ModelSpec::new(
            "htdemucs",
            Family::Htdemucs,
            DEMUCS_LICENCE,
            &[MemberSpec {
                sha256: "d9fa14133cfcc034a6758923bb3a8ca9f8dfd0b582134643bbf83f72c17576dd",
                tensor_digest: Some("381a9e640624f3e362e5db6cabe43cf5859ce445b6c21efbcb64932e96f3c1d4"),
                ..demucs("955717e8.safetensors", "adefossez/HTDemucs", "bf35a81b663819a8255c8fefee17f9d812b786b5")
            }],
        )
    },
    ModelSpec {
        summary: "four stems, one network tuned for each: slightly better, four times the work",
        weights: &[&[1.0, 0.0, 0.0, 0.0], &[0.0, 1.0, 0.0, 0.0], &[0.0, 0.0, 1.0, 0.0], &[0.0, 0.0, 0.0, 1.0]],
        sources: FOUR,
        scores: &[
            Score::new(
                MULTISONG,
                None,
                &[("bass", 11.96), ("drums", 11.13), ("vocals", 8.38), ("other", 5.85)],
                MSST_DOCS,
            ),
            Score::new("MUSDB HQ test", Some(9.0), &[], "the README of adefossez/demucs"),
        ],
        gflop_per_s: Some(228.8),
        ..ModelSpec::new(
            "htdemucs_ft",
            Family::Htdemucs,
            DEMUCS_LICENCE,
            &[
                ft("f7e0c4bc.safetensors", "2c85ab3c62dd6edd8e0b965e38b16fd1cdde357cc25de6b6bc9ce7c83f60925f"),
                ft("d12395a8.safetensors", "5b01a97567ae9a3178a6236fb520251045c03eb8834bc8c24a4eec11d6c8fb56"),
                ft("92cfc3b6.safetensors", "a241863551f30d01c42bd7b97da40839922ead3acb0f1fcab25682f55b4eeb59"),
                ft("04573f0d.safetensors", "68854b0d7c2b3274723b5761f6fd9f5aec5f1bcd3f0de7c1669546fdb7871b7c"),
            ],
        )
    },
    ModelSpec {
        summary: "six stems: also guitar and piano; its author calls the piano poor",
        weights: &[&[1.0; 6]],
        sources: SIX,
        scores: &[Score::new(MULTISONG, None, &[("bass", 11.22), ("drums", 10.22), ("vocals", 8.05)], MSST_DOCS)],
        ..ModelSpec::new(
            "htdemucs_6s",
            Family::Htdemucs,
            DEMUCS_LICENCE,
            &[MemberSpec {
                bytes: 54_885_744,
                sha256: "d2a1745f0744721f6b8ca5bf469b67c651ea5ed1b52998cab033b2158609d411",
                ..demucs("5c90dfd2.safetensors", "adefossez/HTDemucs-6s", "3c5ee475be622df764938de97e4281a7b07ffa58")
            }],
        )
    },
    ModelSpec {
        summary: "four stems from the smallest download, under a permissive licence",
        weights: &[&[1.0; 4]],
        sources: FOUR,
        scores: &[
            Score::new(
                MUSDB,
                Some(9.03),
                &[("bass", 8.89), ("drums", 10.44), ("vocals", 9.90), ("other", 6.89)],
                MSST_DOCS,
            ),
            Score::new(
                MULTISONG,
                Some(8.87),
                &[("bass", 11.07), ("drums", 10.79), ("vocals", 8.27), ("other", 5.34)],
                MSST_DOCS,
            ),
        ],
        gflop_per_s: Some(148.0),
        ..ModelSpec::new(
            "scnet",
            Family::Scnet,
            SCNET_LICENCE,
            &[checkpoint(
                "scnet.safetensors",
                Source::Url(
                    "https://github.com/ZFTurbo/Music-Source-Separation-Training/releases/download/v.1.0.6/scnet_checkpoint_musdb18.ckpt",
                ),
                42_434_986,
                "1bc0d1abb20bfdf966dcd07637bafd03e4bc13653d09ef18bc9b3e342eafe2aa",
                include_str!("configs/scnet.json"),
            )],
        )
    },
    ModelSpec {
        summary: "four stems, better than scnet in each, under a permissive licence",
        weights: &[&[1.0; 4]],
        sources: FOUR,
        scores: &[
            Score::new(
                MUSDB,
                Some(9.70),
                &[("bass", 9.38), ("drums", 11.15), ("vocals", 10.94), ("other", 7.31)],
                MSST_DOCS,
            ),
            Score::new(
                MULTISONG,
                Some(9.28),
                &[("bass", 11.27), ("drums", 11.23), ("vocals", 9.05), ("other", 5.57)],
                MSST_DOCS,
            ),
        ],
        gflop_per_s: Some(855.2),
        ..ModelSpec::new(
            "scnet-large",
            Family::Scnet,
            SCNET_LICENCE,
            &[checkpoint(
                "scnet-large.safetensors",
                Source::Url(
                    "https://github.com/ZFTurbo/Music-Source-Separation-Training/releases/download/v1.0.9/SCNet-large_starrytong_fixed.ckpt",
                ),
                168_852_258,
                "65900dfa07d6b6e5d784c0f143920200a4bd281d6e78a806c549d0b912d5885e",
                include_str!("configs/scnet-large.json"),
            )],
        )
    },
    ModelSpec {
        summary: "four stems, with the highest scores of the four-stem models here",
        weights: &[&[1.0; 4]],
        sources: FOUR,
        scores: &[
            Score::new(
                MUSDB,
                Some(10.08),
                &[("bass", 9.23), ("drums", 11.81), ("vocals", 11.42), ("other", 7.88)],
                MSST_DOCS,
            ),
            Score::new(
                MULTISONG,
                Some(9.92),
                &[("bass", 11.94), ("drums", 11.58), ("vocals", 9.68), ("other", 6.48)],
                MSST_DOCS,
            ),
            Score::new(MUSDB_HQ, Some(9.87), &[], UNBLEND),
        ],
        gflop_per_s: Some(1898.8),
        ..ModelSpec::new(
            "scnet-xl-ihf",
            Family::Scnet,
            Licence::not_stated(
                "It was asked for in issue 245 of MSST on 2026-08-04. A third party records NOASSERTION (2026-07-22). \
Issue 254 is said to name some files as MIT; it was not read. The model was trained on MUSDB18 alone, whose licence is for \
research; whether that reaches weights is not settled.",
            ),
            &[checkpoint(
                "scnet-xl-ihf.safetensors",
                Source::Url(
                    "https://github.com/ZFTurbo/Music-Source-Separation-Training/releases/download/v1.0.15/model_scnet_ep_36_sdr_10.0891.ckpt",
                ),
                214_063_778,
                "ac25975f0f5704f3d1a3c3c251505b7a0f417a22eafe82773440ee4f7e14b74f",
                include_str!("configs/scnet-xl-ihf.json"),
            )],
        )
    },
    ModelSpec {
        summary: "vocals and the rest: vocals 2.7 dB better than those of htdemucs, permissive licence",
        weights: &[&[1.0; 2]],
        sources: &["vocals", "other"],
        scores: &[
            Score::new(MULTISONG, None, &[("vocals", 10.98)], MSST_DOCS),
            Score::new(MUSDB_HQ, None, &[("vocals", 12.01)], UNBLEND),
        ],
        gflop_per_s: Some(776.8),
        ..ModelSpec::new(
            "mel-roformer-kim",
            Family::MelBandRoformer,
            Licence::stated(
                Terms::Permissive,
                MIT,
                "the author in the model card at revision ac9b0614",
                None,
                "As two third parties record it. The card stated no licence before 2025-06, then GPL-3.0 for a time \
(unblend 1.0.0).",
            ),
            &[checkpoint(
                "mel-roformer-kim.safetensors",
                Source::Hub {
                    repository: "KimberleyJSN/melbandroformer",
                    revision: "ac9b0614ab3cd7f77219e18ba494dfd93956c348",
                    path: "MelBandRoformer.ckpt",
                },
                913_106_900,
                "87201f4d31afb5bc79993230fc49446918425574db48c01c405e44f365c7559e",
                include_str!("configs/mel-roformer-kim.json"),
            )],
        )
    },
    ModelSpec {
        summary: "karaoke: the lead vocals, and the rest with the backing vocals",
        weights: &[&[1.0; 2]],
        sources: &["lead-vocals", "rest"],
        scores: &[Score::new("the authors' own set", None, &[("lead-vocals", 10.1956)], FILE_NAME)],
        gflop_per_s: Some(1553.6),
        ..ModelSpec::new(
            "mel-roformer-karaoke",
            Family::MelBandRoformer,
            Licence::not_stated(""),
            &[checkpoint(
                "mel-roformer-karaoke.safetensors",
                Source::Url(
                    "https://github.com/TRvlvr/model_repo/releases/download/all_public_uvr_models/mel_band_roformer_karaoke_aufr33_viperx_sdr_10.1956.ckpt",
                ),
                913_096_801,
                "1de20d459332fe8869aeb01327a31df0032262706e1365114e852dc271779813",
                include_str!("configs/mel-roformer-karaoke.json"),
            )],
        )
    },
    ModelSpec {
        summary: "vocals and the rest, with the highest score on MUSDB18-HQ here, under a copyleft licence",
        weights: &[&[1.0; 2]],
        sources: &["vocals", "other"],
        scores: &[
            Score::new(MUSDB_HQ, None, &[("vocals", 12.43)], UNBLEND),
            Score::new("a set that is not stated", None, &[("vocals", 12.45)], FILE_NAME),
        ],
        gflop_per_s: Some(2113.6),
        ..ModelSpec::new(
            "bs-roformer-anvuew",
            Family::BsRoformer,
            Licence::stated(
                Terms::Copyleft,
                "GPL-3.0",
                "the author in the model card",
                None,
                "Confirmed by unblend 1.0.0 on 2026-08-21; the card was not seen.",
            ),
            &[checkpoint(
                "bs-roformer-anvuew.safetensors",
                Source::Hub {
                    repository: "anvuew/BS-RoFormer",
                    revision: "main",
                    path: "bs_roformer_anvuew_sdr_12.45.ckpt",
                },
                204_485_563,
                "8d0f72ad0ac4154f5f4c3cdf230880bbb9a5bd01dc610241a2abfe787f0d7784",
                include_str!("configs/bs-roformer-anvuew.json"),
            )],
        )
    },
    ModelSpec {
        summary: "vocals and the instrumental; mel-roformer-kim costs less and scores higher",
        weights: &[&[1.0; 2]],
        sources: &["vocals", "instrumental"],
        scores: &[
            Score::new(MULTISONG, None, &[("vocals", 10.87)], MSST_DOCS),
            Score::new("the author's own set", None, &[("vocals", 12.9755)], FILE_NAME),
        ],
        gflop_per_s: Some(2174.0),
        ..ModelSpec::new(
            "bs-roformer-viperx-1297",
            Family::BsRoformer,
            Licence::not_stated("A third party looked for one on 2026-08-05."),
            &[checkpoint(
                "bs-roformer-viperx-1297.safetensors",
                Source::Url(
                    "https://github.com/TRvlvr/model_repo/releases/download/all_public_uvr_models/model_bs_roformer_ep_317_sdr_12.9755.ckpt",
                ),
                639_331_213,
                "5b84f37e8d444c8cb30c79d77f613a41c05868ff9c9ac6c7049c00aefae115aa",
                include_str!("configs/bs-roformer-viperx-1297.json"),
            )],
        )
    },
    ModelSpec {
        summary: "53 instruments, which overlap and do not add up to the song; choose some with --stems",
        weights: &[&[1.0; 53]],
        sources: FIFTY_THREE,
        gflop_per_s: Some(1230.4),
        ..ModelSpec::new(
            "mvsep-mega-53",
            Family::BsRoformer,
            Licence::stated(
                Terms::Permissive,
                MIT,
                "the author in issue 245 of MSST",
                Some("2026-09-25"),
                "Without warranty about the training data. As two third parties report; the answer itself was not read, \
and others still write that no licence is stated.",
            ),
            &[checkpoint(
                "mvsep-mega-53.safetensors",
                Source::Url(
                    "https://github.com/ZFTurbo/Music-Source-Separation-Training/releases/download/v1.0.21/mvsep_mega_model_bs_roformer_53_stems_v1.ckpt",
                ),
                1_368_919_887,
                "c62820893bbf86d4e734f966bd142d9157cfc8bb8e79e9d8f9ea553f3ff3519f",
                include_str!("configs/mvsep-mega-53.json"),
            )],
        )
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
