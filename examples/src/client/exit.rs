//! Runs a command and maps its result to an exit code.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use thiserror::Error;
use vocalizer_client::{Client, ClientBuilder, ErrorCode, Secret};

use super::args::{Cli, Command, Logout, Token};
use super::credentials::{self, Store};
use super::report::{Voice, chain};
use super::{accounts, integration, songs};

/// Exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 2,
    Server = 3,
    Credentials = 4,
    Interrupted = 130,
}

/// Why a command failed.
#[derive(Debug, Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Client(#[from] vocalizer_client::Error),
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    NotLoggedIn(&'static str),
    #[error("{0}")]
    Check(String),
    #[error("cannot use {}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("cannot read the password from the terminal; use --password-stdin to read it from standard input")]
    Password(#[source] io::Error),
    #[error("the system's random number generator failed")]
    Random(#[from] getrandom::Error),
    /// Some of several actions failed; each error has been reported.
    #[error("{failed} of {all} failed")]
    Some { failed: usize, all: usize },
}

impl Failure {
    fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::Client(vocalizer_client::Error::Address { .. }) => Exit::Usage,
            Self::NotLoggedIn(_) => Exit::Credentials,
            Self::Client(error) if error.has_code(ErrorCode::Unauthenticated) => Exit::Credentials,
            Self::Client(error) if error.is_transient() && !error.has_code(ErrorCode::NotReady) => Exit::Server,
            _ => Exit::Failed,
        }
    }
}

/// Runs the command.
pub fn run(cli: Cli) -> ExitCode {
    let voice = Voice::choose(cli.json);
    let exit = match execute(&cli, voice) {
        Ok(exit) => exit,
        Err(failure) => {
            voice.error(&chain(&failure));
            failure.exit()
        }
    };
    ExitCode::from(exit as u8)
}

fn execute(cli: &Cli, voice: Voice) -> Result<Exit, Failure> {
    let connection = Connection::new(cli)?;
    // Prompt before interrupts are handled, so that an interrupt ends the prompt.
    let password = password(&cli.command, &connection)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|source| Failure::File { path: "the runtime".into(), source })?;
    runtime.block_on(async {
        // Dropping the command removes partial downloads.
        tokio::select! {
            done = dispatch(&cli.command, &connection, password, voice) => done.map(|()| Exit::Done),
            _ = tokio::signal::ctrl_c() => Ok(Exit::Interrupted),
        }
    })
}

fn password(command: &Command, connection: &Connection) -> Result<Secret<String>, Failure> {
    // Fail before prompting if there is no stored login.
    if matches!(command, Command::Token(Token { user: None, .. }) | Command::Logout(Logout { everywhere: true, .. })) {
        accounts::kept(connection)?;
    }
    let (from, twice) = match command {
        Command::Login(user) => (&user.password, false),
        Command::Register(register) => (&register.user.password, true),
        Command::Token(token) => (&token.password, false),
        Command::Logout(logout) if logout.everywhere => (&logout.password, false),
        _ => return Ok(Secret::default()),
    };
    credentials::read_password(from.password_stdin, twice)
}

async fn dispatch(
    command: &Command,
    connection: &Connection,
    password: Secret<String>,
    voice: Voice,
) -> Result<(), Failure> {
    match command {
        Command::Integration { song } => integration::run(connection, song.as_deref(), voice).await,
        Command::Upload(upload) => songs::upload(&connection.client()?, upload, voice).await,
        Command::List(list) => songs::list(&connection.client()?, list, voice).await,
        Command::Get(get) => songs::get(&connection.client()?, get, voice).await,
        Command::Rm { ids } => songs::remove(&connection.client()?, ids, voice).await,
        Command::Retry { id } => songs::retry(&connection.client()?, *id, voice).await,
        Command::Wait { id } => songs::wait(&connection.client()?, *id, voice).await,
        Command::Login(user) => accounts::login(connection, &user.username, &password, voice).await,
        Command::Register(register) => accounts::register(connection, register, &password, voice).await,
        Command::Logout(logout) if logout.everywhere => accounts::logout_everywhere(connection, &password, voice).await,
        Command::Logout(_) => accounts::logout(connection, voice).await,
        Command::Whoami => accounts::whoami(&connection.client()?, voice).await,
        Command::Token(token) => accounts::token(connection, token, &password, voice).await,
    }
}

/// The server and the credentials for it.
pub(super) struct Connection {
    builder: ClientBuilder,
    token: Option<Secret<String>>,
    pub(super) store: Store,
}

impl Connection {
    fn new(cli: &Cli) -> Result<Self, Failure> {
        let mut builder = Client::builder(&cli.addr);
        if let Some(path) = &cli.root_certificate {
            let pem = std::fs::read(path).map_err(|source| Failure::File { path: path.clone(), source })?;
            builder = builder.with_root_certificate_pem(pem);
        }
        // Treat an empty variable as unset.
        let token = cli.token.clone().filter(|token| !token.expose().is_empty());
        Ok(Self { builder, token, store: Store::of(&cli.addr) })
    }

    /// Returns a client with the given or stored token, or without one.
    pub(super) fn client(&self) -> Result<Client, Failure> {
        let token = match &self.token {
            Some(token) => Some(token.clone()),
            None => self.store.load()?.map(|kept| kept.token),
        };
        let builder = self.builder.clone();
        Ok(token.map_or(builder.clone(), |token| builder.with_token(token)).build()?)
    }

    /// Returns a client with this token.
    pub(super) fn bearer(&self, token: Secret<String>) -> Result<Client, Failure> {
        Ok(self.builder.clone().with_token(token).build()?)
    }

    /// Returns a client without credentials.
    pub(super) fn anonymous(&self) -> Result<Client, Failure> {
        Ok(self.builder.clone().build()?)
    }
}
