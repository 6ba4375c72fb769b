//! What a server takes, told before it is refused.

use serde::{Deserialize, Serialize};

use crate::limits::Limits;

/// The `data` of an answer about limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LimitsData {
    /// The limits.
    pub limits: LimitsView,
}

/// The bounds that uploaders may meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LimitsView {
    /// Largest song file.
    pub max_upload_bytes: u64,
    /// Longest title, in characters.
    pub max_title_chars: u64,
    /// Longest song.
    pub max_duration_s: u64,
}

impl From<&Limits> for LimitsView {
    fn from(limits: &Limits) -> Self {
        let &Limits { max_upload_bytes, max_title_chars, max_duration_s, .. } = limits;
        Self { max_upload_bytes, max_title_chars: max_title_chars as u64, max_duration_s }
    }
}
