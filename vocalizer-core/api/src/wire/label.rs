//! Labels as JSON.

use serde::{Deserialize, Serialize};

/// A label and how many songs have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct LabelView {
    /// The label. Of spellings that differ in case only, one.
    pub label: String,
    /// The number of songs that the caller may see, without those in the trash.
    pub songs: u64,
}

impl LabelView {
    /// Returns a label.
    #[must_use]
    pub const fn new(label: String, songs: u64) -> Self {
        Self { label, songs }
    }
}

/// The `data` of a response about the labels of all songs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LabelsData {
    /// The labels in alphabetical order, without case.
    pub labels: Vec<LabelView>,
}
