//! Options of `admin`.

use std::path::PathBuf;

use clap::{Args, Subcommand, value_parser};

use super::{LogFormat, ServeArgs, StorageArgs};

pub use self::operator::{
    AuditArgs, JobsArgs, JobsCommand, SongsArgs, SongsCommand, StorageCommand, StorageCommandArgs, UsersArgs,
    UsersCommand,
};

mod operator;

/// Options of `admin`.
#[derive(Debug, Args)]
pub struct Admin {
    /// Log format: text or json; RUST_LOG sets the level
    #[arg(long, env = "LOG_FORMAT", value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text, global = true)]
    pub log_format: LogFormat,
    /// The command.
    #[command(subcommand)]
    pub command: AdminCommand,
}

/// Commands of `admin`. Each uses the settings of `serve` that name its storage.
#[derive(Debug, Subcommand)]
pub enum AdminCommand {
    /// Apply the database's migrations
    Migrate {
        /// The storage.
        #[command(flatten)]
        storage: StorageArgs,
    },
    /// Copy users, sessions and songs from SQLite into the empty PostgreSQL database in DATABASE_URL
    MigrateData {
        /// The source, as in sqlite:/srv/vocalizer.db; no server may be using it
        #[arg(long, value_name = "URL")]
        from: String,
        /// The storage.
        #[command(flatten)]
        storage: StorageArgs,
    },
    /// Back up the SQLite database and the files into a new folder; the server may be running
    Backup {
        /// The backup folder; it must not exist or must be empty
        dir: PathBuf,
        /// The storage.
        #[command(flatten)]
        storage: StorageArgs,
    },
    /// Restore a backup into the server's storage, which must be empty
    Restore {
        /// The backup folder
        dir: PathBuf,
        /// The storage.
        #[command(flatten)]
        storage: StorageArgs,
    },
    /// Check the configuration of `serve` and print it without secrets
    CheckConfig {
        /// The options of `serve`.
        #[command(flatten)]
        serve: Box<ServeArgs>,
    },
    /// Set the priority of a user's songs in the queue, for uploads from now on; the server may be running
    Priority {
        /// The user
        username: String,
        /// Songs with a higher priority are split first; 0 is the default
        #[arg(allow_negative_numbers = true, value_parser = value_parser!(i32).range(-1000..=1000))]
        priority: i32,
        /// The storage.
        #[command(flatten)]
        storage: StorageArgs,
    },
    /// Print an invite code for REGISTRATION=invite; the server may be running
    Invite {
        /// Options of the code.
        #[command(flatten)]
        invite: InviteArgs,
        /// The storage.
        #[command(flatten)]
        storage: StorageArgs,
    },
    /// List, disable and enable users, reset passwords, set quotas; the server may be running, as for all that follow
    Users(UsersArgs),
    /// List, delete and requeue songs of all users
    Songs(SongsArgs),
    /// List jobs, and hold new ones back until the queue is empty
    Jobs(JobsArgs),
    /// Report what is stored, verify it, and remove files without a song
    Storage(StorageCommandArgs),
    /// Print the audit log, the newest entries first
    Audit(AuditArgs),
}

/// Options of `invite`.
#[derive(Debug, Clone, Copy, Args)]
pub struct InviteArgs {
    /// Days until the code expires
    #[arg(long, value_name = "DAYS", default_value_t = 7, value_parser = value_parser!(u32).range(1..=36_500))]
    pub days: u32,
    /// Number of codes, each for one registration
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u32).range(1..=1000))]
    pub count: u32,
    /// Revoke all unused codes instead of creating one
    #[arg(long, conflicts_with_all = ["days", "count"])]
    pub revoke_all: bool,
}
