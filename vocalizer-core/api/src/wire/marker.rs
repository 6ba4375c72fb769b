//! Markers as JSON.

use serde::{Deserialize, Serialize};

use crate::id::MarkerId;

/// A marker: a named time in a song.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct MarkerView {
    /// The ID, used to change and to delete the marker.
    #[cfg_attr(feature = "schema", schemars(with = "uuid::Uuid"))]
    pub id: MarkerId,
    /// Where it is.
    pub at_ms: u64,
    /// Its name.
    pub name: String,
}

impl MarkerView {
    /// Returns a marker.
    #[must_use]
    pub const fn new(id: MarkerId, at_ms: u64, name: String) -> Self {
        Self { id, at_ms, name }
    }
}

/// The `data` of a response about a marker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MarkerData {
    /// The marker.
    pub marker: MarkerView,
}

/// The `data` of a response about the markers of a song.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MarkersData {
    /// The markers, in the order of the song.
    pub markers: Vec<MarkerView>,
}
