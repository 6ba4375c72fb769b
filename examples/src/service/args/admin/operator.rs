//! Options of `admin` for users, songs, jobs, storage and the audit log.

use std::path::PathBuf;

use clap::{Args, Subcommand, value_parser};
use vocalizer_core::quota::Limit;
use vocalizer_core::song::{SongId, StatusKind};

use super::StorageArgs;

/// Options of `admin users`.
#[derive(Debug, Args)]
pub struct UsersArgs {
    /// The command.
    #[command(subcommand)]
    pub command: UsersCommand,
    /// The storage.
    #[command(flatten)]
    pub storage: StorageArgs,
    /// Print JSON: one object per line
    #[arg(long, global = true)]
    pub json: bool,
}

/// Commands of `admin users`. NAME is a username or a user's ID.
#[derive(Debug, Subcommand)]
pub enum UsersCommand {
    /// List users by name
    List {
        /// Only users whose name contains this
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
        /// Print at most this many
        #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
        limit: Option<u32>,
    },
    /// Disable a user: sessions and tokens end at once, logins are refused, songs and share links stay
    Disable {
        /// The user
        name: String,
    },
    /// Enable a user
    Enable {
        /// The user
        name: String,
    },
    /// Make a user an administrator, who may do most of this in the browser; effective at once
    Admin {
        /// The user
        name: String,
        /// Make the user an ordinary one
        #[arg(long)]
        revoke: bool,
    },
    /// Disconnect a user from the OpenID Connect provider; sessions stay
    Disconnect {
        /// The user
        name: String,
    },
    /// Set a new password and print it, end all sessions, revoke all tokens and disconnect the provider
    ResetPassword {
        /// The user
        name: String,
        /// Read the password from the first line of this file, or of standard input (-), instead of printing a new one
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// Keep sessions and tokens
        #[arg(long)]
        keep_sessions: bool,
    },
    /// Set a user's own limits, each a number or none; without options, print them
    Quota {
        /// The user
        name: String,
        /// Limit of stored songs
        #[arg(long, value_name = "N", value_parser = limit)]
        max_songs: Option<Limit>,
        /// Limit of stored bytes, without stems
        #[arg(long, value_name = "BYTES", value_parser = limit)]
        max_bytes: Option<Limit>,
        /// Limit of uploaded audio per day, in minutes
        #[arg(long, value_name = "MINUTES", value_parser = limit)]
        max_audio_minutes_per_day: Option<Limit>,
        /// Limit of uploads per minute
        #[arg(long, value_name = "N", value_parser = rate)]
        max_uploads_per_minute: Option<Limit>,
        /// Remove the user's own limits: those of all users apply
        #[arg(long, conflicts_with_all = ["max_songs", "max_bytes", "max_audio_minutes_per_day", "max_uploads_per_minute"])]
        reset: bool,
    },
}

/// Options of `admin songs`.
#[derive(Debug, Args)]
pub struct SongsArgs {
    /// The command.
    #[command(subcommand)]
    pub command: SongsCommand,
    /// The storage.
    #[command(flatten)]
    pub storage: StorageArgs,
    /// Print JSON: one object per line
    #[arg(long, global = true)]
    pub json: bool,
}

/// Commands of `admin songs`.
#[derive(Debug, Subcommand)]
pub enum SongsCommand {
    /// List songs of all users, newest first
    List {
        /// Only songs of this user, a name or an ID
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
        /// Only songs with this status: UPLOADED, SPLITTING, SPLIT or FAILED
        #[arg(long, value_name = "STATUS", value_parser = status)]
        status: Option<StatusKind>,
        /// Print at most this many
        #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
        limit: Option<u32>,
    },
    /// Delete songs, and the files that no other song needs
    Delete {
        /// The songs
        #[arg(required = true, value_name = "ID")]
        ids: Vec<SongId>,
    },
    /// Retry failed songs, and request the jobs of waiting ones again
    Requeue {
        /// The songs
        #[arg(required = true, value_name = "ID")]
        ids: Vec<SongId>,
    },
}

/// Options of `admin jobs`.
#[derive(Debug, Args)]
pub struct JobsArgs {
    /// The command.
    #[command(subcommand)]
    pub command: JobsCommand,
    /// The storage.
    #[command(flatten)]
    pub storage: StorageArgs,
    /// Print JSON: one object per line
    #[arg(long, global = true)]
    pub json: bool,
}

/// Commands of `admin jobs`.
#[derive(Debug, Subcommand)]
pub enum JobsCommand {
    /// List songs that are being split or wait
    List,
    /// Hold new jobs back and wait until the queue is empty and nothing is being split; uploads are still accepted
    Drain {
        /// Fail after this many seconds; jobs stay held back
        #[arg(long, value_name = "SECONDS")]
        timeout_s: Option<u64>,
    },
    /// Release the jobs that drain held back
    Resume,
}

/// Options of `admin storage`.
#[derive(Debug, Args)]
pub struct StorageCommandArgs {
    /// The command.
    #[command(subcommand)]
    pub command: StorageCommand,
    /// The storage.
    #[command(flatten)]
    pub storage: StorageArgs,
    /// Print JSON: one object per line
    #[arg(long, global = true)]
    pub json: bool,
}

/// Commands of `admin storage`.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum StorageCommand {
    /// Count what is stored
    Report,
    /// Read every file: compare sources with their hashes and decode stems; damaged or missing files are an error
    Verify,
    /// Remove files without a song, by the rules of the server's sweep
    Gc {
        /// Only print what would be removed
        #[arg(long)]
        dry_run: bool,
    },
}

/// Options of `admin audit`.
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// Only entries since this time, as in 2030-12-31 or 2030-12-31T23:59:59Z (UTC), or of the last 90m, 12h or 7d
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Print at most this many
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = value_parser!(u32).range(1..))]
    pub limit: u32,
    /// Print JSON: one object per line
    #[arg(long)]
    pub json: bool,
    /// The storage.
    #[command(flatten)]
    pub storage: StorageArgs,
}

/// Parses a limit.
fn limit(text: &str) -> Result<Limit, String> {
    match text {
        "none" => Ok(Limit::None),
        _ => text.parse().map(Limit::At).map_err(|_| "expected a number or none".to_owned()),
    }
}

/// Parses a limit of a rate, which is at least 1.
fn rate(text: &str) -> Result<Limit, String> {
    match limit(text)? {
        Limit::At(0) => {
            Err("expected a number of at least 1, or none; to stop a user's uploads, set --max-songs 0".to_owned())
        }
        limit => Ok(limit),
    }
}

fn status(text: &str) -> Result<StatusKind, String> {
    text.to_ascii_uppercase().parse().map_err(|_| "expected UPLOADED, SPLITTING, SPLIT or FAILED".to_owned())
}
