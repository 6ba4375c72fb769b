//! Form fields and query parameters. Each is declared once; its handler and the OpenAPI document use the declaration.

use serde_json::{Value, json};
use vocalizer_core::api::{MAX_JOB_DELAY, MAX_JOB_WAIT};
use vocalizer_core::part::Stem;
use vocalizer_core::ports::Peaks;
use vocalizer_core::service::{Levels, MAX_PAGE, SortBy};
use vocalizer_core::song::StatusKind;

/// A form field or a query parameter.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Empty for form fields.
    pub(crate) description: &'static str,
}

/// The values of a form field or query parameter.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Text,
    Whole(Whole),
    Gain,
    OneOf(fn() -> Value),
}

/// A range of whole numbers, and the value of an omitted field.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whole {
    min: u64,
    max: u64,
    pub(crate) default: Option<u64>,
}

/// The request body.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Input {
    Nothing,
    Form {
        required: &'static [&'static Field],
        optional: &'static [&'static Field],
    },
    Upload,
    /// The next bytes of a resumable upload.
    Piece,
    Tar,
}

impl Field {
    const fn text(name: &'static str) -> Self {
        Self { name, kind: Kind::Text, description: "" }
    }

    const fn whole(name: &'static str, min: u64, max: u64, default: Option<u64>) -> Self {
        Self { name, kind: Kind::Whole(Whole { min, max, default }), description: "" }
    }

    const fn one_of(name: &'static str, values: fn() -> Value) -> Self {
        Self { name, kind: Kind::OneOf(values), description: "" }
    }

    const fn gain(name: &'static str) -> Self {
        Self { name, kind: Kind::Gain, description: "For mix.*: gain of this stem, as a factor" }
    }

    const fn described(self, description: &'static str) -> Self {
        Self { description, ..self }
    }

    /// Parses a whole number. The error names the declared range.
    pub(crate) fn number(&self, text: &str) -> Result<u64, String> {
        let Self { name, kind: Kind::Whole(Whole { min, max, .. }), .. } = *self else {
            return Err(format!("{} is no number", self.name));
        };
        let number = text.parse().ok().filter(|number| (min..=max).contains(number));
        number.ok_or_else(|| format!("{name} must be a whole number from {min} to {max}"))
    }

    /// Returns the JSON schema of the values.
    pub(crate) fn schema(&self) -> Value {
        match &self.kind {
            Kind::Text => json!({"type": "string"}),
            Kind::Whole(Whole { min, max, default: None }) => {
                json!({"type": "integer", "minimum": min, "maximum": max})
            }
            Kind::Whole(Whole { min, max, default: Some(default) }) => {
                json!({"type": "integer", "minimum": min, "maximum": max, "default": default})
            }
            Kind::Gain => json!({"type": "number", "minimum": 0, "maximum": Levels::MOST, "default": 1}),
            Kind::OneOf(values) => json!({"enum": values()}),
        }
    }
}

/// The longest position in a song: about 50 days.
const MAX_MS: u64 = u32::MAX as u64;

/// Declares each field as a static, which handlers refer to.
macro_rules! fields {
    ($($name:ident = $field:expr;)*) => { $(pub(crate) static $name: Field = $field;)* };
}

fields! {
    USERNAME = Field::text("username");
    PASSWORD = Field::text("password");
    PASSWORD_1 = Field::text("password1");
    PASSWORD_2 = Field::text("password2");
    OLD_PASSWORD = Field::text("old_password");
    INVITE = Field::text("invite");
    TOKEN_NAME = Field::text("name");
    EXPIRES_IN_DAYS = Field::text("expires_in_days");
    TITLE = Field::text("title");
    EXPIRES_AT = Field::text("expires_at");
    START_MS = Field::whole("start_ms", 0, MAX_MS, None);
    LOOP_FROM_MS = Field::whole("loop_from_ms", 0, MAX_MS, None);
    LOOP_TO_MS = Field::whole("loop_to_ms", 0, MAX_MS, None);
    AT_MS = Field::whole("at_ms", 0, MAX_MS, None);
    MARKER_NAME = Field::text("name");
    LABEL = Field::text("label");
    URL = Field::text("url");
    EVENTS = Field::text("events");
    PERCENT = Field::whole("percent", 0, 100, None);
    REASON = Field::text("reason");
    MODEL = Field::text("model");
    STEMS = Field::text("stems");
    MODELS = Field::text("models");
    WAIT_S = Field::whole("wait_s", 0, MAX_JOB_WAIT.as_secs(), Some(30));
    FAILURE_KIND = Field::one_of("kind", || json!(["retry", "later", "never"]));
    AFTER_MS = Field::whole("after_ms", 0, MAX_JOB_DELAY.as_secs() * 1000, Some(0));

    MAX_SONGS = Field::text("max_songs");
    MAX_BYTES = Field::text("max_bytes");
    MAX_AUDIO_MINUTES_PER_DAY = Field::text("max_audio_minutes_per_day");
    MAX_UPLOADS_PER_MINUTE = Field::text("max_uploads_per_minute");

    SEARCH = Field::text("search").described("Only users whose name contains this");
    USER = Field::text("user").described("Only songs of this user: an ID or a name");
    SINCE = Field::text("since").described("Only entries since this time, in RFC 3339");
    MOST = Field::whole("limit", 1, 1000, Some(100)).described("Maximum number of entries");
    STATUS = Field::one_of("status", || json!(StatusKind::ALL.map(StatusKind::name)))
        .described("Only songs with this status");
    LIMIT = Field::whole("limit", 1, MAX_PAGE as u64, Some(MAX_PAGE as u64)).described("Maximum number of songs");
    AFTER = Field::text("after").described("Continue after this cursor: `next` of the previous page");
    Q = Field::text("q").described("Only songs whose title or artist contains each word, without case and accents; at most 200 characters, 6 words");
    WITH_LABEL = Field::text("label").described("Only songs with this label, in any case");
    LABEL_REMOVED = Field::text("label").described("The label to remove, in any case");
    WHOSE = Field::one_of("whose", || json!(["all", "mine", "open"])).described("Whose songs: the caller's, those uploaded without a session, or both");
    SORT = Field::one_of("sort", || json!(SortBy::ALL.iter().flat_map(|by| [by.name().to_owned(), format!("-{}", by.name())]).collect::<Vec<_>>()))
        .described("The order; with `-` reversed. Without it: `-added`, the newest first");
    TOTAL = Field::text("total").described("Count the songs on all pages; any value");
    DETAILS = Field::text("details").described("Include `uploaded_at`, `artist`, `duration_ms`, `has_cover`, `labels`, `model`, `parts`, `waiting_for` and, of a split song, `lossless` and `provenance`; any value");
    DOWNLOAD = Field::text("download").described("Send `Content-Disposition: attachment`; any value");
    FORMAT = Field::one_of("format", || json!(["mp3", "wav", "flac"]))
        .described("For stems.zip and stems.tar: audio format");
    QUALITY = Field::one_of("quality", || json!(["preview"]))
        .described("For parts as .mp3: `preview` is a file of 64 kbit/s, for slow connections");
    STEMS_CHOSEN = Field::text("stems")
        .described("For stems.zip and stems.tar: only these stems, separated by commas");
    NUMBERED = Field::text("numbered")
        .described("For stems: names of files as in `04 Title (vocals).wav`, for audio workstations; any value");
    TEMPO = Field::whole("tempo", 1, 999, None)
        .described("With `numbered`: beats per minute to put into the names; else those of the song's analysis, if it is there");
    KEY = Field::text("key")
        .described("With `numbered`: the key to put into the names, such as `C` or `F#m`; else that of the song's analysis, if it is there");
    FROM_MS = Field::whole("from_ms", 0, MAX_MS, None).described("Only values from this time on");
    TO_MS = Field::whole("to_ms", 1, MAX_MS, None).described("Only values up to this time");
    POINTS = Field::whole("points", 1, Peaks::DRAWN as u64, Some(Peaks::DRAWN as u64))
        .described("Maximum number of values");
    DRUMS = Field::gain("drums");
    BASS = Field::gain("bass");
    OTHER = Field::gain("other");
    VOCALS = Field::gain("vocals");
    LEVELS = Field::text("levels").described("For a mix: gains of other stems, as in `piano:0.5,guitar:0`");
    STATE = Field::text("state").described("The state, as in the redirect to the provider");
    CODE = Field::text("code").described("The provider's code");
    ISSUER = Field::text("iss").described("The issuer, if the provider sends it");
    PROVIDER_ERROR = Field::text("error").described("The provider's error, instead of a code");
    MODELS_HELD = Field::text("models").described("The worker's models, separated by commas");
}

/// The gain of each stem in a mix.
pub(crate) static GAINS: [(Stem, &Field); 4] =
    [(Stem::DRUMS, &DRUMS), (Stem::BASS, &BASS), (Stem::OTHER, &OTHER), (Stem::VOCALS, &VOCALS)];

/// Parses gains of any stems, as in `piano:0.5,guitar:0`. The stems of other models have no fields of their own.
pub(crate) fn levels(text: &str) -> Option<Vec<(Stem, f32)>> {
    let gain = |text: &str| text.parse().ok().filter(|gain| (0.0..=Levels::MOST).contains(gain));
    let one = |text: &str| text.split_once(':').and_then(|(stem, level)| Some((stem.parse().ok()?, gain(level)?)));
    text.split(',').map(one).collect()
}
