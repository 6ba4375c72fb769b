//! Builders of the services.

use std::sync::Arc;

use super::accounts::AccountPorts;
use super::defaults::{AcceptAll, NoArchives, NoAudit, NoRenderer};
use super::provider::{Provider, ProviderSettings};
use super::songs::SongPorts;
use super::{AccountService, AccountSettings, LocalCoordination, SongService, SongSettings, Throttle};
#[cfg(feature = "system-clock")]
use crate::SystemClock;
use crate::models::Models;
use crate::ports::{
    AccountRepository, Attempts, AudioProbe, AuditLog, BlobStore, Clock, Coordination, IdentityProvider, JobQueue,
    PasswordHasher, Renderer, ResultReader, SongRepository, WebhookSender,
};

/// Builds a [`SongService`]; see [`SongService::builder`].
///
/// ```
/// # use std::sync::Arc;
/// # use vocalizer_core::{ports::*, service::SongService};
/// # #[cfg(feature = "system-clock")]
/// # fn service(
/// #     songs: Arc<dyn SongRepository>, blobs: Arc<dyn BlobStore>, queue: Arc<dyn JobQueue>,
/// #     probe: Arc<dyn AudioProbe>, renderer: Arc<dyn Renderer>, archives: Arc<dyn ResultReader>,
/// #     database: Arc<dyn Coordination>,
/// # ) -> SongService {
/// // One server of a cluster.
/// let service = SongService::builder(songs, blobs, queue)
///     .with_coordination(database)
///     .with_probe(probe)
///     .with_renderer(renderer)
///     .with_results(archives)
///     .build();
/// # service
/// # }
/// ```
#[must_use]
pub struct SongServiceBuilder {
    ports: SongPorts,
    settings: SongSettings,
    models: Models,
}

impl SongService {
    /// Returns a builder for a service over a repository, a blob store and a queue, with the system clock.
    ///
    /// The defaults suit a single server with a worker in the same process: locks and progress in memory
    /// ([`LocalCoordination`]), any file is accepted ([`AcceptAll`]), nothing is rendered ([`NoRenderer`]), results of
    /// remote workers are rejected ([`NoArchives`]), and there are no webhooks.
    ///
    /// ```
    /// # #[cfg(feature = "memory")] {
    /// use std::sync::Arc;
    ///
    /// use vocalizer_core::memory::{MemoryBlobs, MemorySongs};
    /// use vocalizer_core::ports::JobQueue;
    /// use vocalizer_core::service::{SongService, SongSettings};
    ///
    /// fn service(queue: Arc<dyn JobQueue>) -> SongService {
    ///     let (songs, blobs) = (Arc::new(MemorySongs::default()), Arc::new(MemoryBlobs::default()));
    ///     SongService::builder(songs, blobs, queue).with_settings(SongSettings::default()).build()
    /// }
    /// # }
    /// ```
    #[cfg(feature = "system-clock")]
    pub fn builder(
        songs: Arc<dyn SongRepository>,
        blobs: Arc<dyn BlobStore>,
        queue: Arc<dyn JobQueue>,
    ) -> SongServiceBuilder {
        Self::builder_with_clock(songs, blobs, queue, Arc::new(SystemClock::new()))
    }

    /// Like [`builder`](Self::builder), with a clock of your own.
    ///
    /// ```
    /// # #[cfg(not(feature = "memory"))] fn main() {}
    /// # #[cfg(feature = "memory")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::{sync::Arc, time::Duration};
    /// # use vocalizer_core::{account::*, api::*, limits::*, memory::*, part::*, ports::*, service::*, song::*};
    /// # let (songs, blobs, queue) = (Arc::<MemorySongs>::default(), Arc::<MemoryBlobs>::default(), Arc::new(IdleQueue));
    /// let clock = Arc::new(ManualClock::new());
    /// let service = SongService::builder_with_clock(songs, blobs, queue, clock.clone()).build();
    ///
    /// clock.advance(Duration::from_secs(60));
    /// assert_eq!(service.clock().elapsed(), Duration::from_secs(60));
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder_with_clock(
        songs: Arc<dyn SongRepository>,
        blobs: Arc<dyn BlobStore>,
        queue: Arc<dyn JobQueue>,
        clock: Arc<dyn Clock>,
    ) -> SongServiceBuilder {
        let ports = SongPorts {
            songs,
            coordination: Arc::new(LocalCoordination::default()),
            attempts: Arc::new(Throttle::default()),
            blobs,
            queue,
            probe: Arc::new(AcceptAll),
            renderer: Arc::new(NoRenderer),
            results: Arc::new(NoArchives),
            webhooks: None,
            clock,
        };
        SongServiceBuilder { ports, settings: SongSettings::default(), models: Models::default() }
    }
}

impl SongServiceBuilder {
    /// Shares locks, progress and deleted hashes with other servers. Required if several servers use the same database.
    pub fn with_coordination(mut self, coordination: Arc<dyn Coordination>) -> Self {
        self.ports.coordination = coordination;
        self
    }

    /// Shares the counters of guesses at share links with other servers.
    pub fn with_attempts(mut self, attempts: Arc<dyn Attempts>) -> Self {
        self.ports.attempts = attempts;
        self
    }

    /// Probes uploads and delivered stems with this.
    pub fn with_probe(mut self, probe: Arc<dyn AudioProbe>) -> Self {
        self.ports.probe = probe;
        self
    }

    /// Renders other formats, mixes and peaks with this.
    pub fn with_renderer(mut self, renderer: Arc<dyn Renderer>) -> Self {
        self.ports.renderer = renderer;
        self
    }

    /// Reads the results of remote workers with this.
    pub fn with_results(mut self, results: Arc<dyn ResultReader>) -> Self {
        self.ports.results = results;
        self
    }

    /// Sets the models that clients may choose from.
    pub fn with_models(mut self, models: Models) -> Self {
        self.models = models;
        self
    }

    /// Delivers to webhooks with this.
    pub fn with_webhooks(mut self, webhooks: Arc<dyn WebhookSender>) -> Self {
        self.ports.webhooks = Some(webhooks);
        self
    }

    /// Sets limits, quotas, retention and more.
    ///
    /// ```
    /// # #[cfg(not(feature = "memory"))] fn main() {}
    /// # #[cfg(feature = "memory")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::{sync::Arc, time::Duration};
    /// # use vocalizer_core::{account::*, api::*, limits::*, memory::*, part::*, ports::*, service::*, song::*};
    /// # let (songs, blobs, queue) = (Arc::<MemorySongs>::default(), Arc::<MemoryBlobs>::default(), Arc::new(IdleQueue));
    /// # let clock = Arc::new(ManualClock::new());
    /// # let builder = SongService::builder_with_clock(songs, blobs, queue, clock);
    /// let day = Duration::from_secs(24 * 60 * 60);
    /// let service = builder
    ///     .with_settings(SongSettings {
    ///         limits: Limits { max_upload_bytes: 20_000_000, ..Limits::default() },
    ///         retention: Retention { anonymous: Some(7 * day), ..Retention::default() },
    ///         ..SongSettings::default()
    ///     })
    ///     .build();
    /// # let mut upload = service.begin_upload(Viewer::Anonymous).await?;
    /// # assert!(upload.write(vec![0; 20_000_001].into()).await.is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_settings(mut self, settings: SongSettings) -> Self {
        self.settings = settings;
        self
    }

    /// Builds the service.
    #[must_use]
    pub fn build(self) -> SongService {
        SongService::new(self.ports, self.settings, self.models)
    }
}

/// Builds an [`AccountService`]; see [`AccountService::builder`].
///
/// ```
/// # #[cfg(not(feature = "memory"))] fn main() {}
/// # #[cfg(feature = "memory")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use std::{sync::Arc, time::Duration};
/// # use vocalizer_core::{account::*, memory::*, ports::*, secret::*, service::*};
/// # let (repository, hasher) = (Arc::<MemoryAccounts>::default(), Arc::new(PlainPasswords));
/// # let clock = Arc::new(ManualClock::new());
/// # let builder = AccountService::builder_with_clock(repository, hasher, clock);
/// let accounts = builder
///     .with_settings(AccountSettings {
///         session: Duration::from_secs(24 * 60 * 60),
///         min_password_chars: 12,
///         registration: Registration::Closed,
///         ..AccountSettings::default()
///     })
///     .build();
/// assert_eq!(accounts.settings().min_password_chars, 12);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct AccountServiceBuilder {
    ports: AccountPorts,
    settings: AccountSettings,
}

impl AccountService {
    /// Returns a builder for a service over a repository and a password hash, with the system clock. By default failed
    /// logins are counted in memory ([`Throttle`]).
    ///
    /// ```
    /// # #[cfg(not(feature = "memory"))] fn main() {}
    /// # #[cfg(feature = "memory")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::{sync::Arc, time::Duration};
    /// # use vocalizer_core::{account::*, memory::*, ports::*, secret::*, service::*};
    /// # let (repository, hasher) = (Arc::<MemoryAccounts>::default(), Arc::new(PlainPasswords));
    /// # let clock = Arc::new(ManualClock::new());
    /// // `hasher` is a `PasswordHasher`.
    /// let accounts = AccountService::builder(Arc::new(MemoryAccounts::default()), hasher).build();
    /// assert_eq!(accounts.settings().registration, Registration::Open);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "system-clock")]
    pub fn builder(accounts: Arc<dyn AccountRepository>, passwords: Arc<dyn PasswordHasher>) -> AccountServiceBuilder {
        Self::builder_with_clock(accounts, passwords, Arc::new(SystemClock::new()))
    }

    /// Like [`builder`](Self::builder), with a clock of your own.
    ///
    /// ```
    /// # #[cfg(not(feature = "memory"))] fn main() {}
    /// # #[cfg(feature = "memory")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::{sync::Arc, time::Duration};
    /// # use vocalizer_core::{account::*, memory::*, ports::*, secret::*, service::*};
    /// # let (repository, hasher) = (Arc::<MemoryAccounts>::default(), Arc::new(PlainPasswords));
    /// # let clock = Arc::new(ManualClock::new());
    /// # let (address, password) = ("192.0.2.1".parse()?, Secret::new("correct horse".to_owned()));
    /// let accounts = AccountService::builder_with_clock(repository, hasher, clock.clone()).build();
    /// let session = accounts.register("ada", [&password, &password], &Secret::default(), address, None).await?;
    ///
    /// clock.advance(accounts.settings().session);
    /// let caller = accounts.authenticate(Some(&Proof::Cookie(session.secret))).await?;
    /// assert!(caller.lapsed);
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder_with_clock(
        accounts: Arc<dyn AccountRepository>,
        passwords: Arc<dyn PasswordHasher>,
        clock: Arc<dyn Clock>,
    ) -> AccountServiceBuilder {
        let (attempts, audit) = (Arc::new(Throttle::default()), Arc::new(NoAudit));
        let ports = AccountPorts { accounts, attempts, passwords, audit, provider: None, clock };
        AccountServiceBuilder { ports, settings: AccountSettings::default() }
    }
}

impl AccountServiceBuilder {
    /// Shares the counters of failed logins with other servers.
    pub fn with_attempts(mut self, attempts: Arc<dyn Attempts>) -> Self {
        self.ports.attempts = attempts;
        self
    }

    /// Records sign-ins, registrations, tokens and changed passwords here. Without it they are not recorded.
    pub fn with_audit(mut self, audit: Arc<dyn AuditLog>) -> Self {
        self.ports.audit = audit;
        self
    }

    /// Lets users sign in with an identity provider.
    pub fn with_identity_provider(mut self, provider: Arc<dyn IdentityProvider>, settings: ProviderSettings) -> Self {
        self.ports.provider = Some(Provider { port: provider, settings });
        self
    }

    /// Sets registration, the lifetime of sessions, and throttling.
    pub fn with_settings(mut self, settings: AccountSettings) -> Self {
        self.settings = settings;
        self
    }

    /// Builds the service.
    #[must_use]
    pub fn build(self) -> AccountService {
        AccountService::new(self.ports, self.settings)
    }
}
