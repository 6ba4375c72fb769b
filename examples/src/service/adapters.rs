//! Creates the adapters that the configuration selects.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use vocalizer_core::models::ModelName;
use vocalizer_core::ports::{
    AccountRepository, Administration, Attempts, AuditLog, BlobStore, BoxError, Clock, Coordination, JobQueue,
    SongRepository,
};
use vocalizer_core::service::{LocalCoordination, Throttle};
use vocalizer_queue::SqliteQueue;
use vocalizer_store::files::FileBlobs;
use vocalizer_store::sqlite::SqliteStore;

use super::addresses::{Blobs, Broker, Database};

/// Job lease duration: after this long without a sign of life, a job goes to another worker.
pub(super) const VISIBILITY: Duration = Duration::from_secs(60);

/// All stores except blobs.
pub(super) struct Stores {
    pub(super) songs: Arc<dyn SongRepository>,
    pub(super) accounts: Arc<dyn AccountRepository>,
    pub(super) administration: Arc<dyn Administration>,
    pub(super) audit: Arc<dyn AuditLog>,
    pub(super) coordination: Arc<dyn Coordination>,
    pub(super) attempts: Arc<dyn Attempts>,
    /// The installation ID of the database.
    pub(super) installation: String,
    /// The local clock, or one shared by all servers of a database.
    pub(super) clock: Arc<dyn Clock>,
}

/// Opens and migrates the database. `clock` is the local clock.
pub(super) async fn stores(database: &Database, clock: Arc<dyn Clock>) -> Result<Stores, BoxError> {
    match database {
        Database::Sqlite(path) => {
            let store = Arc::new(SqliteStore::open(path).await?);
            Ok(Stores {
                installation: store.installation().await?,
                songs: Arc::clone(&store) as _,
                administration: Arc::clone(&store) as _,
                audit: Arc::clone(&store) as _,
                accounts: store,
                coordination: Arc::<LocalCoordination>::default(),
                attempts: Arc::<Throttle>::default(),
                clock,
            })
        }
        Database::Postgres(url) => cluster::stores(url, clock).await,
    }
}

/// Migrates the database and returns the applied migrations.
pub(super) async fn migrate(database: &Database) -> Result<Vec<String>, BoxError> {
    match database {
        Database::Sqlite(path) => Ok(SqliteStore::open_without_migrating(path).await?.migrate().await?),
        Database::Postgres(url) => cluster::migrate(url).await,
    }
}

/// Fails if there is no database: opening it would create one.
pub(super) fn require(database: &Database) -> Result<(), BoxError> {
    match database {
        Database::Sqlite(path) if !path.exists() => {
            let path = path.display();
            let what =
                format!("not found: {path}; set --data-dir to the server's data folder, or start the server first");
            Err(what.into())
        }
        _ => Ok(()),
    }
}

/// Returns the migrations that the database lacks.
pub(super) async fn pending_migrations(database: &Database) -> Result<Vec<String>, BoxError> {
    match database {
        Database::Sqlite(path) => Ok(SqliteStore::open_without_migrating(path).await?.pending_migrations().await?),
        Database::Postgres(url) => cluster::pending_migrations(url).await,
    }
}

/// Copies a SQLite database into the database and returns a summary.
pub(super) async fn migrate_data(from: &Path, database: &Database) -> Result<String, BoxError> {
    match database {
        Database::Sqlite(_) => {
            Err("the target must be PostgreSQL: set DATABASE_URL=postgres://USER:PASSWORD@HOST/NAME".into())
        }
        Database::Postgres(url) => cluster::migrate_data(from, url).await,
    }
}

/// Opens the job queue.
pub(super) async fn queue(
    broker: Option<&Broker>,
    database: &Database,
    models: &[ModelName],
) -> Result<Arc<dyn JobQueue>, BoxError> {
    match (broker, database) {
        (Some(broker), _) => broker_queue(broker, models),
        (None, Database::Sqlite(path)) => Ok(Arc::new(SqliteQueue::open(path, VISIBILITY).await?)),
        (None, Database::Postgres(url)) => cluster::database_queue(url).await,
    }
}

/// Creates the broker's job queue, with one for each of several models.
pub(super) fn broker_queue(broker: &Broker, models: &[ModelName]) -> Result<Arc<dyn JobQueue>, BoxError> {
    cluster::queue(broker, models)
}

/// Validates the broker's address without connecting.
pub(super) fn check_broker(broker: &Broker) -> Result<(), String> {
    cluster::queue(broker, &[]).map(|_| ()).map_err(|error| error.to_string())
}

/// Validates the bucket's address without connecting.
pub(super) fn check_bucket(url: &str) -> Result<(), String> {
    cluster::check_bucket(url).map_err(|error| error.to_string())
}

/// A blob store and the database of its songs.
pub(super) struct BlobPlace<'a> {
    pub(super) blobs: &'a Blobs,
    pub(super) database: &'a Database,
    /// Assign the blobs to the database's installation, regardless of their owner.
    pub(super) adopt: bool,
    /// The folder for uploads on their way to remote storage.
    #[cfg_attr(not(feature = "cluster"), expect(dead_code, reason = "only S3 uses it"))]
    pub(super) work: &'a Path,
}

/// Opens the blob store. It must belong to the database's installation, because the sweep deletes blobs without songs.
pub(super) async fn blobs(
    place: &BlobPlace<'_>,
    installation: &str,
    songs: &dyn SongRepository,
) -> Result<Arc<dyn BlobStore>, BoxError> {
    match place.blobs {
        Blobs::Files(path) => {
            let blobs = FileBlobs::open(path).await?;
            if place.adopt {
                blobs.adopt(installation).await?;
            } else if blobs.owner().await?.is_none() {
                check_not_lost(place, &blobs, songs).await?;
            }
            check_owner(place, &blobs.claim(installation).await?, installation)?;
            Ok(Arc::new(blobs))
        }
        Blobs::S3(url) => cluster::blobs(place, url, installation, songs).await,
    }
}

/// Fails if an unclaimed blob store is empty but the database has songs. The disk may not be mounted: jobs would then fail, and
/// new files would be written below the mount point.
async fn check_not_lost(
    place: &BlobPlace<'_>,
    blobs: &dyn BlobStore,
    songs: &dyn SongRepository,
) -> Result<(), BoxError> {
    if songs.newest_upload().await?.is_none() || !blobs.hashes().await?.is_empty() {
        return Ok(());
    }
    let BlobPlace { blobs, database, .. } = place;
    let what = format!(
        "{blobs} is empty, but {database} has songs: mount the disk with their files, or set BLOBS_URL to the right \
         location. If the files are lost, start once with ADOPT_BLOBS=true"
    );
    Err(what.into())
}

fn check_owner(place: &BlobPlace<'_>, owner: &str, installation: &str) -> Result<(), BoxError> {
    if owner == installation {
        return Ok(());
    }
    let BlobPlace { blobs, database, .. } = place;
    let what = format!(
        "{blobs} belongs to installation {owner}, but {database} belongs to installation {installation}: use the matching \
         database. To assign the files to this database, start once with ADOPT_BLOBS=true; files without a song in it will \
         be deleted"
    );
    Err(what.into())
}

#[cfg(feature = "cluster")]
mod cluster {
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::sync::Arc;

    use vocalizer_core::models::ModelName;
    use vocalizer_core::ports::{BlobStore, BoxError, Clock, JobQueue, SongRepository};
    use vocalizer_core::secret::Secret;
    use vocalizer_queue::{AmqpQueue, AmqpQueueKind, AmqpSettings, ModelQueues, PostgresQueue, PostgresQueueSettings};
    use vocalizer_store::postgres::{Copied, PostgresSettings, PostgresStore, copy_from_sqlite};
    use vocalizer_store::s3::{S3Blobs, S3Settings};
    use vocalizer_store::sqlite::SqliteStore;

    use super::super::addresses::{Broker, QueueKind};
    use super::{BlobPlace, Stores, VISIBILITY};

    pub(super) async fn stores(url: &Secret<String>, clock: Arc<dyn Clock>) -> Result<Stores, BoxError> {
        let store = Arc::new(PostgresStore::open(url, PostgresSettings::default()).await?);
        Ok(Stores {
            installation: store.installation().await?,
            songs: Arc::clone(&store) as _,
            accounts: Arc::clone(&store) as _,
            administration: Arc::clone(&store) as _,
            audit: Arc::clone(&store) as _,
            coordination: Arc::clone(&store) as _,
            clock: store.clock(clock).await?,
            attempts: store,
        })
    }

    pub(super) async fn migrate(url: &Secret<String>) -> Result<Vec<String>, BoxError> {
        let mut applied =
            PostgresStore::open_without_migrating(url, PostgresSettings::default()).await?.migrate().await?;
        applied.extend(PostgresQueue::migrate(url).await?);
        Ok(applied)
    }

    pub(super) async fn pending_migrations(url: &Secret<String>) -> Result<Vec<String>, BoxError> {
        let store = PostgresStore::open_without_migrating(url, PostgresSettings::default()).await?;
        Ok(store.pending_migrations().await?)
    }

    pub(super) async fn migrate_data(from: &Path, url: &Secret<String>) -> Result<String, BoxError> {
        if !from.exists() {
            return Err(format!("not found: {}", from.display()).into());
        }
        let (from, to) = (SqliteStore::open(from).await?, PostgresStore::open(url, PostgresSettings::default()).await?);
        let Copied { users, sessions, songs, .. } = copy_from_sqlite(&from, &to).await?;
        Ok(format!("{users} users, {sessions} sessions and tokens, {songs} songs"))
    }

    pub(super) async fn database_queue(url: &Secret<String>) -> Result<Arc<dyn JobQueue>, BoxError> {
        let settings = PostgresQueueSettings { visibility: VISIBILITY, ..PostgresQueueSettings::default() };
        Ok(Arc::new(PostgresQueue::open(url, settings).await?))
    }

    pub(super) fn queue(broker: &Broker, models: &[ModelName]) -> Result<Arc<dyn JobQueue>, BoxError> {
        let kind = match broker.queue {
            QueueKind::Quorum => AmqpQueueKind::Quorum,
            QueueKind::Classic => AmqpQueueKind::Classic,
            QueueKind::Existing => AmqpQueueKind::Existing,
        };
        let settings = AmqpSettings::new(broker.address.expose())?
            .with_kind(kind)
            .with_max_message_bytes(broker.max_message_bytes)
            .with_visibility(VISIBILITY)
            .with_consumer_timeout(broker.consumer_timeout);
        let first = Arc::new(AmqpQueue::new(settings.clone())?);
        // Without names it is a worker for the default model, whichever that is.
        let Some(default) = models.first() else { return Ok(first) };
        let mut further = BTreeMap::<_, Arc<dyn JobQueue>>::new();
        for model in models.iter().filter(|_| models.len() > 1) {
            let settings = settings.clone().with_queue(&format!("vocalizer_queue.{model}"));
            further.insert(*model, Arc::new(AmqpQueue::new(settings)?));
        }
        Ok(Arc::new(ModelQueues::new(*default, first, further)))
    }

    pub(super) fn check_bucket(url: &str) -> Result<(), BoxError> {
        S3Settings::parse(url, aws_variables()?)?;
        Ok(())
    }

    pub(super) async fn blobs(
        place: &BlobPlace<'_>,
        url: &str,
        installation: &str,
        songs: &dyn SongRepository,
    ) -> Result<Arc<dyn BlobStore>, BoxError> {
        let blobs = S3Blobs::open(S3Settings::parse(url, aws_variables()?)?, place.work).await?;
        if place.adopt {
            blobs.adopt(installation).await?;
        } else if blobs.owner().await?.is_none() {
            super::check_not_lost(place, &blobs, songs).await?;
        }
        super::check_owner(place, &blobs.claim(installation).await?, installation)?;
        Ok(Arc::new(blobs))
    }

    /// Reads the standard AWS variables. A variable with the suffix `_FILE` names a file with the value.
    fn aws_variables() -> Result<Vec<(String, String)>, BoxError> {
        let mut variables = Vec::new();
        for (name, value) in std::env::vars_os() {
            let (Ok(name), Ok(value)) = (name.into_string(), value.into_string()) else { continue };
            match name.strip_suffix("_FILE") {
                _ if !name.starts_with("AWS_") => {}
                Some(plain @ ("AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" | "AWS_SESSION_TOKEN")) => {
                    let text =
                        std::fs::read_to_string(&value).map_err(|e| format!("{name}: cannot read {value}: {e}"))?;
                    variables.push((plain.to_owned(), text.trim().to_owned()));
                }
                _ => variables.push((name, value)),
            }
        }
        Ok(variables)
    }
}

/// Stubs for builds without the feature `cluster`, which the configuration rejects earlier.
#[cfg(not(feature = "cluster"))]
mod cluster {
    use std::path::Path;
    use std::sync::Arc;

    use vocalizer_core::models::ModelName;
    use vocalizer_core::ports::{BlobStore, BoxError, Clock, JobQueue, SongRepository};
    use vocalizer_core::secret::Secret;

    use super::super::addresses::Broker;
    use super::{BlobPlace, Stores};

    fn unsupported<T>(what: &str) -> Result<T, BoxError> {
        Err(format!("this build does not support {what}; build with `--features cluster`").into())
    }

    pub(super) async fn stores(_url: &Secret<String>, _clock: Arc<dyn Clock>) -> Result<Stores, BoxError> {
        unsupported("PostgreSQL")
    }

    pub(super) async fn migrate(_url: &Secret<String>) -> Result<Vec<String>, BoxError> {
        unsupported("PostgreSQL")
    }

    pub(super) async fn pending_migrations(_url: &Secret<String>) -> Result<Vec<String>, BoxError> {
        unsupported("PostgreSQL")
    }

    pub(super) async fn migrate_data(_from: &Path, _url: &Secret<String>) -> Result<String, BoxError> {
        unsupported("PostgreSQL")
    }

    pub(super) async fn database_queue(_url: &Secret<String>) -> Result<Arc<dyn JobQueue>, BoxError> {
        unsupported("PostgreSQL")
    }

    pub(super) fn queue(_broker: &Broker, _models: &[ModelName]) -> Result<Arc<dyn JobQueue>, BoxError> {
        unsupported("RabbitMQ")
    }

    pub(super) fn check_bucket(_url: &str) -> Result<(), BoxError> {
        unsupported("S3")
    }

    pub(super) async fn blobs(
        _place: &BlobPlace<'_>,
        _url: &str,
        _installation: &str,
        _songs: &dyn SongRepository,
    ) -> Result<Arc<dyn BlobStore>, BoxError> {
        unsupported("S3")
    }
}
