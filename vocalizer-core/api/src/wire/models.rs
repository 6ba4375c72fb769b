//! Models as JSON.

use serde::{Deserialize, Serialize};

/// A model that songs can be split with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("required" = ["name", "stems", "is_default", "has_worker"]))
)]
#[non_exhaustive]
pub struct ModelView {
    /// The name, as in the field `model` of an upload.
    pub name: String,
    /// The names of its stems.
    pub stems: Vec<String>,
    /// Whether it splits the songs whose upload names no model.
    pub is_default: bool,
    /// The work per second of a song, relative to `htdemucs`; missing if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relative_cost: Option<f64>,
    /// The licence of its weights; missing if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// Whether a worker for it was there within the last minutes.
    pub has_worker: bool,
    /// How many seconds a minute of a song takes, as measured with the last songs; missing until a worker has measured
    /// one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_per_minute: Option<f64>,
}

impl ModelView {
    /// Returns a model of which only the necessary is known.
    #[must_use]
    pub const fn new(name: String, stems: Vec<String>, is_default: bool) -> Self {
        let (relative_cost, licence, has_worker, seconds_per_minute) = (None, None, false, None);
        Self { name, stems, is_default, relative_cost, licence, has_worker, seconds_per_minute }
    }
}

/// The `data` of a response that lists models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ModelsData {
    /// The models that the server allows, the default first.
    pub models: Vec<ModelView>,
}
