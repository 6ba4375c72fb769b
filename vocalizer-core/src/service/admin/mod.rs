//! What operators and administrators do, across all users.

mod songs;
mod storage;
mod users;

use std::net::IpAddr;
use std::sync::Arc;

use time::OffsetDateTime;

use super::caller::{Caller, NO_SESSION};
use super::{AccountService, ServiceError, SongService};
use crate::account::household;
use crate::ports::{
    Action, Administration, AuditEntry, AuditLog, AuditSearch, BlobStore, Coordination, SongRepository,
};

pub use self::songs::Files;
pub use self::storage::{Collected, Fault, StorageReport, Stored};

/// The stores that an operator works on. Servers may use them meanwhile.
#[derive(Clone)]
pub struct AdminStores {
    /// Users and songs across all users.
    pub administration: Arc<dyn Administration>,
    /// Songs.
    pub songs: Arc<dyn SongRepository>,
    /// The files of songs, if they are needed.
    pub blobs: Option<Arc<dyn BlobStore>>,
    /// The servers' locks.
    pub coordination: Arc<dyn Coordination>,
    /// The audit log.
    pub audit: Arc<dyn AuditLog>,
    /// Whether `coordination` has the locks of all servers that run: they share it, or there are none. If not, files are left
    /// for the server to delete.
    pub has_locks: bool,
}

/// What operators and administrators do with users, songs, jobs and files. Each change is in the audit log.
///
/// An operator has the database; an administrator is a user with a right that an operator has given. In a server,
/// [`authorize`](Self::authorize) returns the service for an administrator. Administrators cannot disable each other or
/// themselves, so one always remains.
///
/// ```
/// # #[cfg(not(feature = "memory"))] fn main() {}
/// # #[cfg(feature = "memory")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use std::sync::Arc;
/// # use vocalizer_core::{account::*, memory::*, ports::*, secret::*, service::*};
/// # let (users, songs) = (Arc::<MemoryAccounts>::default(), Arc::<MemorySongs>::default());
/// # let audit = Arc::<MemoryAudit>::default();
/// # let stores = AdminStores {
/// #     administration: Arc::new(MemoryAdministration::new(users.clone(), songs.clone())),
/// #     songs,
/// #     blobs: None,
/// #     coordination: Arc::<LocalCoordination>::default(),
/// #     audit: audit.clone(),
/// #     has_locks: true,
/// # };
/// # let clock = Arc::new(ManualClock::new());
/// # let accounts = AccountService::builder_with_clock(users, Arc::new(PlainPasswords), clock).build();
/// # let (address, password) = ("192.0.2.1".parse()?, Secret::new("correct horse".to_owned()));
/// # let session = accounts.register("ada", [&password, &password], &Secret::default(), address, None).await?;
/// # let caller = accounts.authenticate(Some(&Proof::Cookie(session.secret))).await?;
/// # accounts.register("bob", [&password, &password], &Secret::default(), address, None).await?;
/// let operator = AdminService::new(accounts, stores, "root");
/// assert!(matches!(operator.authorize(caller, address).await, Err(ServiceError::Forbidden)));
///
/// operator.set_administrator(operator.user("ada").await?.id, true).await?;
/// let ada = operator.authorize(caller, address).await?;
/// assert!(ada.disable(ada.user("bob").await?.id).await?.disabled_at.is_some());
/// assert!(matches!(ada.disable(ada.user("ada").await?.id).await, Err(ServiceError::Conflict { .. })));
///
/// let done = audit.entries(&AuditSearch { since: time::OffsetDateTime::UNIX_EPOCH, limit: 1 }).await?;
/// assert_eq!((done[0].actor.as_str(), done[0].action.as_str()), ("ada", "user_disabled"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct AdminService {
    accounts: AccountService,
    stores: AdminStores,
    server: Option<SongService>,
    actor: Actor,
}

/// Who acts.
#[derive(Debug, Clone)]
struct Actor {
    name: String,
    address: Option<IpAddr>,
    /// Whether it has the database, and not only the right of an administrator.
    is_operator: bool,
}

impl AdminService {
    /// Returns a service for an operator, whose name appears in the audit log.
    #[must_use]
    pub fn new(accounts: AccountService, stores: AdminStores, operator: &str) -> Self {
        let actor = Actor { name: format!("operator:{operator}"), address: None, is_operator: true };
        Self { accounts, stores, server: None, actor }
    }

    /// Works in a running server, so that watchers, workers and caches learn at once what has changed.
    #[must_use]
    pub fn within(self, server: SongService) -> Self {
        Self { server: Some(server), ..self }
    }

    /// Returns the service for the caller of a request, if it is an administrator and does not use an API token.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unauthenticated`] for an anonymous caller, [`ServiceError::Forbidden`] for others, and those of every
    /// method.
    pub async fn authorize(&self, caller: Caller, address: IpAddr) -> Result<Self, ServiceError> {
        let id = caller.viewer.user().ok_or(ServiceError::Unauthenticated { message: NO_SESSION })?;
        let accounts = &self.accounts.ports().accounts;
        if caller.by_token || !accounts.is_administrator(id).await? {
            return Err(ServiceError::Forbidden);
        }
        let name = accounts.find(id).await?.ok_or(ServiceError::Forbidden)?.username.to_string();
        Ok(Self { actor: Actor { name, address: Some(address), is_operator: false }, ..self.clone() })
    }

    /// Returns entries of the audit log, the newest first.
    ///
    /// # Errors
    ///
    /// Those of every method.
    pub async fn audited(&self, search: &AuditSearch) -> Result<Vec<AuditEntry>, ServiceError> {
        Ok(self.stores.audit.entries(search).await?)
    }

    /// Records what was done.
    ///
    /// # Errors
    ///
    /// Those of every method.
    pub async fn audit(
        &self,
        action: Action,
        subject: Option<String>,
        details: Option<String>,
    ) -> Result<(), ServiceError> {
        let address = self.actor.address.map(|address| household(address).to_string());
        let entry = AuditEntry { subject, address, details, ..AuditEntry::new(self.now(), &*self.actor.name, action) };
        Ok(self.stores.audit.record(&entry).await?)
    }

    fn now(&self) -> OffsetDateTime {
        self.accounts.clock().now()
    }
}
