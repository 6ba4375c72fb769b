//! Arguments of `remote`.

use std::convert::Infallible;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use vocalizer_client::{
    Format, Part, Secret, ShareId, SongId, SongStatus, SortBy, Stem, TokenId, WebhookEvent, WebhookId,
};

const EXIT_CODES: &str = "\
Exit codes:
  0    success
  1    failure: rejected by the server, song not split, or file not written
  2    invalid command line
  3    the server could not be reached or did not respond in time
  4    not logged in, or wrong username, password or token
  130  interrupted

Examples:
  vocalizer remote --addr=http://127.0.0.1:8000 integration
  vocalizer remote upload song.mp3 --wait
  vocalizer remote get latest --part vocals,accompaniment --format flac -o stems
  vocalizer remote login ada";

/// The options of `remote`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Remote {
    /// The server's address
    #[arg(long, env = "BACKEND_ADDR", global = true, value_name = "URL", default_value = "http://127.0.0.1:8000")]
    pub(crate) addr: String,
    /// API token [default: the one stored by `vocalizer remote login`]
    #[arg(long, global = true, env = "VOCALIZER_TOKEN", hide_env_values = true, value_name = "TOKEN", value_parser = secret)]
    pub(crate) token: Option<Secret<String>>,
    /// Additional root certificate to trust, in PEM format
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) root_certificate: Option<PathBuf>,
    /// Print one JSON object per line on standard output
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The command.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Test a server end to end: register, upload, wait, download all parts, log out, check access, delete
    Integration {
        /// The song to upload [default: a generated tone of a few seconds]
        #[arg(long, value_name = "FILE")]
        song: Option<PathBuf>,
    },
    /// Upload songs
    Upload(Upload),
    /// List songs, newest first, or search and sort them
    List(List),
    /// Download the parts of a song
    Get(Get),
    /// Delete songs; they go to the trash if the server has one
    Rm {
        /// The songs
        #[arg(required = true, value_name = "ID")]
        ids: Vec<SongId>,
    },
    /// List deleted songs, restore them, or delete them for good
    Trash(TrashArgs),
    /// Retry a failed song
    Retry {
        /// The song
        id: SongId,
    },
    /// List the models that songs can be split with
    Models,
    /// Split a song again with another model; its stems remain until the new ones are there
    Split(SplitArgs),
    /// Cancel the splitting of a song that waits or is being split
    Cancel {
        /// The song
        id: SongId,
    },
    /// Wait until a song is split
    Wait {
        /// The song
        id: SongId,
    },
    /// Create, list and revoke share links: everyone who has one may listen to the song and download it
    Share(ShareArgs),
    /// Create, list, test and delete webhooks: addresses that are told when your songs are split, fail or are deleted
    #[command(visible_alias = "webhooks")]
    Webhook(WebhookArgs),
    /// Log in and store an API token for this server
    Login(User),
    /// Revoke and delete the stored token
    Logout(Logout),
    /// Register a user and store an API token for this server
    Register(Register),
    /// Show the logged-in user
    Whoami,
    /// Create, list and revoke API tokens; requires the password
    Token(Token),
}

/// The options of `upload`.
#[derive(Debug, Args)]
pub(crate) struct Upload {
    /// The songs
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Song title [default: the file name]
    #[arg(long)]
    pub(crate) title: Option<String>,
    /// Wait until the songs are split
    #[arg(long)]
    pub(crate) wait: bool,
    /// Upload files again that you have uploaded before
    #[arg(long)]
    pub(crate) duplicates: bool,
    /// The model and the stems.
    #[command(flatten)]
    pub(crate) with: WithArgs,
}

/// What to split with.
#[derive(Debug, Args)]
pub(crate) struct WithArgs {
    /// Model to split with (see `vocalizer remote models`) [default: the server's]
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
    /// Stems of the model, as in vocals,drums [default: all]
    #[arg(long, value_name = "STEMS", value_delimiter = ',')]
    pub(crate) stems: Vec<Stem>,
}

/// The options of `split`.
#[derive(Debug, Args)]
pub(crate) struct SplitArgs {
    /// The song
    pub(crate) id: SongId,
    /// The model and the stems.
    #[command(flatten)]
    pub(crate) with: WithArgs,
    /// Wait until the song is split
    #[arg(long)]
    pub(crate) wait: bool,
}

/// The options of `register`.
#[derive(Debug, Args)]
pub(crate) struct Register {
    /// The user
    #[command(flatten)]
    pub(crate) user: User,
    /// Invite code, if the server requires one
    #[arg(long, env = "VOCALIZER_INVITE", hide_env_values = true, value_name = "CODE", value_parser = secret)]
    pub(crate) invite: Option<Secret<String>>,
}

/// The options of `list`.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// List only songs with this status
    #[arg(long, value_enum, ignore_case = true)]
    pub(crate) status: Option<StatusArg>,
    /// List only songs whose title or artist contains these words, without case and accents
    #[arg(long, value_name = "TEXT")]
    pub(crate) search: Option<String>,
    /// Order of the list [default: the newest first]
    #[arg(long, value_enum, ignore_case = true, value_name = "KEY")]
    pub(crate) sort: Option<SortArg>,
    /// Reverse the order
    #[arg(long, requires = "sort")]
    pub(crate) reverse: bool,
    /// List all songs instead of the first 50
    #[arg(long)]
    pub(crate) all: bool,
}

/// What a list is sorted by.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum SortArg {
    /// When songs were uploaded
    Added,
    /// Title
    Title,
    /// Artist, then title
    Artist,
    /// Length
    Duration,
    /// Songs being split, waiting, failed and split ones
    Status,
}

impl From<SortArg> for SortBy {
    fn from(sort: SortArg) -> Self {
        match sort {
            SortArg::Added => Self::Added,
            SortArg::Title => Self::Title,
            SortArg::Artist => Self::Artist,
            SortArg::Duration => Self::Duration,
            SortArg::Status => Self::Status,
        }
    }
}

/// The options of `get`.
#[derive(Debug, Args)]
pub(crate) struct Get {
    /// The song, or `latest` for the newest split song
    #[arg(value_name = "ID|latest")]
    pub(crate) song: SongArg,
    /// Parts, separated by commas: song, drums, bass, other, vocals, accompaniment, or all for all stems of the song
    #[arg(long, value_delimiter = ',', value_name = "PARTS", default_value = "all")]
    pub(crate) part: Vec<PartArg>,
    /// Format: mp3, wav or flac
    #[arg(long, default_value = "mp3")]
    pub(crate) format: Format,
    /// Output folder, created if missing
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    pub(crate) output: PathBuf,
}

/// A username and a password source.
#[derive(Debug, Args)]
pub(crate) struct User {
    /// Username
    #[arg(value_name = "USER")]
    pub(crate) username: String,
    /// The password source.
    #[command(flatten)]
    pub(crate) password: PasswordFrom,
}

/// The options of `logout`.
#[derive(Debug, Args)]
pub(crate) struct Logout {
    /// End all sessions and revoke all tokens on all machines; requires the password
    #[arg(long)]
    pub(crate) everywhere: bool,
    /// The password source.
    #[command(flatten)]
    pub(crate) password: PasswordFrom,
}

/// The password source.
#[derive(Debug, Args)]
pub(crate) struct PasswordFrom {
    /// Read the password from standard input instead of prompting
    #[arg(long, global = true)]
    pub(crate) password_stdin: bool,
}

/// The options of `share`.
#[derive(Debug, Args)]
pub(crate) struct ShareArgs {
    /// The subcommand.
    #[command(subcommand)]
    pub(crate) command: ShareCommand,
}

/// The subcommands of `share`.
#[derive(Debug, Subcommand)]
pub(crate) enum ShareCommand {
    /// Create a link and print it; it cannot be shown again
    Create {
        /// The song
        id: SongId,
        /// Date or time (RFC 3339) at which the link expires, as in 2030-12-31 [default: never]
        #[arg(long, value_name = "DATE")]
        until: Option<String>,
    },
    /// List the links of a song
    List {
        /// The song
        id: SongId,
    },
    /// Revoke a link
    Revoke {
        /// The song
        id: SongId,
        /// Link ID
        share: ShareId,
    },
}

/// The options of `trash`.
#[derive(Debug, Args)]
pub(crate) struct TrashArgs {
    /// The subcommand.
    #[command(subcommand)]
    pub(crate) command: TrashCommand,
}

/// The subcommands of `trash`.
#[derive(Debug, Subcommand)]
pub(crate) enum TrashCommand {
    /// List deleted songs, the last one first
    List,
    /// Restore deleted songs
    Restore {
        /// The songs
        #[arg(required = true, value_name = "ID")]
        ids: Vec<SongId>,
    },
    /// Delete songs in the trash for good
    Delete {
        /// The songs
        #[arg(required = true, value_name = "ID")]
        ids: Vec<SongId>,
    },
}

/// The options of `webhook`.
#[derive(Debug, Args)]
pub(crate) struct WebhookArgs {
    /// The subcommand.
    #[command(subcommand)]
    pub(crate) command: WebhookCommand,
}

/// The subcommands of `webhook`.
#[derive(Debug, Subcommand)]
pub(crate) enum WebhookCommand {
    /// Create a webhook and print its ID and secret; the secret cannot be shown again
    Create {
        /// The address, as in https://example.org/songs
        url: String,
        /// Events, separated by commas: song.split, song.failed, song.deleted [default: all]
        #[arg(long, value_delimiter = ',', value_name = "EVENTS")]
        events: Vec<WebhookEvent>,
    },
    /// List the webhooks
    List,
    /// List the newest deliveries of a webhook
    Deliveries {
        /// Webhook ID
        id: WebhookId,
    },
    /// Have the server send a ping
    Test {
        /// Webhook ID
        id: WebhookId,
    },
    /// Enable a webhook that was disabled after repeated failure
    Enable {
        /// Webhook ID
        id: WebhookId,
    },
    /// Delete a webhook
    Delete {
        /// Webhook ID
        id: WebhookId,
    },
}

/// The options of `token`.
#[derive(Debug, Args)]
pub(crate) struct Token {
    /// Username [default: the user stored by `vocalizer remote login`]
    #[arg(long, global = true)]
    pub(crate) user: Option<String>,
    /// The password source.
    #[command(flatten)]
    pub(crate) password: PasswordFrom,
    /// The subcommand.
    #[command(subcommand)]
    pub(crate) command: TokenCommand,
}

/// The subcommands of `token`.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Create a token and print it; it cannot be shown again
    Create {
        /// Token name
        name: String,
        /// Days until the token expires [default: never]
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..))]
        days: Option<u32>,
    },
    /// List the tokens
    List,
    /// Revoke a token
    Revoke {
        /// Token ID
        id: TokenId,
    },
}

/// A song, by ID or the newest.
#[derive(Debug, Clone, Copy)]
pub(crate) enum SongArg {
    /// The newest split song.
    Latest,
    /// A song by ID.
    Id(SongId),
}

impl std::str::FromStr for SongArg {
    type Err = <SongId as std::str::FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "latest" { Ok(Self::Latest) } else { text.parse().map(Self::Id) }
    }
}

/// A part, or the four stems.
#[derive(Debug, Clone, Copy)]
pub(crate) enum PartArg {
    /// All four stems.
    All,
    /// A single part.
    Part(Part),
}

impl std::str::FromStr for PartArg {
    type Err = <Part as std::str::FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "all" { Ok(Self::All) } else { text.parse().map(Self::Part) }
    }
}

/// A song's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StatusArg {
    /// Waiting to be split
    Uploaded,
    /// Being split
    Splitting,
    /// Split
    Split,
    /// Failed
    Failed,
}

impl From<StatusArg> for SongStatus {
    fn from(status: StatusArg) -> Self {
        match status {
            StatusArg::Uploaded => Self::Uploaded,
            StatusArg::Splitting => Self::Splitting,
            StatusArg::Split => Self::Split,
            StatusArg::Failed => Self::Failed,
        }
    }
}

fn secret(text: &str) -> Result<Secret<String>, Infallible> {
    Ok(Secret::new(text.to_owned()))
}
