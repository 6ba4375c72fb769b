//! The adapters under the services.

use std::sync::Arc;
use std::thread::available_parallelism;

use vocalizer_core::ports::{BoxError, Clock, JobQueue};
use vocalizer_core::service::{
    AccountPorts, AccountService, AccountSettings, SongPorts, SongService, SongSettings, UploadPolicy,
};
use vocalizer_http::clock::SystemClock;
use vocalizer_http::passwords::Argon2Passwords;
use vocalizer_http::server::Server;
use vocalizer_http::settings::{HttpSettings, Patience};
use vocalizer_model::audio::AudioLimits;
use vocalizer_model::ports::{AudioRenderer, FileProbe, sweep_work_dir};
use vocalizer_store::archive::TarResults;

use super::Config;
use super::adapters::{self, Stores};
use super::data::DataDir;
use super::page::FILES;

/// The service, put together.
pub struct Parts {
    /// Songs.
    pub songs: SongService,
    /// Users.
    pub accounts: AccountService,
    /// Jobs.
    pub queue: Arc<dyn JobQueue>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// HTTP over all of it.
    pub server: Server,
}

/// Puts the service together over a data folder.
///
/// # Errors
///
/// Whatever the adapters say: a database that cannot be opened or is of a newer version, a folder without permission.
pub async fn compose(config: &Config, data: &DataDir) -> Result<Parts, BoxError> {
    compose_with(config, data, Tuning::default()).await
}

/// What nobody has had to change yet but tests.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tuning {
    /// How long clients may take; how long open requests have at the end is the configuration's.
    pub patience: Patience,
    /// How long sessions last, and how hard guessing is made.
    pub accounts: AccountSettings,
}

/// The same, tuned.
///
/// # Errors
///
/// Those of [`compose`].
pub async fn compose_with(config: &Config, data: &DataDir, tuning: Tuning) -> Result<Parts, BoxError> {
    sweep_work_dir(&data.work)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let Stores { songs, accounts, commons, attempts, installation, clock } =
        adapters::stores(&config.database, clock).await?;
    let queue = adapters::queue(config).await?;
    let blobs = adapters::blobs(config, &data.blobs, &installation, songs.as_ref()).await?;
    let audio = AudioLimits::from(&config.limits);
    let songs = SongService::new(
        SongPorts {
            songs,
            commons,
            blobs,
            queue: Arc::clone(&queue),
            probe: Arc::new(FileProbe::new(audio)),
            renderer: Arc::new(AudioRenderer::new(&data.work, audio).with_at_once(config.renderings.at_once)),
            results: Arc::new(TarResults::new(config.limits)),
            clock: Arc::clone(&clock),
        },
        SongSettings {
            limits: config.limits,
            min_free_bytes: config.min_free_bytes,
            renderings: config.renderings,
            uploads: UploadPolicy {
                anonymous: config.policy.anonymous_uploads,
                per_user: config.policy.per_user,
                per_address: config.policy.per_address,
                address_key: data.address_key,
            },
            retention: config.policy.retention,
            ask_again_after: config.ask_again_after,
            ..SongSettings::default()
        },
    );
    let at_once = available_parallelism().map_or(1, usize::from);
    let accounts = AccountService::new(
        AccountPorts {
            accounts,
            attempts,
            passwords: Arc::new(Argon2Passwords::new(at_once)?),
            clock: Arc::clone(&clock),
        },
        AccountSettings { registration: config.policy.registration, ..tuning.accounts },
    );
    let settings = HttpSettings {
        worker_tokens: data.worker_tokens.clone(),
        open_upload_result: config.open_upload_result,
        trusted_proxies: config.trusted_proxies.clone(),
        allowed_hosts: config.allowed_hosts.clone(),
        secure_cookies: config.secure_cookies,
        patience: Patience { shutdown: config.shutdown_grace, ..tuning.patience },
        caps: config.caps,
    };
    let server = Server::new(songs.clone(), accounts.clone(), settings)?.with_page(FILES);
    Ok(Parts { songs, accounts, queue, clock, server })
}
