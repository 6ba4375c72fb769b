//! What operators do, across all users.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use time::OffsetDateTime;

use super::keys::keys_of;
use super::storage::Storage;
use super::trash::stored;
use super::{AccountService, ServiceError, SongSettings};
use crate::account::{UserId, Username};
use crate::causes::chain;
use crate::dedupe::{BlobFate, on_delete};
use crate::part::Format;
use crate::ports::{
    Action, Administration, AudioProbe, AuditEntry, AuditLog, AuditSearch, BlobError, BlobKey, BlobStore, Coordination,
    SongCounts, SongRecord, SongRepository, SongSearch, Space, UserRecord,
};
use crate::quota::QuotaChange;
use crate::secret::Secret;
use crate::song::{Song, SongHash, SongHasher, SongId, StatusKind, StemsInfo};

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

/// What operators do with users, songs, jobs and files, without further permission. Each change is in the audit log.
#[derive(Clone)]
pub struct AdminService {
    accounts: AccountService,
    stores: AdminStores,
    operator: String,
}

/// What became of a deleted song's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Files {
    /// Deleted.
    Deleted,
    /// Kept for other songs with the same hash.
    Shared,
    /// The running server deletes them at its next sweep.
    Left,
}

/// Files of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stored {
    /// The number of files.
    pub files: u64,
    /// Their size.
    pub bytes: u64,
}

/// What is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StorageReport {
    /// The number of songs in each status, in the order of [`StatusKind::ALL`].
    pub songs: SongCounts,
    /// The number of different uploaded files that have songs.
    pub hashes: u64,
    /// Uploaded files.
    pub sources: Stored,
    /// Stems as MP3.
    pub mp3: Stored,
    /// Stems as FLAC.
    pub flac: Stored,
    /// Cached renditions and peaks.
    pub made: Stored,
    /// The number of hashes that have files and no song.
    pub orphans: u64,
    /// The space of the disk, if it is known.
    pub space: Option<Space>,
}

/// A file that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub key: BlobKey,
    /// What is wrong with it.
    pub what: String,
}

/// The result of [`AdminService::collect`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collected {
    /// The hashes whose files were or would be removed.
    pub removed: Vec<SongHash>,
    /// Whether the running server removes them at its next sweep.
    pub is_left: bool,
    /// The number of hashes without a song whose files are too new to be removed.
    pub young: u64,
    /// The number of hashes without a song, if they are most of those stored: nothing is removed then, because the database may
    /// be the wrong one.
    pub suspicious: Option<u64>,
}

impl AdminService {
    /// Returns a service for an operator, whose name appears in the audit log.
    #[must_use]
    pub fn new(accounts: AccountService, stores: AdminStores, operator: &str) -> Self {
        Self { accounts, stores, operator: format!("operator:{operator}") }
    }

    /// Returns users by name, those after `after`, at most `limit`.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`] or [`ServiceError::Internal`], as for every method.
    pub async fn users(&self, after: Option<&Username>, limit: u32) -> Result<Vec<UserRecord>, ServiceError> {
        Ok(self.stores.administration.users(after, limit).await?)
    }

    /// Finds a user by name or ID.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`], and those of every method.
    pub async fn user(&self, name: &str) -> Result<UserRecord, ServiceError> {
        let mut id: Option<UserId> = None;
        for name in Username::meant(name) {
            if id.is_none() {
                id = self.accounts.ports().accounts.find_by_username(&name).await?.map(|account| account.id);
            }
        }
        let found = match id.or_else(|| name.trim().parse().ok()) {
            Some(id) => self.stores.administration.user(id).await?,
            None => None,
        };
        found.ok_or(NO_USER)
    }

    /// Disables a user: sessions and tokens end at once, and logins are refused. Songs and share links stay.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`], and those of every method.
    pub async fn disable(&self, name: &str) -> Result<UserRecord, ServiceError> {
        let user = self.user(name).await?;
        existed(self.stores.administration.disable(user.id, self.now()).await?)?;
        self.audit(Action::UserDisabled, Some(user.username.to_string()), None).await?;
        self.user(&user.id.to_string()).await
    }

    /// Enables a user.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`], and those of every method.
    pub async fn enable(&self, name: &str) -> Result<UserRecord, ServiceError> {
        let user = self.user(name).await?;
        existed(self.stores.administration.enable(user.id).await?)?;
        self.audit(Action::UserEnabled, Some(user.username.to_string()), None).await?;
        self.user(&user.id.to_string()).await
    }

    /// Sets a user's password and, unless told to keep them, ends all sessions and revokes all tokens.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`], [`ServiceError::Invalid`], and those of every method.
    pub async fn reset_password(
        &self,
        name: &str,
        password: &Secret<String>,
        keep_sessions: bool,
    ) -> Result<UserRecord, ServiceError> {
        let user = self.user(name).await?;
        let invalid = self.accounts.check_password([password; 2]);
        if !invalid.is_empty() {
            return Err(ServiceError::Invalid(invalid));
        }
        let ports = self.accounts.ports();
        let hash = ports.passwords.hash(password).await?;
        match keep_sessions {
            true => existed(self.stores.administration.set_password(user.id, &hash).await?)?,
            false => ports.accounts.change_password(user.id, &hash, None).await?,
        }
        let details = if keep_sessions { "sessions and tokens kept" } else { "sessions and tokens ended" };
        self.audit(Action::PasswordReset, Some(user.username.to_string()), Some(details.to_owned())).await?;
        self.user(&user.id.to_string()).await
    }

    /// Changes how a user's quota differs from that of all users. `None` removes the differences.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`], and those of every method.
    pub async fn change_quota(&self, name: &str, change: Option<QuotaChange>) -> Result<UserRecord, ServiceError> {
        let user = self.user(name).await?;
        let quota = change.map_or(QuotaChange::default(), |change| user.quota.with(change));
        existed(self.stores.administration.set_quota(user.id, &quota).await?)?;
        self.audit(Action::QuotaChanged, Some(user.username.to_string()), None).await?;
        self.user(&user.id.to_string()).await
    }

    /// Returns songs of all users, newest first.
    ///
    /// # Errors
    ///
    /// Those of every method.
    pub async fn songs(&self, search: &SongSearch) -> Result<Vec<SongRecord>, ServiceError> {
        Ok(self.stores.administration.songs(search).await?)
    }

    /// Deletes a song for good, also from the trash, and its files if no other song has its hash.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`], and those of every method.
    pub async fn delete_song(&self, id: SongId) -> Result<Files, ServiceError> {
        let AdminStores { songs, coordination, administration, has_locks, .. } = &self.stores;
        let song = stored(songs.as_ref(), id).await?.ok_or(ServiceError::NO_SONG)?;
        let hash = *song.hash();
        // Without the servers' locks, the lock of this process does no harm.
        let _lock = coordination.lock(&hash).await?;
        let keys = keys_of(songs.as_ref(), &song).await?;
        let removed = songs.remove(id).await?.ok_or(ServiceError::NO_SONG)?;
        let owner = removed.song.uploader().map_or("no user".to_owned(), |owner| format!("user {owner}"));
        self.audit(Action::SongDeleted, Some(id.to_string()), Some(format!("{hash} of {owner}"))).await?;
        match on_delete(removed.others_with_hash) {
            BlobFate::Keep => Ok(Files::Shared),
            BlobFate::Delete if *has_locks => {
                for key in &keys {
                    coordination.record_deletion(key, self.now()).await?;
                    if coordination.renew(&hash).await? {
                        self.blobs()?.delete_all(key).await?;
                    }
                }
                Ok(Files::Deleted)
            }
            BlobFate::Delete => {
                for key in &keys {
                    administration.request_erasure(key, self.now()).await?;
                }
                Ok(Files::Left)
            }
        }
    }

    /// Requests a song's job again: retries a failed song, or repeats the request for one that waits. A server publishes it
    /// within seconds.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`], [`ServiceError::Conflict`] for a song in another state, and those of every method.
    pub async fn requeue(&self, id: SongId) -> Result<Song, ServiceError> {
        let songs = &self.stores.songs;
        let song = songs.find(id).await?.ok_or(ServiceError::NO_SONG)?;
        let conflict = |message| Err(ServiceError::Conflict { message, field: None });
        let song = match song.status().kind() {
            StatusKind::Failed => songs.retry(id).await?.ok_or(ServiceError::NO_SONG)?,
            StatusKind::Uploaded => {
                songs.request(&song.target().key).await?;
                song
            }
            StatusKind::Splitting => {
                return conflict("the song is being split; if its worker is gone, a sweep returns it to the queue");
            }
            StatusKind::Split => return conflict("the song is split already"),
            StatusKind::Uploading => return conflict("the song is still being uploaded"),
        };
        self.audit(Action::SongRequeued, Some(id.to_string()), None).await?;
        Ok(song)
    }

    /// Returns the songs that wait or are being split, at most `limit` of each.
    ///
    /// # Errors
    ///
    /// Those of every method.
    pub async fn jobs(&self, limit: u32) -> Result<Vec<SongRecord>, ServiceError> {
        let mut jobs = Vec::new();
        for status in [StatusKind::Splitting, StatusKind::Uploaded] {
            let search = SongSearch { status: Some(status), limit, ..SongSearch::default() };
            let mut found = self.stores.administration.songs(&search).await?;
            // The oldest first, as a queue.
            found.reverse();
            jobs.append(&mut found);
        }
        Ok(jobs)
    }

    /// Holds new jobs back in the outbox, or releases them. Jobs on the queue continue.
    ///
    /// # Errors
    ///
    /// Those of every method.
    pub async fn hold_jobs(&self, held: bool) -> Result<(), ServiceError> {
        self.stores.administration.hold(held, self.now()).await?;
        self.audit(if held { Action::JobsHeld } else { Action::JobsReleased }, None, None).await
    }

    /// Returns whether jobs are held back.
    ///
    /// # Errors
    ///
    /// Those of every method.
    pub async fn is_holding(&self) -> Result<bool, ServiceError> {
        Ok(self.stores.songs.is_holding().await?)
    }

    /// Returns how many hashes are being split or have a job on the queue.
    ///
    /// # Errors
    ///
    /// Those of every method.
    pub async fn unfinished(&self) -> Result<u64, ServiceError> {
        let songs = &self.stores.songs;
        let pending: BTreeSet<_> = songs.pending(u32::MAX).await?.into_iter().map(|entry| entry.hash).collect();
        let mut unfinished: BTreeSet<_> = songs.hashes_in(StatusKind::Uploaded).await?.into_iter().collect();
        unfinished.retain(|hash| !pending.contains(hash));
        unfinished.extend(songs.hashes_in(StatusKind::Splitting).await?);
        Ok(unfinished.len() as u64)
    }

    /// Counts what is stored.
    ///
    /// # Errors
    ///
    /// Those of every method.
    pub async fn report(&self) -> Result<StorageReport, ServiceError> {
        let (songs, blobs) = (&self.stores.songs, self.blobs()?);
        let mut report = StorageReport { songs: songs.count().await?, ..StorageReport::default() };
        for hash in self.hashes().await? {
            report.hashes += 1;
            add(&mut report.sources, blobs.size_bytes(&BlobKey::Source(hash)).await?);
            for key in stems_of(&self.stores.songs.results(&hash).await?) {
                let kind = if matches!(key, BlobKey::Stem(..)) { &mut report.mp3 } else { &mut report.flac };
                add(kind, blobs.size_bytes(&key).await?);
            }
        }
        for made in blobs.made().await? {
            add(&mut report.made, Some(made.size_bytes));
        }
        report.orphans = self.storage()?.orphans().await?.hashes.len() as u64;
        report.space = blobs.space().await?;
        Ok(report)
    }

    /// Reads every uploaded file and every stem that songs need, and reports those that are missing or damaged: a source by its
    /// hash, a stem by decoding it as `probe` does. Copies of stems are in `scratch` meanwhile. Returns how many files were read.
    ///
    /// # Errors
    ///
    /// Those of every method.
    pub async fn verify(
        &self,
        probe: &dyn AudioProbe,
        scratch: &dyn BlobStore,
        report: &mut (dyn FnMut(Fault) + Send),
    ) -> Result<Stored, ServiceError> {
        let mut read = Stored::default();
        self.blobs()?.check().await?;
        for hash in self.hashes().await? {
            for key in self.expected(&hash).await? {
                let fault = match check(self.blobs()?.as_ref(), &key, probe, scratch, &mut read).await {
                    Ok(fault) => fault,
                    Err(BlobError::Full) => return Err(ServiceError::Full),
                    Err(error) => Some(format!("is unreadable: {}", chain(&error))),
                };
                // Its song may have been deleted meanwhile, or be split again.
                if let Some(what) = fault
                    && self.expected(&hash).await?.contains(&key)
                {
                    report(Fault { key, what });
                }
            }
        }
        Ok(read)
    }

    /// Removes files that have no song, by the rules of the servers' sweep, or with `dry_run` finds out which.
    ///
    /// # Errors
    ///
    /// Those of every method.
    pub async fn collect(&self, dry_run: bool) -> Result<Collected, ServiceError> {
        let (storage, mut collected) = (self.storage()?, Collected::default());
        let orphans = storage.orphans().await?;
        if orphans.is_suspicious() {
            return Ok(Collected { suspicious: Some(orphans.hashes.len() as u64), ..collected });
        }
        collected.is_left = !self.stores.has_locks && !dry_run;
        for hash in orphans.hashes {
            if !storage.is_old(&hash, orphans.before).await? {
                collected.young += 1;
            } else if dry_run {
                collected.removed.push(hash);
            } else if collected.is_left {
                self.stores.administration.request_erasure(&hash, self.now()).await?;
                collected.removed.push(hash);
            } else if storage.remove(&hash, orphans.before).await? {
                collected.removed.push(hash);
            }
        }
        if !dry_run && !collected.removed.is_empty() {
            let details = format!("{} hashes without a song", collected.removed.len());
            self.audit(Action::StorageCollected, None, Some(details)).await?;
        }
        Ok(collected)
    }

    /// Returns entries of the audit log, the newest first.
    ///
    /// # Errors
    ///
    /// Those of every method.
    pub async fn audited(&self, search: &AuditSearch) -> Result<Vec<AuditEntry>, ServiceError> {
        Ok(self.stores.audit.entries(search).await?)
    }

    /// Records what the operator did.
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
        let entry = AuditEntry { subject, details, ..AuditEntry::new(self.now(), &*self.operator, action) };
        Ok(self.stores.audit.record(&entry).await?)
    }

    fn now(&self) -> OffsetDateTime {
        self.accounts.clock().now()
    }

    fn blobs(&self) -> Result<&Arc<dyn BlobStore>, ServiceError> {
        self.stores.blobs.as_ref().ok_or_else(|| ServiceError::Internal("the files are not open".into()))
    }

    fn storage(&self) -> Result<Storage, ServiceError> {
        let AdminStores { songs, coordination, .. } = &self.stores;
        Ok(Storage {
            songs: Arc::clone(songs),
            blobs: Arc::clone(self.blobs()?),
            coordination: Arc::clone(coordination),
            clock: Arc::clone(self.accounts.clock()),
            keep_orphans: SongSettings::default().keep_orphans,
        })
    }

    /// Returns the hashes that have songs.
    async fn hashes(&self) -> Result<BTreeSet<SongHash>, ServiceError> {
        let mut hashes = BTreeSet::new();
        for status in StatusKind::ALL {
            for key in self.stores.songs.hashes_in(status).await? {
                hashes.extend(self.stores.songs.with_key(&key).await?.first().map(|song| *song.hash()));
            }
        }
        Ok(hashes)
    }

    /// Returns the files that the songs with a hash need.
    async fn expected(&self, hash: &SongHash) -> Result<Vec<BlobKey>, ServiceError> {
        let songs = self.stores.songs.with_hash(hash).await?;
        let mut keys: Vec<_> = songs.first().map(|_| BlobKey::Source(*hash)).into_iter().collect();
        keys.extend(stems_of(&self.stores.songs.results(hash).await?));
        Ok(keys)
    }
}

/// Returns the keys of the stems of results.
fn stems_of(results: &[StemsInfo]) -> Vec<BlobKey> {
    let mut keys = Vec::new();
    for (result, key) in results.iter().filter_map(|result| Some((result, result.key?))) {
        if result.formats.has(Format::Mp3) {
            keys.extend(result.names().iter().map(|&stem| BlobKey::Stem(key, stem)));
        }
        if result.formats.is_lossless() {
            keys.extend(result.names().iter().map(|&stem| BlobKey::Lossless(key, stem)));
        }
    }
    keys
}

/// Reads a file and returns what is wrong with it, if anything.
async fn check(
    blobs: &dyn BlobStore,
    key: &BlobKey,
    probe: &dyn AudioProbe,
    scratch: &dyn BlobStore,
    read: &mut Stored,
) -> Result<Option<String>, BlobError> {
    let Some(mut blob) = blobs.open(key, None).await? else {
        return Ok(Some("is missing".to_owned()));
    };
    let (mut hasher, mut copy) = (SongHasher::new(), None);
    if !matches!(key, BlobKey::Source(_)) {
        // A decoder needs a local file. It is dropped without becoming visible.
        copy = Some(scratch.begin().await?);
    }
    while let Some(chunk) = blob.next_chunk().await? {
        read.bytes += chunk.len() as u64;
        hasher.update(&chunk);
        if let Some(copy) = &mut copy {
            copy.write(Bytes::clone(&chunk)).await?;
        }
    }
    read.files += 1;
    let Some(mut copy) = copy else {
        let is_right = hasher.finish() == *key.hash();
        return Ok((!is_right).then(|| "is damaged: its hash does not match".to_owned()));
    };
    let file = copy.reader().await?;
    let decoded = match key {
        BlobKey::Lossless(..) => probe.verify(file).await,
        _ => probe.probe(file).await,
    };
    Ok(decoded.err().map(|error| format!("is damaged: {}", chain(&error))))
}

const NO_USER: ServiceError = ServiceError::NotFound { what: "user" };

fn existed(existed: bool) -> Result<(), ServiceError> {
    if existed { Ok(()) } else { Err(NO_USER) }
}

fn add(stored: &mut Stored, size_bytes: Option<u64>) {
    if let Some(bytes) = size_bytes {
        stored.files += 1;
        stored.bytes = stored.bytes.saturating_add(bytes);
    }
}
