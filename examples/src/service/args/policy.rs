//! Options for registration, quotas and retention.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum, value_parser};

/// Registration, upload quotas and retention. Omitted quotas are unlimited.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Accounts")]
pub struct PolicyArgs {
    /// Accept uploads without a session
    #[arg(long, env = "ANONYMOUS_UPLOADS", value_name = "BOOL", num_args = 0..=1, default_value_t = true,
        default_missing_value = "true", action = ArgAction::Set, value_parser = on_or_off)]
    pub anonymous_uploads: bool,
    /// Registration: open, closed, or invite (requires a code from `vocalizer admin invite`)
    #[arg(long, env = "REGISTRATION", value_name = "WHO", value_enum, default_value_t = RegistrationArg::Open)]
    pub registration: RegistrationArg,
    /// File with the name and the password of an administrator, one per line, who is registered at the start if missing; others
    /// must not be able to read it
    #[arg(long, env = "ADMIN_USER_FILE", value_name = "FILE", hide_short_help = true)]
    pub admin_user_file: Option<PathBuf>,
    /// Header in which a trusted proxy names the user that it has authenticated, as in Remote-User; requires TRUSTED_PROXIES
    #[arg(long, env = "TRUSTED_USER_HEADER", value_name = "NAME", hide_short_help = true)]
    pub trusted_user_header: Option<String>,
    /// Register users that the proxy names and that are unknown, instead of refusing them
    #[arg(long, env = "TRUSTED_USER_CREATE", value_name = "BOOL", num_args = 0..=1, default_value_t = false,
        default_missing_value = "true", action = ArgAction::Set, value_parser = on_or_off, hide_short_help = true)]
    pub trusted_user_create: bool,
    /// Days that the audit log is kept
    #[arg(long, env = "AUDIT_DAYS", value_name = "DAYS", default_value_t = 365, value_parser = value_parser!(u64).range(1..=MAX), hide_short_help = true)]
    pub audit_days: u64,
    /// Limit of stored songs per user
    #[arg(long, env = "USER_MAX_SONGS", value_name = "N", value_parser = value_parser!(u64).range(1..))]
    pub user_max_songs: Option<u64>,
    /// Limit of stored bytes per user, without stems
    #[arg(long, env = "USER_MAX_BYTES", value_name = "BYTES", value_parser = value_parser!(u64).range(1..))]
    pub user_max_bytes: Option<u64>,
    /// Limit of uploaded audio per user and day, in minutes
    #[arg(long, env = "USER_MAX_AUDIO_MINUTES_PER_DAY", value_name = "MINUTES", value_parser = value_parser!(u64).range(1..=MAX), hide_short_help = true)]
    pub user_max_audio_minutes_per_day: Option<u64>,
    /// Limit of uploads per user and minute
    #[arg(long, env = "USER_MAX_UPLOADS_PER_MINUTE", value_name = "N", value_parser = value_parser!(u32).range(1..), hide_short_help = true)]
    pub user_max_uploads_per_minute: Option<u32>,
    /// Limit of stored songs per address without a session; an IPv6 /64 network counts as one address
    #[arg(long, env = "ANONYMOUS_MAX_SONGS", value_name = "N", value_parser = value_parser!(u64).range(1..), hide_short_help = true)]
    pub anonymous_max_songs: Option<u64>,
    /// Limit of stored bytes per address without a session, without stems
    #[arg(long, env = "ANONYMOUS_MAX_BYTES", value_name = "BYTES", value_parser = value_parser!(u64).range(1..), hide_short_help = true)]
    pub anonymous_max_bytes: Option<u64>,
    /// Limit of uploaded audio per address without a session and day, in minutes
    #[arg(long, env = "ANONYMOUS_MAX_AUDIO_MINUTES_PER_DAY", value_name = "MINUTES", value_parser = value_parser!(u64).range(1..=MAX), hide_short_help = true)]
    pub anonymous_max_audio_minutes_per_day: Option<u64>,
    /// Limit of uploads per address without a session and minute
    #[arg(long, env = "ANONYMOUS_MAX_UPLOADS_PER_MINUTE", value_name = "N", value_parser = value_parser!(u32).range(1..), hide_short_help = true)]
    pub anonymous_max_uploads_per_minute: Option<u32>,
    /// Delete split and failed songs after this many days
    #[arg(long, env = "RETENTION_DAYS", help_heading = "Storage", value_name = "DAYS", value_parser = value_parser!(u64).range(1..=MAX))]
    pub retention_days: Option<u64>,
    /// Delete split and failed songs uploaded without a session after this many days
    #[arg(long, env = "ANONYMOUS_RETENTION_DAYS", help_heading = "Storage", value_name = "DAYS", value_parser = value_parser!(u64).range(1..=MAX))]
    pub anonymous_retention_days: Option<u64>,
    /// Days that deleted songs stay in the trash, from where they can be restored; 0 deletes them at once
    #[arg(long, env = "TRASH_DAYS", help_heading = "Storage", value_name = "DAYS", default_value_t = 30, value_parser = value_parser!(u64).range(0..=MAX))]
    pub trash_days: u64,
    /// Secret key for hashing the addresses of uploads without a session; servers that share a database need the same key
    /// [default: generated at the first start]
    #[arg(long, env = "ADDRESS_KEY", value_name = "TEXT", hide_env_values = true, hide_short_help = true)]
    pub address_key: Option<String>,
    /// File with the key
    #[arg(long, env = "ADDRESS_KEY_FILE", value_name = "FILE", conflicts_with = "address_key", hide_short_help = true)]
    pub address_key_file: Option<PathBuf>,
}

/// The limit of days and minutes: 100,000 years, so that the number of seconds does not overflow.
const MAX: u64 = 36_500_000;

/// Who may register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RegistrationArg {
    /// Anyone
    Open,
    /// No one
    Closed,
    /// Users with an invite code
    Invite,
}

/// Parses common spellings of a boolean.
pub(super) fn on_or_off(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "1" => Ok(true),
        "off" | "false" | "no" | "0" => Ok(false),
        _ => Err("expected on or off".to_owned()),
    }
}
