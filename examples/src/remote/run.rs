//! Runs a command and maps its result to an exit code.

use std::process::ExitCode;

use vocalizer_client::Secret;

use super::args::{Command, Logout, Remote, Token};
use super::connection::Connection;
use super::failure::{Exit, Failure};
use super::report::chain;
use super::{accounts, credentials, integration, models, shares, songs, trash, webhooks};
use crate::voice::Voice;

/// Runs the command.
pub(crate) fn run(args: &Remote) -> ExitCode {
    let voice = Voice::choose(args.json);
    let exit = match execute(args, voice) {
        Ok(exit) => exit,
        Err(failure) => {
            voice.error(&chain(&failure));
            failure.exit()
        }
    };
    ExitCode::from(exit as u8)
}

fn execute(args: &Remote, voice: Voice) -> Result<Exit, Failure> {
    let connection = Connection::new(args)?;
    // Prompt before interrupts are handled, so that an interrupt ends the prompt.
    let password = password(&args.command, &connection)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|source| Failure::File { path: "the runtime".into(), source })?;
    runtime.block_on(async {
        // Dropping the command removes partial downloads.
        tokio::select! {
            done = dispatch(&args.command, &connection, password, voice) => done.map(|()| Exit::Done),
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
        Command::Trash(trash) => trash::run(&connection.client()?, &trash.command, voice).await,
        Command::Retry { id } => songs::retry(&connection.client()?, *id, voice).await,
        Command::Models => models::list(&connection.client()?, voice).await,
        Command::Split(split) => models::split(&connection.client()?, split, voice).await,
        Command::Cancel { id } => songs::cancel(&connection.client()?, *id, voice).await,
        Command::Wait { id } => songs::wait(&connection.client()?, *id, voice).await,
        Command::Share(share) => shares::run(&connection.client()?, &share.command, voice).await,
        Command::Webhook(webhook) => webhooks::run(&connection.client()?, &webhook.command, voice).await,
        Command::Login(user) => accounts::login(connection, &user.username, &password, voice).await,
        Command::Register(register) => accounts::register(connection, register, &password, voice).await,
        Command::Logout(logout) if logout.everywhere => accounts::logout_everywhere(connection, &password, voice).await,
        Command::Logout(_) => accounts::logout(connection, voice).await,
        Command::Whoami => accounts::whoami(&connection.client()?, voice).await,
        Command::Token(token) => accounts::token(connection, token, &password, voice).await,
    }
}
