//! What can be asked for on the command line.

use std::convert::Infallible;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use vocalizer_client::{Format, Part, Secret, SongId, SongStatus, TokenId};

const EXIT_CODES: &str = "\
Exit codes:
  0    everything was done
  1    something was not: refused by the server, a song that cannot be split, a file not written
  2    the command line is wrong
  3    the server could not be reached, or did not answer in time
  4    one has to log in first, or the name, the password or the token is wrong
  130  interrupted

Examples:
  client --addr=http://127.0.0.1:8000 integration
  client upload song.mp3 --wait
  client get latest --part vocals,accompaniment --format flac -o stems
  client login ada";

/// Talks to a Vocalizer server: uploads songs, waits until they are split, downloads their stems.
#[derive(Debug, Parser)]
#[command(name = "client", version, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Cli {
    /// The server's address
    #[arg(long, env = "BACKEND_ADDR", global = true, value_name = "URL", default_value = "http://127.0.0.1:8000")]
    pub addr: String,
    /// API token to act with [default: the one that `client login` keeps]
    #[arg(long, global = true, env = "VOCALIZER_TOKEN", hide_env_values = true, value_name = "TOKEN", value_parser = secret)]
    pub token: Option<Secret<String>>,
    /// Also trust servers with a certificate of this authority, in PEM
    #[arg(long, global = true, value_name = "FILE")]
    pub root_certificate: Option<PathBuf>,
    /// One JSON object per line on standard output, for programs
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Try everything: register, upload, wait, download every part, log out, look again, delete
    Integration {
        /// A song to do it with [default: a few seconds of a tone]
        #[arg(long, value_name = "FILE")]
        song: Option<PathBuf>,
    },
    /// Upload songs
    Upload(Upload),
    /// List songs, newest first
    List(List),
    /// Download the parts of a song
    Get(Get),
    /// Delete songs
    Rm {
        /// The songs
        #[arg(required = true, value_name = "ID")]
        ids: Vec<SongId>,
    },
    /// Have a song split again that could not be
    Retry {
        /// The song
        id: SongId,
    },
    /// Wait until a song is split
    Wait {
        /// The song
        id: SongId,
    },
    /// Log in, and keep an API token for this server
    Login(User),
    /// Revoke the token that `login` keeps, and forget it
    Logout(Logout),
    /// Register a user, and keep an API token for this server
    Register(Register),
    /// Say who is logged in
    Whoami,
    /// Make, list and revoke API tokens; takes the password again
    Token(Token),
}

/// The options of `upload`.
#[derive(Debug, Args)]
pub struct Upload {
    /// The songs
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// What the song is called [default: the file's name]
    #[arg(long)]
    pub title: Option<String>,
    /// Wait until they are split
    #[arg(long)]
    pub wait: bool,
}

/// The options of `register`.
#[derive(Debug, Args)]
pub struct Register {
    /// Who
    #[command(flatten)]
    pub user: User,
    /// The code of an invite, where the server asks for one
    #[arg(long, env = "VOCALIZER_INVITE", hide_env_values = true, value_name = "CODE", value_parser = secret)]
    pub invite: Option<Secret<String>>,
}

/// The options of `list`.
#[derive(Debug, Args)]
pub struct List {
    /// Only songs that are this far
    #[arg(long, value_enum, ignore_case = true)]
    pub status: Option<StatusArg>,
    /// All of them, and not the newest 50
    #[arg(long)]
    pub all: bool,
}

/// The options of `get`.
#[derive(Debug, Args)]
pub struct Get {
    /// The song, or `latest` for the newest that is split
    #[arg(value_name = "ID|latest")]
    pub song: SongArg,
    /// Parts, separated by commas: song, drums, bass, other, vocals, accompaniment, or all for the four stems
    #[arg(long, value_delimiter = ',', value_name = "PARTS", default_value = "all")]
    pub part: Vec<PartArg>,
    /// Their format: mp3, wav, flac
    #[arg(long, default_value = "mp3")]
    pub format: Format,
    /// Folder for them, made where it is missing
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    pub output: PathBuf,
}

/// A user, and how to give the password.
#[derive(Debug, Args)]
pub struct User {
    /// The user's name
    #[arg(value_name = "USER")]
    pub username: String,
    /// How to give the password.
    #[command(flatten)]
    pub password: PasswordFrom,
}

/// The options of `logout`.
#[derive(Debug, Args)]
pub struct Logout {
    /// End all sessions and revoke all tokens, on every machine; takes the password again
    #[arg(long)]
    pub everywhere: bool,
    /// How to give the password.
    #[command(flatten)]
    pub password: PasswordFrom,
}

/// Where the password comes from.
#[derive(Debug, Args)]
pub struct PasswordFrom {
    /// Read the password from standard input instead of asking for it
    #[arg(long, global = true)]
    pub password_stdin: bool,
}

/// The options of `token`.
#[derive(Debug, Args)]
pub struct Token {
    /// Whose tokens [default: whoever logged in by `client login`]
    #[arg(long, global = true)]
    pub user: Option<String>,
    /// How to give the password.
    #[command(flatten)]
    pub password: PasswordFrom,
    /// What to do with them.
    #[command(subcommand)]
    pub command: TokenCommand,
}

/// What can be done with tokens.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token and print it; it is shown this once
    Create {
        /// What to call it
        name: String,
        /// After how many days it ends [default: never]
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..))]
        days: Option<u32>,
    },
    /// List the tokens
    List,
    /// End a token
    Revoke {
        /// Which
        id: TokenId,
    },
}

/// A song, by its name or as the newest.
#[derive(Debug, Clone, Copy)]
pub enum SongArg {
    /// The newest that is split.
    Latest,
    /// This one.
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
pub enum PartArg {
    /// The stems.
    All,
    /// This one.
    Part(Part),
}

impl std::str::FromStr for PartArg {
    type Err = <Part as std::str::FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "all" { Ok(Self::All) } else { text.parse().map(Self::Part) }
    }
}

/// How far a song is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StatusArg {
    /// Waiting to be split
    Uploaded,
    /// Being split
    Splitting,
    /// Split
    Split,
    /// Could not be split
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
