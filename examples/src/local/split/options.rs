//! From the arguments to the options of splitting, and to those that the manifest records.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use vocalizer_model::audio::{AudioFormat, Bitrate};
use vocalizer_model::{Clip, Complement, Error, Precision, SplitOptions, Stem};

use super::demucs;
use super::separate_args::{ClipArg, FormatArg, OtherMethod, RateArg, SplitArgs};
use crate::local::network_args::NetworkArgs;

/// The bitrate of MP3 by default, in kbit/s.
const KBPS: u16 = 320;

/// The longest name of a file without its ending, in bytes.
const MAX_NAME_BYTES: usize = 190;

/// Returns the options of splitting.
///
/// # Errors
///
/// [`Error::Options`] if arguments exclude each other or are out of range.
pub(super) fn of(args: &SplitArgs) -> Result<SplitOptions, Error> {
    let format = demucs::format(args)?;
    if format != FormatArg::Mp3 {
        for (option, is_given) in [("--bitrate", args.bitrate.is_some()), ("--vbr", args.vbr.is_some())] {
            if is_given {
                return Err(Error::Options(format!("{option} is for MP3: add --format mp3, or leave it out")));
            }
        }
    }
    let bitrate = match args.vbr {
        Some(quality) => Bitrate::Vbr(quality),
        None => Bitrate::Cbr(args.bitrate.unwrap_or(KBPS)),
    };
    let mut options = SplitOptions::default();
    options.separation = args.network.separation();
    options.stems.clone_from(&args.stems);
    options.mix_minus.clone_from(&args.mix_minus);
    options.two_stems = args.two_stems.map(|stem| (stem, complement(args.other_method)));
    options.format = match format {
        FormatArg::Mp3 => AudioFormat::Mp3(bitrate),
        FormatArg::Flac => AudioFormat::Flac,
        FormatArg::Wav => AudioFormat::Wav16,
        FormatArg::Wav24 => AudioFormat::Wav24,
        FormatArg::Wavf32 => AudioFormat::WavF32,
    };
    options.clip = args.clip.map(|clip| match clip {
        ClipArg::Common => Clip::Common,
        ClipArg::Each => Clip::Each,
        ClipArg::Clamp => Clip::Clamp,
        ClipArg::None => Clip::None,
    });
    options.keep_rate = args.rate == RateArg::Source;
    options.mono = args.mono;
    options.tags = !args.no_tags;
    options.read.track = args.track;
    options.read.strict = args.strict;
    options.start_s = args.start;
    options.end_s = args.end;
    options.profile = args.profile_json.is_some();
    options.check()?;
    if let Some(name) = options.mix_minus_name().filter(|name| name.len() > MAX_NAME_BYTES) {
        let bytes = name.len();
        return Err(Error::Options(format!(
            "the name of the --mix-minus file would have {bytes} bytes; name fewer stems"
        )));
    }
    if !args.out_template.tells_stems_apart() && !is_single_file(&options) {
        let why = "the template has no {stem}, so all stems would have the same path; add it, or choose one stem with --stems";
        return Err(Error::Options(why.into()));
    }
    Ok(options)
}

fn complement(method: OtherMethod) -> Complement {
    match method {
        OtherMethod::Add | OtherMethod::None => Complement::Add,
        OtherMethod::Minus => Complement::Minus,
    }
}

/// Returns whether one file is written per song, whatever the model is.
pub(super) fn is_single_file(options: &SplitOptions) -> bool {
    let mut stems = options.stems.clone();
    stems.sort_unstable();
    stems.dedup();
    options.two_stems.is_none() && stems.len() + usize::from(!options.mix_minus.is_empty()) == 1
}

/// Returns the names of stems, each once.
fn sorted(stems: &[Stem]) -> Vec<&str> {
    let mut names: Vec<_> = stems.iter().map(Stem::name).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Returns the options that change the files, and the precision that was computed in, as the manifest records them.
pub(super) fn recorded(options: &SplitOptions, network: &NetworkArgs, precision: Precision) -> BTreeMap<String, Value> {
    let (format, bitrate) = match options.format {
        AudioFormat::Mp3(Bitrate::Cbr(kbps)) => ("mp3", json!(kbps)),
        AudioFormat::Mp3(Bitrate::Vbr(quality)) => ("mp3", json!(format!("v{quality}"))),
        AudioFormat::Flac => ("flac", Value::Null),
        AudioFormat::Flac24 => ("flac24", Value::Null),
        AudioFormat::Wav16 => ("wav", Value::Null),
        AudioFormat::Wav24 => ("wav24", Value::Null),
        AudioFormat::WavF32 => ("wavf32", Value::Null),
    };
    let clip = match options.clip {
        None if options.format == AudioFormat::WavF32 => "none",
        None | Some(Clip::Common) => "common",
        Some(Clip::Each) => "each",
        Some(Clip::Clamp) => "clamp",
        Some(Clip::None) => "none",
    };
    let two_stems = options.two_stems.map(|(stem, complement)| {
        let method = if complement == Complement::Add { "add" } else { "minus" };
        json!({"stem": stem.name(), "other_method": method})
    });
    let all = json!({
        "stems": sorted(&options.stems), "two_stems": two_stems, "mix_minus": sorted(&options.mix_minus),
        "format": format, "bitrate": bitrate, "clip": clip, "keep_rate": options.keep_rate, "mono": options.mono,
        "tags": options.tags, "track": options.read.track, "start_s": options.start_s, "end_s": options.end_s,
    });
    // Written and read again, so that the numbers are those that a manifest has.
    let read = |values: Value| serde_json::from_str::<BTreeMap<String, Value>>(&values.to_string()).unwrap_or_default();
    read(all).into_iter().chain(read(network.recorded(precision))).filter(|(_, value)| !value.is_null()).collect()
}
