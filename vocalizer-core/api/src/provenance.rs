//! Where the stems of a song come from.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::text::changes_layout;

/// What made the stems of a song, as the worker says. Texts are single lines of bounded length.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(extend("required" = ["model"])))]
#[non_exhaustive]
pub struct Provenance {
    /// The name of the model, or of the file of its weights.
    pub model: String,
    /// The SHA-256 of the weights in lower-case hexadecimal digits; of several networks, of their digests in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
    /// The device, such as `cpu` or `cuda:0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The number format of the network, such as `f32`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<String>,
    /// The name and version of the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// How long splitting took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
    /// The length of the song divided by the time taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed: Option<Speed>,
}

impl Provenance {
    /// The longest text in a field, in characters.
    pub const MAX_CHARS: usize = 200;

    /// The most bytes of a provenance in JSON: every character of every text may be escaped.
    pub const MAX_JSON_BYTES: usize = 16 * 1024;

    /// The longest time taken.
    pub const MAX_TOOK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

    /// Returns the provenance of stems of which only the model is known.
    pub fn new(model: impl Into<String>) -> Self {
        let (weights, device, precision, program) = (None, None, None, None);
        Self { model: model.into(), weights, device, precision, program, took_ms: None, speed: None }
    }

    /// Sets how long it took to split a song of this length, and the speed that follows.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use vocalizer_api::Provenance;
    ///
    /// let mut provenance = Provenance::new("htdemucs");
    /// provenance.device = Some("cuda:0".to_owned());
    /// provenance.measure(Duration::from_secs(240), Duration::from_secs(4));
    /// assert!(provenance.check().is_ok());
    /// assert_eq!(provenance.speed.map(|speed| speed.times()), Some(60.0));
    /// ```
    pub fn measure(&mut self, audio: Duration, took: Duration) {
        self.took_ms = u64::try_from(took.as_millis()).ok();
        self.speed = Speed::of(audio, took);
    }

    /// Checks every field.
    ///
    /// # Errors
    ///
    /// [`InvalidProvenance`] names the first field that is out of bounds.
    pub fn check(&self) -> Result<(), InvalidProvenance> {
        // No `..` here: a new field does not compile until it is checked too.
        let Self { model, weights, device, precision, program, took_ms, speed } = self;
        let texts = [("model", Some(model)), ("device", device.as_ref()), ("precision", precision.as_ref())];
        for (field, text) in texts.into_iter().chain([("program", program.as_ref())]) {
            let Some(text) = text else { continue };
            let is_line = !text.trim().is_empty() && !text.chars().any(changes_layout);
            if !is_line || text.chars().nth(Self::MAX_CHARS).is_some() {
                return Err(InvalidProvenance { field, wanted: "one line of 1 to 200 characters" });
            }
        }
        let is_digit = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
        if weights.as_ref().is_some_and(|digest| digest.len() != 64 || !digest.bytes().all(is_digit)) {
            return Err(InvalidProvenance { field: "weights", wanted: "64 lower-case hexadecimal digits" });
        }
        if took_ms.is_some_and(|took| Duration::from_millis(took) > Self::MAX_TOOK) {
            return Err(InvalidProvenance { field: "took_ms", wanted: "at most a week" });
        }
        if speed.is_some_and(|Speed(times)| !(0.0..=Speed::MAX).contains(&times)) {
            return Err(InvalidProvenance { field: "speed", wanted: "a number from 0 to 1,000,000" });
        }
        Ok(())
    }
}

/// How many times faster than real time a song was split.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Speed(f64);

/// Never NaN: neither a quotient of lengths nor a number in JSON is.
impl Eq for Speed {}

impl Speed {
    /// The highest speed that is believed.
    const MAX: f64 = 1e6;

    /// Returns the speed at which a song of this length was split, in hundredths; `None` if that took no time.
    #[must_use]
    pub fn of(audio: Duration, took: Duration) -> Option<Self> {
        let times = audio.as_secs_f64() / took.as_secs_f64();
        times.is_finite().then(|| Self(((times * 100.0).round() / 100.0).min(Self::MAX)))
    }

    /// Returns the speed as a multiple of real time.
    #[must_use]
    pub const fn times(self) -> f64 {
        self.0
    }
}

/// A field of a [`Provenance`] is out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("invalid {field} in the provenance: use {wanted}")]
pub struct InvalidProvenance {
    field: &'static str,
    wanted: &'static str,
}
