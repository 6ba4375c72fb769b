//! Which adapters the configuration asks for.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use vocalizer_core::ports::{
    AccountRepository, Attempts, BlobStore, BoxError, Clock, Commons, JobQueue, SongRepository,
};
use vocalizer_core::service::{LocalCommons, Throttle};
use vocalizer_queue::SqliteQueue;
use vocalizer_store::files::FileBlobs;
use vocalizer_store::sqlite::SqliteStore;

use super::Config;
use super::places::{Blobs, Broker, Database};

/// How long a worker may be silent before its job is somebody else's.
pub(super) const VISIBILITY: Duration = Duration::from_secs(60);

/// Everything that is kept beside blobs.
pub(super) struct Stores {
    pub(super) songs: Arc<dyn SongRepository>,
    pub(super) accounts: Arc<dyn AccountRepository>,
    pub(super) commons: Arc<dyn Commons>,
    pub(super) attempts: Arc<dyn Attempts>,
    /// Which installation the database is of.
    pub(super) installation: String,
    /// This machine's time, or the one that all servers of a database agree on.
    pub(super) clock: Arc<dyn Clock>,
}

/// Opens the database and brings it up to date. `clock` is this machine's.
pub(super) async fn stores(database: &Database, clock: Arc<dyn Clock>) -> Result<Stores, BoxError> {
    match database {
        Database::Sqlite(path) => {
            let store = Arc::new(SqliteStore::open(path).await?);
            Ok(Stores {
                installation: store.installation().await?,
                songs: Arc::clone(&store) as _,
                accounts: store,
                commons: Arc::<LocalCommons>::default(),
                attempts: Arc::<Throttle>::default(),
                clock,
            })
        }
        Database::Postgres(url) => many::stores(url, clock).await,
    }
}

/// Brings the database up to date and says what that took.
pub(super) async fn migrate(database: &Database) -> Result<Vec<String>, BoxError> {
    match database {
        Database::Sqlite(path) => Ok(SqliteStore::open_without_migrating(path).await?.migrate().await?),
        Database::Postgres(url) => many::migrate(url).await,
    }
}

/// Copies what is in a SQLite file into the database, and says how much that was.
pub(super) async fn migrate_data(from: &Path, database: &Database) -> Result<String, BoxError> {
    match database {
        Database::Sqlite(_) => {
            Err("data is moved to PostgreSQL: give DATABASE_URL=postgres://USER:PASSWORD@HOST/NAME".into())
        }
        Database::Postgres(url) => many::migrate_data(from, url).await,
    }
}

/// The way to the workers.
pub(super) async fn queue(config: &Config) -> Result<Arc<dyn JobQueue>, BoxError> {
    match (&config.broker, &config.database) {
        (Some(broker), _) => broker_queue(broker),
        (None, Database::Sqlite(path)) => Ok(Arc::new(SqliteQueue::open(path, VISIBILITY).await?)),
        (None, Database::Postgres(url)) => many::database_queue(url).await,
    }
}

/// The broker as a queue.
pub(super) fn broker_queue(broker: &Broker) -> Result<Arc<dyn JobQueue>, BoxError> {
    many::queue(broker)
}

/// Whether the broker's address can be one, before anything is done.
pub(super) fn check_broker(broker: &Broker) -> Result<(), String> {
    many::queue(broker).map(|_| ()).map_err(|error| error.to_string())
}

/// Whether the bucket's address can be one, before anything is done.
pub(super) fn check_bucket(url: &str) -> Result<(), String> {
    many::check_bucket(url).map_err(|error| error.to_string())
}

/// Where bytes go. They must belong to the installation of the database: a sweep deletes what its songs do not have.
pub(super) async fn blobs(
    config: &Config,
    work: &Path,
    installation: &str,
    songs: &dyn SongRepository,
) -> Result<Arc<dyn BlobStore>, BoxError> {
    match &config.blobs {
        Blobs::Files(path) => {
            let blobs = FileBlobs::open(path).await?;
            if config.adopt_blobs {
                blobs.adopt(installation).await?;
            } else if blobs.owner().await?.is_none() {
                are_there(config, &blobs, songs).await?;
            }
            belongs(config, &blobs.claim(installation).await?, installation)?;
            Ok(Arc::new(blobs))
        }
        Blobs::S3(url) => many::blobs(config, url, work, installation, songs).await,
    }
}

/// Whether blobs that nobody has claimed are those of the songs. A folder is empty, too, where its disk is not mounted: jobs
/// would then fail, and new songs would lie below the mount point.
async fn are_there(config: &Config, blobs: &dyn BlobStore, songs: &dyn SongRepository) -> Result<(), BoxError> {
    if songs.newest_upload().await?.is_none() || !blobs.hashes().await?.is_empty() {
        return Ok(());
    }
    let Config { blobs, database, .. } = config;
    let what = format!(
        "{blobs} is empty, and {database} has songs: mount the disk that their files are on, or name the right place with \
         BLOBS_URL. If the files are lost, start once with ADOPT_BLOBS=true"
    );
    Err(what.into())
}

fn belongs(config: &Config, owner: &str, installation: &str) -> Result<(), BoxError> {
    if owner == installation {
        return Ok(());
    }
    let Config { blobs, database, .. } = config;
    let what = format!(
        "{blobs} belongs to installation {owner}, and {database} is of installation {installation}: use the database that \
         these files belong to. To give the files to this database, start once with ADOPT_BLOBS=true; what none of its songs \
         has is deleted in time"
    );
    Err(what.into())
}

#[cfg(feature = "cluster")]
mod many {
    use std::path::Path;
    use std::sync::Arc;

    use vocalizer_core::ports::{BlobStore, BoxError, Clock, JobQueue, SongRepository};
    use vocalizer_core::secret::Secret;
    use vocalizer_queue::{AmqpQueue, AmqpQueueKind, AmqpSettings, PostgresQueue, PostgresQueueSettings};
    use vocalizer_store::postgres::{Copied, PostgresSettings, PostgresStore, copy_from_sqlite};
    use vocalizer_store::s3::{S3Blobs, S3Settings};
    use vocalizer_store::sqlite::SqliteStore;

    use super::super::Config;
    use super::super::places::{Broker, QueueKind};
    use super::{Stores, VISIBILITY};

    pub(super) async fn stores(url: &Secret<String>, clock: Arc<dyn Clock>) -> Result<Stores, BoxError> {
        let store = Arc::new(PostgresStore::open(url, PostgresSettings::default()).await?);
        Ok(Stores {
            installation: store.installation().await?,
            songs: Arc::clone(&store) as _,
            accounts: Arc::clone(&store) as _,
            commons: Arc::clone(&store) as _,
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

    pub(super) async fn migrate_data(from: &Path, url: &Secret<String>) -> Result<String, BoxError> {
        if !from.exists() {
            return Err(format!("there is no {}", from.display()).into());
        }
        let (from, to) = (SqliteStore::open(from).await?, PostgresStore::open(url, PostgresSettings::default()).await?);
        let Copied { users, sessions, songs, .. } = copy_from_sqlite(&from, &to).await?;
        Ok(format!("{users} users, {sessions} sessions and tokens, {songs} songs"))
    }

    pub(super) async fn database_queue(url: &Secret<String>) -> Result<Arc<dyn JobQueue>, BoxError> {
        let settings = PostgresQueueSettings { visibility: VISIBILITY, ..PostgresQueueSettings::default() };
        Ok(Arc::new(PostgresQueue::open(url, settings).await?))
    }

    pub(super) fn queue(broker: &Broker) -> Result<Arc<dyn JobQueue>, BoxError> {
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
        Ok(Arc::new(AmqpQueue::new(settings)?))
    }

    pub(super) fn check_bucket(url: &str) -> Result<(), BoxError> {
        S3Settings::parse(url, aws_variables()?)?;
        Ok(())
    }

    pub(super) async fn blobs(
        config: &Config,
        url: &str,
        work: &Path,
        installation: &str,
        songs: &dyn SongRepository,
    ) -> Result<Arc<dyn BlobStore>, BoxError> {
        let blobs = S3Blobs::open(S3Settings::parse(url, aws_variables()?)?, work).await?;
        if config.adopt_blobs {
            blobs.adopt(installation).await?;
        } else if blobs.owner().await?.is_none() {
            super::are_there(config, &blobs, songs).await?;
        }
        super::belongs(config, &blobs.claim(installation).await?, installation)?;
        Ok(Arc::new(blobs))
    }

    /// The usual variables of AWS. Where one has `_FILE` behind its name, its value is in that file.
    fn aws_variables() -> Result<Vec<(String, String)>, BoxError> {
        let mut variables = Vec::new();
        for (name, value) in std::env::vars_os() {
            let (Ok(name), Ok(value)) = (name.into_string(), value.into_string()) else { continue };
            match name.strip_suffix("_FILE") {
                _ if !name.starts_with("AWS_") => {}
                Some(plain @ ("AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" | "AWS_SESSION_TOKEN")) => {
                    let text =
                        std::fs::read_to_string(&value).map_err(|e| format!("{name}: {value} cannot be read: {e}"))?;
                    variables.push((plain.to_owned(), text.trim().to_owned()));
                }
                _ => variables.push((name, value)),
            }
        }
        Ok(variables)
    }
}

/// What the configuration has refused before.
#[cfg(not(feature = "cluster"))]
mod many {
    use std::path::Path;
    use std::sync::Arc;

    use vocalizer_core::ports::{BlobStore, BoxError, Clock, JobQueue, SongRepository};
    use vocalizer_core::secret::Secret;

    use super::super::Config;
    use super::super::places::Broker;
    use super::Stores;

    fn lacks<T>(what: &str) -> Result<T, BoxError> {
        Err(format!("this program was built without {what}; build it with `--features cluster`").into())
    }

    pub(super) async fn stores(_url: &Secret<String>, _clock: Arc<dyn Clock>) -> Result<Stores, BoxError> {
        lacks("PostgreSQL")
    }

    pub(super) async fn migrate(_url: &Secret<String>) -> Result<Vec<String>, BoxError> {
        lacks("PostgreSQL")
    }

    pub(super) async fn migrate_data(_from: &Path, _url: &Secret<String>) -> Result<String, BoxError> {
        lacks("PostgreSQL")
    }

    pub(super) async fn database_queue(_url: &Secret<String>) -> Result<Arc<dyn JobQueue>, BoxError> {
        lacks("PostgreSQL")
    }

    pub(super) fn queue(_broker: &Broker) -> Result<Arc<dyn JobQueue>, BoxError> {
        lacks("RabbitMQ")
    }

    pub(super) fn check_bucket(_url: &str) -> Result<(), BoxError> {
        lacks("S3")
    }

    pub(super) async fn blobs(
        _config: &Config,
        _url: &str,
        _work: &Path,
        _installation: &str,
        _songs: &dyn SongRepository,
    ) -> Result<Arc<dyn BlobStore>, BoxError> {
        lacks("S3")
    }
}
