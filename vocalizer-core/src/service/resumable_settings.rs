//! Settings of resumable uploads.

use std::time::Duration;

/// The bounds of resumable uploads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResumableSettings {
    /// Most unfinished uploads of one user, or of one address without a login. Default: 16.
    pub max_per_uploader: u32,
    /// Most bytes of them, by their declared sizes. Default (`None`): four times the largest song file.
    pub max_bytes_per_uploader: Option<u64>,
    /// Most unfinished uploads of all users. Default: 1,000. With 0, there are no resumable uploads.
    pub max_total: u32,
    /// Most bytes of them, by their declared sizes. Default (`None`): 64 times the largest song file.
    pub max_total_bytes: Option<u64>,
    /// An upload is deleted when no bytes have been stored for this long. Default: one day.
    pub expires_after: Duration,
}

impl Default for ResumableSettings {
    fn default() -> Self {
        Self {
            max_per_uploader: 16,
            max_bytes_per_uploader: None,
            max_total: 1000,
            max_total_bytes: None,
            expires_after: Duration::from_secs(24 * 60 * 60),
        }
    }
}
