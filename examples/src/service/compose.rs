//! Wires adapters and services together.

use std::sync::Arc;
use std::thread::available_parallelism;

use vocalizer_client::oidc::OidcProvider;
use vocalizer_client::webhooks::HttpWebhooks;
use vocalizer_core::ports::{BoxError, Clock, JobQueue};
use vocalizer_core::service::{
    AccountService, AccountSettings, AdminService, AdminStores, SongService, SongSettings, UploadPolicy,
};
use vocalizer_http::server::Server;
use vocalizer_http::settings::{HttpSettings, Timeouts};
use vocalizer_model::audio::AudioLimits;
use vocalizer_model::ports::{AudioRenderer, FileProbe, sweep_work_dir};
use vocalizer_store::archive::TarResults;
use vocalizer_store::system::{Argon2Passwords, SystemClock};

use super::adapters::{self, BlobPlace, Stores};
use super::config::Config;
use super::data::DataDir;
use super::oidc::Oidc;
use super::page::FILES;

/// The assembled service.
pub struct Parts {
    /// The song service.
    pub songs: SongService,
    /// The account service.
    pub accounts: AccountService,
    /// The job queue.
    pub queue: Arc<dyn JobQueue>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The HTTP server.
    pub server: Server,
}

/// Assembles the service on a data folder.
///
/// # Errors
///
/// Any error of the adapters, such as a database that cannot be opened or has a newer schema, or a folder without permission.
pub async fn compose(config: &Config, data: &DataDir) -> Result<Parts, BoxError> {
    compose_with(config, data, Tuning::default()).await
}

/// Settings that only tests change.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tuning {
    /// Timeouts for clients; the shutdown grace period comes from the configuration.
    pub timeouts: Timeouts,
    /// Session lifetime and login throttling.
    pub accounts: AccountSettings,
}

/// Like [`compose`], with custom tuning.
///
/// # Errors
///
/// Same as [`compose`].
pub async fn compose_with(config: &Config, data: &DataDir, tuning: Tuning) -> Result<Parts, BoxError> {
    sweep_work_dir(&data.work)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let Stores { songs, accounts, administration, audit, coordination, attempts, installation, clock } =
        adapters::stores(&config.database, clock).await?;
    let queue = adapters::queue(config.broker.as_ref(), &config.database, &config.models.names()).await?;
    let place =
        BlobPlace { blobs: &config.blobs, database: &config.database, adopt: config.adopt_blobs, work: &data.blobs };
    let blobs = adapters::blobs(&place, &installation, songs.as_ref()).await?;
    let admin = AdminStores {
        administration,
        songs: Arc::clone(&songs),
        blobs: Some(Arc::clone(&blobs)),
        coordination: Arc::clone(&coordination),
        audit: Arc::clone(&audit),
        has_locks: true,
    };
    let audio = AudioLimits::from(&config.limits);
    let songs = SongService::builder_with_clock(songs, blobs, Arc::clone(&queue), Arc::clone(&clock))
        .with_coordination(coordination)
        .with_attempts(Arc::clone(&attempts))
        .with_models(config.models.clone())
        .with_probe(Arc::new(FileProbe::new(audio)))
        .with_renderer(Arc::new(AudioRenderer::new(&data.work, audio).with_at_once(config.renderings.at_once)))
        .with_results(Arc::new(TarResults::new(config.limits)))
        .with_webhooks(Arc::new(HttpWebhooks::new(config.webhooks.allow_private, config.webhooks.allow_http)))
        .with_settings(SongSettings {
            limits: config.limits,
            min_free_bytes: config.min_free_bytes,
            renderings: config.renderings,
            resumable: config.resumable,
            uploads: UploadPolicy {
                anonymous: config.policy.anonymous_uploads,
                per_user: config.policy.per_user,
                per_address: config.policy.per_address,
                address_key: data.address_key,
            },
            retention: config.policy.retention,
            trash: config.policy.trash,
            ask_again_after: config.ask_again_after,
            model_timeout: config.model_timeout,
            traces: config.traces,
            ..SongSettings::default()
        })
        .build();
    let at_once = available_parallelism().map_or(1, usize::from);
    let mut accounts =
        AccountService::builder_with_clock(accounts, Arc::new(Argon2Passwords::new(at_once)?), Arc::clone(&clock))
            .with_attempts(attempts)
            .with_audit(audit)
            .with_settings(AccountSettings {
                registration: config.policy.registration,
                password_sign_in: config.sign_in.password,
                keep_audit: config.policy.keep_audit,
                ..tuning.accounts
            });
    if let Some(Oidc { settings, usage }) = &config.sign_in.oidc {
        accounts = accounts.with_identity_provider(Arc::new(OidcProvider::new(settings.clone())?), usage.clone());
    }
    let accounts = accounts.build();
    let admin = AdminService::new(accounts.clone(), admin, "server").within(songs.clone());
    if let Some(first) = &config.policy.first_user {
        let registered = first.register(&accounts, &admin).await;
        registered.map_err(|error| format!("the user in ADMIN_USER_FILE cannot be registered: {error}"))?;
    }
    let settings = HttpSettings {
        worker_tokens: data.worker_tokens.clone(),
        open_upload_result: config.open_upload_result,
        trusted_proxies: config.trusted_proxies.clone(),
        user_header: config.policy.user_header.clone(),
        allowed_hosts: config.allowed_hosts.clone(),
        secure_cookies: config.secure_cookies,
        timeouts: Timeouts { shutdown: config.shutdown_grace, ..tuning.timeouts },
        caps: config.caps,
    };
    let server = Server::new(songs.clone(), accounts.clone(), settings)?.with_administration(admin).with_page(&FILES);
    Ok(Parts { songs, accounts, queue, clock, server })
}
