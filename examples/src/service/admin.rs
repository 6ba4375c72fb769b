//! `admin`: maintenance of a service's storage, and what operators do with users, songs and jobs.

mod audit;
mod jobs;
mod operator;
mod password;
mod print;
mod songs;
mod storage;
mod table;
mod users;

use std::process::ExitCode;

use tokio::runtime::Runtime;
use vocalizer_core::ports::BoxError;

use self::operator::Reach;
use super::args::{Admin, AdminCommand, StorageArgs};
use super::backup::{backup, restore};
use super::config::{self, Kept};
use super::error::invalid;
use super::invite::invite;
use super::priority::set_priority;
use super::serve::check_config;
use super::{adapters, addresses, data, logging};
use crate::exit::{failed, misused};
use crate::output::outln;

/// Runs a command.
pub(crate) fn admin(args: &Admin) -> ExitCode {
    match &args.command {
        AdminCommand::Migrate { storage } => {
            logging::start(args.log_format);
            migrate(storage)
        }
        AdminCommand::MigrateData { storage, from } => {
            logging::start(args.log_format);
            migrate_data(storage, from)
        }
        AdminCommand::Backup { storage, dir } => backup(storage, dir),
        AdminCommand::Restore { storage, dir } => restore(storage, dir),
        AdminCommand::CheckConfig { serve } => check_config(serve),
        AdminCommand::Priority { username, priority, storage } => {
            logging::start(args.log_format);
            set_priority(storage, username, *priority)
        }
        AdminCommand::Invite { storage, invite: of } => invite(storage, *of),
        AdminCommand::Users(args) => operator::run(&args.storage, Reach::Database, |place| users::run(place, args)),
        AdminCommand::Songs(args) => {
            operator::run(&args.storage, songs::reach(&args.command), |place| songs::run(place, args))
        }
        AdminCommand::Jobs(args) => operator::run(&args.storage, Reach::Database, |place| jobs::run(place, args)),
        AdminCommand::Storage(args) => {
            operator::run(&args.storage, storage::reach(args.command), |place| storage::run(place, args))
        }
        AdminCommand::Audit(args) => match audit::since(args.since.as_deref()) {
            Ok(since) => operator::run(&args.storage, Reach::Database, |place| audit::run(place, args, since)),
            Err(error) => misused(&error),
        },
    }
}

/// Applies the database's migrations.
fn migrate(storage: &StorageArgs) -> ExitCode {
    let kept = match Kept::check(storage) {
        Ok(kept) => kept,
        Err(error) => return misused(&error),
    };
    run(async {
        let _locks = data::lock(&kept.data, &kept.database, &kept.blobs)?;
        for migration in adapters::migrate(&kept.database).await? {
            outln!("applied {migration}");
        }
        outln!("{} is up to date", kept.database);
        Ok(())
    })
}

/// Copies data from SQLite to PostgreSQL.
fn migrate_data(storage: &StorageArgs, from: &str) -> ExitCode {
    let target = config::database(storage).and_then(|database| {
        database.ok_or_else(|| {
            invalid("--database-url (DATABASE_URL)", "no target database; set postgres://USER:PASSWORD@HOST/NAME")
        })
    });
    let database = match target {
        Ok(database) => database,
        Err(error) => return misused(&error),
    };
    let Some(from) = addresses::path_of(from, "sqlite") else {
        return misused(&invalid("--from", "expected sqlite:PATH"));
    };
    run(async {
        let copied = adapters::migrate_data(&from, &database).await?;
        outln!("{copied} copied from {} to {database}", from.display());
        Ok(())
    })
}

fn run(work: impl Future<Output = Result<(), BoxError>>) -> ExitCode {
    match Runtime::new().map_err(BoxError::from).and_then(|runtime| runtime.block_on(work)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(error.as_ref()),
    }
}
