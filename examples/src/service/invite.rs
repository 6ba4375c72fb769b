//! `invite`: creates and revokes invite codes.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::runtime::Runtime;
use vocalizer_core::ports::BoxError;
use vocalizer_core::service::{AccountPorts, AccountService, AccountSettings};
use vocalizer_store::system::{Argon2Passwords, SystemClock};

use super::adapters::{self, Stores};
use super::addresses::Database;
use super::args::KeptArgs;
use super::config::Kept;
use super::run::failed;

/// Options of `invite`.
#[derive(Debug, Clone, Copy, Args)]
pub struct InviteArgs {
    /// Days until the code expires
    #[arg(long, value_name = "DAYS", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub days: u32,
    /// Number of codes, each for one registration
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub count: u32,
    /// Revoke all unused codes instead of creating one
    #[arg(long, conflicts_with_all = ["days", "count"])]
    pub revoke_all: bool,
}

/// Creates codes and prints them, one per line, or revokes all.
#[must_use]
pub fn invite(kept: &KeptArgs, args: InviteArgs) -> ExitCode {
    const NAME: &str = "invite";
    let kept = match Kept::check(kept) {
        Ok(kept) => kept,
        Err(error) => {
            failed(NAME, &error);
            return ExitCode::from(2);
        }
    };
    match Runtime::new().map_err(BoxError::from).and_then(|runtime| runtime.block_on(create(&kept.database, args))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(NAME, error.as_ref()),
    }
}

async fn create(database: &Database, args: InviteArgs) -> Result<(), BoxError> {
    if let Database::Sqlite(path) = database
        && !path.exists()
    {
        let path = path.display();
        return Err(
            format!("not found: {path}; set --data to the server's data folder, or start the server first").into()
        );
    }
    let Stores { accounts, attempts, clock, .. } = adapters::stores(database, Arc::new(SystemClock::new())).await?;
    let ports = AccountPorts { accounts, attempts, passwords: Arc::new(Argon2Passwords::new(1)?), clock };
    let service = AccountService::new(ports, AccountSettings::default());
    if args.revoke_all {
        println!("{} invites revoked", service.revoke_invites().await?);
        return Ok(());
    }
    for _ in 0..args.count {
        let code = service.invite(Duration::from_secs(24 * 60 * 60) * args.days).await?;
        println!("{}", code.expose());
    }
    Ok(())
}
