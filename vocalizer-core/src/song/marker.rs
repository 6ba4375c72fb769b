//! Markers: named times in a song.

use vocalizer_api::MarkerView;
use vocalizer_api::id::MarkerId;

use super::Title;

/// A named time in a song.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// The ID.
    pub id: MarkerId,
    /// Where it is.
    pub at_ms: u64,
    /// Its name, under the rules of titles.
    pub name: Title,
}

impl Marker {
    /// The maximum number of markers of a song.
    pub const MOST: u32 = 200;

    /// The maximum number of characters of a name.
    pub const MAX_NAME_CHARS: usize = 100;
}

impl From<Marker> for MarkerView {
    fn from(Marker { id, at_ms, name }: Marker) -> Self {
        Self::new(id, at_ms, name.as_str().to_owned())
    }
}
