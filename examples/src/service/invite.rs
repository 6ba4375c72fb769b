//! `invite`: creates and revokes invite codes.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use vocalizer_core::ports::BoxError;
use vocalizer_core::service::AccountService;
use vocalizer_store::system::{Argon2Passwords, SystemClock};

use super::adapters::{self, Stores};
use super::addresses::Database;
use super::args::{InviteArgs, StorageArgs};
use super::config::Kept;
use crate::exit::{failed, misused};
use crate::output::outln;

/// Creates codes and prints them, one per line, or revokes all.
pub(super) fn invite(storage: &StorageArgs, args: InviteArgs) -> ExitCode {
    let kept = match Kept::check(storage) {
        Ok(kept) => kept,
        Err(error) => return misused(&error),
    };
    match Runtime::new().map_err(BoxError::from).and_then(|runtime| runtime.block_on(create(&kept.database, args))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(error.as_ref()),
    }
}

/// Opens the database of a server.
pub(super) async fn open(database: &Database) -> Result<Stores, BoxError> {
    if let Database::Sqlite(path) = database
        && !path.exists()
    {
        let path = path.display();
        return Err(format!(
            "not found: {path}; set --data-dir to the server's data folder, or start the server first"
        )
        .into());
    }
    adapters::stores(database, Arc::new(SystemClock::new())).await
}

async fn create(database: &Database, args: InviteArgs) -> Result<(), BoxError> {
    let Stores { accounts, attempts, clock, .. } = open(database).await?;
    let service = AccountService::builder_with_clock(accounts, Arc::new(Argon2Passwords::new(1)?), clock)
        .with_attempts(attempts)
        .build();
    if args.revoke_all {
        outln!("{} invites revoked", service.revoke_invites().await?);
        return Ok(());
    }
    for _ in 0..args.count {
        let code = service.invite(Duration::from_secs(24 * 60 * 60) * args.days).await?;
        outln!("{}", code.expose());
    }
    Ok(())
}
