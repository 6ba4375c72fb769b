//! `priority`: sets the priority of a user.

use std::process::ExitCode;

use tokio::runtime::Runtime;
use vocalizer_core::account::Username;
use vocalizer_core::ports::BoxError;

use super::adapters::Stores;
use super::addresses::Database;
use super::args::StorageArgs;
use super::config::Kept;
use super::error::invalid;
use super::invite::open;
use crate::exit::{failed, misused};
use crate::output::outln;

/// Sets the priority and prints it.
pub(super) fn set_priority(storage: &StorageArgs, username: &str, priority: i32) -> ExitCode {
    let checked = Kept::check(storage)
        .and_then(|kept| Ok((kept, username.parse::<Username>().map_err(|error| invalid("USERNAME", error))?)));
    let (kept, username) = match checked {
        Ok(checked) => checked,
        Err(error) => return misused(&error),
    };
    let set = set(&kept.database, &username, priority);
    match Runtime::new().map_err(BoxError::from).and_then(|runtime| runtime.block_on(set)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(error.as_ref()),
    }
}

async fn set(database: &Database, username: &Username, priority: i32) -> Result<(), BoxError> {
    let Stores { accounts, songs, .. } = open(database).await?;
    let account = accounts.find_by_username(username).await?.ok_or_else(|| format!("there is no user {username}"))?;
    songs.set_priority(account.id, priority).await?;
    outln!("the songs that {} uploads have priority {priority} from now on", account.username);
    Ok(())
}
