//! Opens the stores of a service for an operator.

use std::process::ExitCode;
use std::sync::Arc;

use tempfile::TempDir;
use tokio::runtime::Runtime;
use vocalizer_core::ports::{BoxError, Clock};
use vocalizer_core::service::{AccountService, AdminService, AdminStores};
use vocalizer_store::system::{Argon2Passwords, FolderLock, SystemClock};

use super::super::adapters::{self, BlobPlace, Stores};
use super::super::addresses::Database;
use super::super::args::StorageArgs;
use super::super::config::{Kept, operator};
use super::super::data::{self, DataError};
use crate::exit::{failed, misused};

/// What a command uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// The database.
    Database,
    /// The database, and the files for reading.
    Files,
    /// The database, and the files, some of which it deletes.
    Deleting,
}

/// The opened stores.
pub(super) struct Place {
    pub(super) service: AdminService,
    pub(super) clock: Arc<dyn Clock>,
    /// A folder of its own: a sweep removes temporary files of other processes.
    pub(super) work: TempDir,
    /// Held until the end, so that no server starts meanwhile.
    _locks: Vec<FolderLock>,
}

/// Opens the stores and runs a command, which returns its exit code.
pub(super) fn run(
    storage: &StorageArgs,
    reach: Reach,
    command: impl AsyncFnOnce(Place) -> Result<ExitCode, BoxError>,
) -> ExitCode {
    let kept = match Kept::check(storage) {
        Ok(kept) => kept,
        Err(error) => return misused(&error),
    };
    let done = Runtime::new().map_err(BoxError::from).and_then(|runtime| {
        runtime.block_on(async {
            let place = open(&kept, reach).await?;
            command(place).await
        })
    });
    done.unwrap_or_else(|error| failed(error.as_ref()))
}

async fn open(kept: &Kept, reach: Reach) -> Result<Place, BoxError> {
    let Kept { data, database, blobs } = kept;
    adapters::require(database)?;
    let missing = adapters::pending_migrations(database).await?;
    if !missing.is_empty() {
        // A server of an older version may be running; it would not understand the new schema.
        let what = format!(
            "{database} lacks migrations of this version ({}): start the new server, or run `vocalizer admin migrate`",
            missing.join(", ")
        );
        return Err(what.into());
    }
    let local = Arc::new(SystemClock::new());
    let Stores { songs, accounts, administration, audit, coordination, installation, clock, .. } =
        adapters::stores(database, local).await?;
    let (locks, has_locks) = match (reach, database) {
        // The locks of its servers are in the database.
        (_, Database::Postgres(_)) => (Vec::new(), true),
        (Reach::Deleting, Database::Sqlite(_)) => match data::lock(data, database, blobs) {
            Ok(locks) => (locks, true),
            Err(DataError::InUse { .. }) => (Vec::new(), false),
            Err(error) => return Err(error.into()),
        },
        (_, Database::Sqlite(_)) => (Vec::new(), false),
    };
    let work = TempDir::with_prefix("vocalizer-admin-")?;
    let blobs = match reach {
        Reach::Database => None,
        Reach::Files | Reach::Deleting => {
            if let Some(folder) = blobs.folder()
                && !folder.exists()
            {
                return Err(format!(
                    "not found: {}; set --blobs-url or --data-dir as for the server",
                    folder.display()
                )
                .into());
            }
            let place = BlobPlace { blobs, database, adopt: false, work: work.path() };
            Some(adapters::blobs(&place, &installation, songs.as_ref()).await?)
        }
    };
    let accounts =
        AccountService::builder_with_clock(accounts, Arc::new(Argon2Passwords::new(1)?), Arc::clone(&clock)).build();
    let stores = AdminStores { administration, songs, blobs, coordination, audit, has_locks };
    Ok(Place { service: AdminService::new(accounts, stores, &operator()), clock, work, _locks: locks })
}
