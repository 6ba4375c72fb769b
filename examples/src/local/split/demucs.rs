//! What the options of Demucs mean here, and what to use instead of those that have no counterpart.

use vocalizer_model::Error;

use super::demucs_args::DemucsArgs;
use super::separate_args::{FormatArg, OtherMethod, SplitArgs};

/// Models of Demucs that this program does not have.
const OTHER_MODELS: [&str; 7] = ["hdemucs_mmi", "mdx", "mdx_extra", "mdx_q", "mdx_extra_q", "repro_mdx_a", "demucs"];

/// Returns the format that the options name.
///
/// # Errors
///
/// [`Error::Options`] for options that exclude each other or cannot be honoured.
pub(super) fn format(args: &SplitArgs) -> Result<FormatArg, Error> {
    refuse_others(args)?;
    let DemucsArgs { mp3, flac, int24, float32, .. } = args.demucs;
    let bits = if int24 { "--int24" } else { "--float32" };
    match (mp3, flac, int24 || float32) {
        (true, _, true) => Err(Error::Options(format!("MP3 has no bits per sample: leave out {bits}"))),
        (_, true, true) => {
            let wav = if int24 { "wav24" } else { "wavf32" };
            Err(Error::Options(format!(
                "FLAC is written with 16 bits: leave out {bits}, or use --format {wav} instead of --flac"
            )))
        }
        (true, ..) => Ok(FormatArg::Mp3),
        (_, true, _) => Ok(FormatArg::Flac),
        _ if int24 => Ok(FormatArg::Wav24),
        _ if float32 => Ok(FormatArg::Wavf32),
        _ => Ok(args.format),
    }
}

fn refuse_others(args: &SplitArgs) -> Result<(), Error> {
    let DemucsArgs { mp3_preset, no_split, repo, sig, list_models, .. } = &args.demucs;
    let is_other_model = OTHER_MODELS.contains(&args.model.as_str());
    for (is_given, advice) in [
        (*list_models, "--list-models is a command here: vocalizer models"),
        (repo.is_some(), "--repo is not supported: name a weights file with --model FILE"),
        (sig.is_some(), "--sig is not supported: name a weights file with --model FILE"),
        (*no_split, "--no-split is not supported: the models take segments of at most 7.8 seconds; leave it out"),
        (mp3_preset.is_some(), "--mp3-preset is not supported: set the quality of MP3 with --bitrate or --vbr"),
        (
            args.two_stems.is_some() && args.other_method == OtherMethod::None,
            "--other-method none is not supported: use --stems STEM instead of --two-stems STEM",
        ),
    ] {
        if is_given {
            return Err(Error::Options(advice.into()));
        }
    }
    if is_other_model && !std::path::Path::new(&args.model).exists() {
        let known: Vec<_> = vocalizer_model::weights::MODELS.iter().map(|spec| spec.name).collect();
        return Err(Error::Options(format!(
            "the model {} of Demucs is not supported; use {}",
            args.model,
            known.join(", ")
        )));
    }
    Ok(())
}
