//! What the configurations of the training toolkit have in common, whatever network they are for.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use crate::weights::{Arguments, WeightsError};

/// The only sample rate, in Hz.
const RATE_HZ: usize = 44_100;
/// The longest chunk, in seconds.
const LONGEST_CHUNK_S: usize = 60;
/// The most names in a list; the largest published network has 53 stems.
const MOST_NAMES: usize = 256;

/// The sections of a configuration.
pub(super) struct Sections<'a> {
    pub(super) audio: Arguments<'a>,
    pub(super) model: Arguments<'a>,
    pub(super) training: Arguments<'a>,
    pub(super) inference: Arguments<'a>,
}

impl<'a> Sections<'a> {
    /// # Errors
    ///
    /// [`WeightsError::Malformed`] if a section is not a list of settings.
    pub(super) fn of(config: &'a Value) -> Result<Self, WeightsError> {
        static ABSENT: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
        let section = |name: &str| match config.get(name) {
            None | Some(Value::Null) => Ok(Arguments(&ABSENT)),
            Some(Value::Object(map)) => Ok(Arguments(map)),
            Some(other) => Err(Arguments::malformed(name, other)),
        };
        Ok(Self {
            audio: section("audio")?,
            model: section("model")?,
            training: section("training")?,
            inference: section("inference")?,
        })
    }
}

/// Keys and defaults of a network's configuration.
pub(super) struct Defaults {
    /// The keys of the size of the transform, of its hop and of its window.
    pub(super) keys: [&'static str; 3],
    pub(super) nfft: usize,
    pub(super) hop: usize,
    pub(super) chunk_frames: usize,
    /// The instruments; `None` if they must be given.
    pub(super) instruments: Option<Vec<String>>,
}

/// What every configuration says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Common {
    /// Names of the stems, in the order of the network's outputs; the target alone if there is one.
    pub(crate) stems: Vec<String>,
    /// Names of all instruments of the training, which are more than `stems` if there is a target.
    pub(crate) instruments: Vec<String>,
    /// Samples per chunk.
    pub(crate) chunk_frames: usize,
    /// Chunks that cover a sample.
    pub(crate) num_overlap: usize,
    /// Whether the whole track is normalised before it is cut into chunks.
    pub(crate) normalize: bool,
    /// Size of the transform and of its window.
    pub(crate) nfft: usize,
    /// Samples between frames of the transform.
    pub(crate) hop: usize,
}

impl Common {
    /// Reads it. `inference.chunk_size` takes precedence over `audio.chunk_size`. An absent `num_overlap` means 2.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Malformed`] if a value has the wrong type or is out of range, [`WeightsError::Unsupported`] for
    /// other audio than stereo at 44.1 kHz, and for a window that is shorter than the transform.
    pub(super) fn read(sections: &Sections<'_>, defaults: Defaults) -> Result<Self, WeightsError> {
        let Sections { audio, model, training, inference } = sections;
        let channels = audio.count("num_channels", 2, 1 << 10)?;
        for section in [audio, model] {
            let rate_hz = section.count("sample_rate", RATE_HZ, 1 << 20)?;
            if channels != 2 || rate_hz != RATE_HZ {
                let found = format!("audio of {channels} channels (num_channels) at {rate_hz} Hz (sample_rate)");
                return unsupported(&format!("{found}; use a network for 2 channels at {RATE_HZ} Hz"));
            }
        }
        let [size, step, window] = defaults.keys;
        let nfft = model.count(size, defaults.nfft, 1 << 14)?;
        let hop = model.count(step, defaults.hop, 1 << 14)?;
        if nfft < 16 || !nfft.is_multiple_of(2) || hop == 0 || hop > nfft / 2 {
            return malformed(&format!("{size} must be even and at least 16, {step} from 1 to half of it"));
        }
        if model.count(window, nfft, 1 << 14)? != nfft {
            return unsupported(&format!("{window} other than {size}"));
        }
        let longest = LONGEST_CHUNK_S * RATE_HZ;
        let chunk_frames = audio.count("chunk_size", defaults.chunk_frames, longest)?;
        let chunk_frames = inference.count("chunk_size", chunk_frames, longest)?;
        if chunk_frames <= nfft / 2 {
            return malformed(&format!("chunk_size must be more than half of {size}"));
        }
        let instruments = names(training, "instruments")?.or(defaults.instruments);
        let instruments = instruments.ok_or_else(|| Arguments::malformed("instruments", &Value::Null))?;
        let stems = match training.get("target_instrument") {
            None => instruments.clone(),
            Some(value) => {
                let known = |target: &String| instruments.iter().any(|name| name.eq_ignore_ascii_case(target));
                vec![name(value).filter(known).ok_or_else(|| Arguments::malformed("target_instrument", value))?]
            }
        };
        let num_overlap = at_least_one(inference, "num_overlap", 2, 64)?;
        let normalize = inference.flag("normalize", false)?;
        Ok(Self { stems, instruments, chunk_frames, num_overlap, normalize, nfft, hop })
    }

    /// Returns the bins of the spectrum.
    pub(super) fn bins(&self) -> usize {
        self.nfft / 2 + 1
    }
}

/// Reads a list of names.
pub(super) fn names(section: &Arguments<'_>, key: &str) -> Result<Option<Vec<String>>, WeightsError> {
    let Some(value) = section.get(key) else { return Ok(None) };
    let names = value.as_array().filter(|names| (1..=MOST_NAMES).contains(&names.len()));
    let names: Option<Vec<_>> = names.and_then(|names| names.iter().map(name).collect());
    names.map(Some).ok_or_else(|| Arguments::malformed(key, value))
}

fn name(value: &Value) -> Option<String> {
    value.as_str().filter(|name| (1..=64).contains(&name.len())).map(str::to_owned)
}

pub(super) fn at_least_one(
    section: &Arguments<'_>,
    key: &str,
    default: usize,
    most: usize,
) -> Result<usize, WeightsError> {
    let count = section.count(key, default, most)?;
    if count == 0 { Err(Arguments::malformed(key, &Value::from(0))) } else { Ok(count) }
}

pub(super) fn malformed<T>(what: &str) -> Result<T, WeightsError> {
    Err(WeightsError::Malformed(what.into()))
}

pub(super) fn unsupported<T>(what: &str) -> Result<T, WeightsError> {
    Err(WeightsError::Unsupported(what.into()))
}
