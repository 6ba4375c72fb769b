//! `invite`: creates and revokes invite codes.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use vocalizer_core::ports::{Action, AuditEntry, BoxError};
use vocalizer_core::service::AccountService;
use vocalizer_store::system::{Argon2Passwords, SystemClock};

use super::adapters::{self, Stores};
use super::addresses::Database;
use super::args::{InviteArgs, StorageArgs};
use super::config::{Kept, operator};
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
    adapters::require(database)?;
    adapters::stores(database, Arc::new(SystemClock::new())).await
}

async fn create(database: &Database, args: InviteArgs) -> Result<(), BoxError> {
    let Stores { accounts, attempts, audit, clock, .. } = open(database).await?;
    let passwords = Arc::new(Argon2Passwords::new(1)?);
    let service =
        AccountService::builder_with_clock(accounts, passwords, Arc::clone(&clock)).with_attempts(attempts).build();
    let entry = |action| AuditEntry::new(clock.now(), format!("operator:{}", operator()), action);
    if args.revoke_all {
        let revoked = service.revoke_invites().await?;
        audit.record(&entry(Action::InvitesRevoked)).await?;
        outln!("{revoked} invites revoked");
        return Ok(());
    }
    for _ in 0..args.count {
        let code = service.invite(Duration::from_secs(24 * 60 * 60) * args.days).await?;
        audit.record(&entry(Action::InviteCreated)).await?;
        outln!("{}", code.expose());
    }
    Ok(())
}
