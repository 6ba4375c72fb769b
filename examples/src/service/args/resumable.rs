//! Options for resumable uploads.

use std::fmt;
use std::time::Duration;

use clap::{Args, value_parser};
use vocalizer_core::service::ResumableSettings;

/// Bounds of unfinished resumable uploads.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Limits")]
pub struct ResumableArgs {
    /// Limit of unfinished resumable uploads; 0 turns resumable uploads off
    #[arg(long, env = "MAX_UNFINISHED_UPLOADS", value_name = "N", default_value_t = ResumableSettings::default().max_total, hide_short_help = true)]
    pub max_unfinished_uploads: u32,
    /// Limit of unfinished resumable uploads per user, or per address without a session
    #[arg(long, env = "MAX_UNFINISHED_UPLOADS_PER_USER", value_name = "N", default_value_t = ResumableSettings::default().max_per_uploader,
        value_parser = value_parser!(u32).range(1..), hide_short_help = true)]
    pub max_unfinished_uploads_per_user: u32,
    /// Limit of bytes of unfinished resumable uploads, by their declared sizes [default: 64 times MAX_UPLOAD_BYTES]
    #[arg(long, env = "MAX_UNFINISHED_BYTES", value_name = "BYTES", hide_short_help = true)]
    pub max_unfinished_bytes: Option<u64>,
    /// The same per user, or per address without a session [default: 4 times MAX_UPLOAD_BYTES]
    #[arg(long, env = "MAX_UNFINISHED_BYTES_PER_USER", value_name = "BYTES", hide_short_help = true)]
    pub max_unfinished_bytes_per_user: Option<u64>,
    /// Delete a resumable upload that has received nothing for this many seconds
    #[arg(long, env = "UPLOAD_EXPIRY_S", value_name = "SECONDS", default_value_t = ResumableSettings::default().expires_after.as_secs(),
        value_parser = value_parser!(u64).range(60..=MAX_EXPIRY_S), hide_short_help = true)]
    pub upload_expiry_s: u64,
}

/// The longest expiry: a year.
const MAX_EXPIRY_S: u64 = 366 * 24 * 60 * 60;

impl From<ResumableArgs> for ResumableSettings {
    fn from(args: ResumableArgs) -> Self {
        Self {
            max_per_uploader: args.max_unfinished_uploads_per_user,
            max_bytes_per_uploader: args.max_unfinished_bytes_per_user,
            max_total: args.max_unfinished_uploads,
            max_total_bytes: args.max_unfinished_bytes,
            expires_after: Duration::from_secs(args.upload_expiry_s),
        }
    }
}

/// Writes one setting per line.
pub(crate) fn show(f: &mut fmt::Formatter<'_>, settings: &ResumableSettings) -> fmt::Result {
    let bytes = |limit: Option<u64>, times: u32| {
        limit.map_or(format!("({times} times MAX_UPLOAD_BYTES)"), |limit| limit.to_string())
    };
    writeln!(f, "MAX_UNFINISHED_UPLOADS={}", settings.max_total)?;
    writeln!(f, "MAX_UNFINISHED_UPLOADS_PER_USER={}", settings.max_per_uploader)?;
    writeln!(f, "MAX_UNFINISHED_BYTES={}", bytes(settings.max_total_bytes, 64))?;
    writeln!(f, "MAX_UNFINISHED_BYTES_PER_USER={}", bytes(settings.max_bytes_per_uploader, 4))?;
    writeln!(f, "UPLOAD_EXPIRY_S={}", settings.expires_after.as_secs())
}
