//! What operators see and change, in memory.

use std::cmp::Reverse;
use std::sync::Arc;

use async_trait::async_trait;
use time::OffsetDateTime;

use super::accounts::{Marks, is_open};
use super::{MemoryAccounts, MemorySongs};
use crate::account::{Account, PasswordHash, UserId, Username};
use crate::ports::{Administration, Cursor, RepositoryError, SongRecord, SongSearch, UserRecord, UserSearch};
use crate::quota::QuotaChange;
use crate::song::{Song, SongHash};

/// An [`Administration`] over users and songs in memory.
#[derive(Debug, Clone)]
pub struct MemoryAdministration {
    accounts: Arc<MemoryAccounts>,
    songs: Arc<MemorySongs>,
}

impl MemoryAdministration {
    /// Returns the administration of these users and songs.
    #[must_use]
    pub fn new(accounts: Arc<MemoryAccounts>, songs: Arc<MemorySongs>) -> Self {
        Self { accounts, songs }
    }

    fn record(&self, account: &Account) -> UserRecord {
        let (songs, bytes, quota) = {
            let state = self.songs.state();
            let own = state.songs.iter().filter(|song| song.uploader() == Some(account.id));
            let sizes = own.filter_map(|song| state.extras.get(&song.id())).map(|extra| extra.size_bytes);
            let (songs, bytes) = sizes.fold((0, 0), |(songs, bytes), size| (songs + 1, bytes + size));
            (songs, bytes, state.quotas.get(&account.id).copied().unwrap_or_default())
        };
        let (state, now) = (self.accounts.state(), OffsetDateTime::now_utc());
        let open = state.sessions.iter().filter(|session| session.user == account.id && is_open(session, now));
        let (tokens, sessions): (Vec<_>, Vec<_>) = open.partition(|session| session.token.is_some());
        let is_linked = state.identities.iter().any(|(_, user)| *user == account.id);
        let Marks { disabled_at, administrator_since } = state.marks(account.id);
        UserRecord {
            id: account.id,
            username: account.username.clone(),
            registered_at: account.registered_at,
            disabled_at,
            is_administrator: administrator_since.is_some(),
            quota,
            songs,
            bytes,
            sessions: sessions.len() as u64,
            tokens: tokens.len() as u64,
            is_linked,
        }
    }

    fn accounts(&self) -> Vec<Account> {
        self.accounts.state().accounts.clone()
    }

    /// Changes a user, if there is one.
    fn mark(&self, id: UserId, change: impl FnOnce(&mut Marks)) -> bool {
        let mut state = self.accounts.state();
        let exists = state.accounts.iter().any(|account| account.id == id);
        if exists {
            change(state.marks.entry(id).or_default());
        }
        exists
    }
}

#[async_trait]
impl Administration for MemoryAdministration {
    async fn users(&self, search: &UserSearch) -> Result<Vec<UserRecord>, RepositoryError> {
        let (part, after) = (
            search.containing.as_deref().map(Username::key_of_part).unwrap_or_default(),
            search.after.as_ref().map(Username::key).unwrap_or_default(),
        );
        let mut accounts = self.accounts();
        accounts.sort_by_key(|account| account.username.key());
        let found = accounts.iter().filter(|account| {
            let key = account.username.key();
            key > after && key.contains(&part)
        });
        Ok(found.take(search.limit as usize).map(|account| self.record(account)).collect())
    }

    async fn user(&self, id: UserId) -> Result<Option<UserRecord>, RepositoryError> {
        Ok(self.accounts().iter().find(|account| account.id == id).map(|account| self.record(account)))
    }

    async fn disable(&self, id: UserId, now: OffsetDateTime) -> Result<bool, RepositoryError> {
        let exists = self.mark(id, |marks| marks.disabled_at = marks.disabled_at.or(Some(now)));
        self.accounts.state().sessions.retain(|session| session.user != id);
        self.songs.state().webhooks.waiting_users.insert(id);
        Ok(exists)
    }

    async fn enable(&self, id: UserId) -> Result<bool, RepositoryError> {
        self.songs.state().webhooks.waiting_users.remove(&id);
        Ok(self.mark(id, |marks| marks.disabled_at = None))
    }

    async fn set_administrator(&self, id: UserId, since: Option<OffsetDateTime>) -> Result<bool, RepositoryError> {
        Ok(self.mark(id, |marks| marks.administrator_since = since.and(marks.administrator_since.or(since))))
    }

    async fn set_password(&self, id: UserId, password: &PasswordHash) -> Result<bool, RepositoryError> {
        let mut state = self.accounts.state();
        let account = state.accounts.iter_mut().find(|account| account.id == id);
        Ok(account.map(|account| account.password_hash = password.clone()).is_some())
    }

    async fn set_quota(&self, id: UserId, quota: &QuotaChange) -> Result<bool, RepositoryError> {
        let exists = self.mark(id, |_| ());
        if exists {
            self.songs.state().quotas.insert(id, *quota);
        }
        Ok(exists)
    }

    async fn songs(&self, search: &SongSearch) -> Result<Vec<SongRecord>, RepositoryError> {
        let accounts = self.accounts();
        let name = |id: UserId| accounts.iter().find(|account| account.id == id).map(|one| one.username.clone());
        let place = |song: &Song| {
            let Cursor { uploaded_at_us, id } = Cursor::of(song);
            (Reverse(uploaded_at_us), id)
        };
        let state = self.songs.state();
        let wanted = |song: &&Song| {
            search.user.is_none_or(|user| song.uploader() == Some(user))
                && search.status.is_none_or(|status| song.status().kind() == status)
                && search.after.is_none_or(|Cursor { uploaded_at_us, id }| place(song) > (Reverse(uploaded_at_us), id))
        };
        let mut songs: Vec<_> = state.songs.iter().filter(wanted).collect();
        songs.sort_by_key(|song| place(song));
        let record = |song: &Song| SongRecord {
            song: song.clone(),
            uploader: song.uploader().and_then(name),
            size_bytes: state.extras.get(&song.id()).map(|extra| extra.size_bytes),
            is_pending: state.outbox.iter().any(|entry| entry.hash == song.target().key),
        };
        Ok(songs.into_iter().take(search.limit as usize).map(record).collect())
    }

    async fn request_erasure(&self, hash: &SongHash, _: OffsetDateTime) -> Result<(), RepositoryError> {
        let mut state = self.songs.state();
        if !state.erasures.contains(hash) {
            state.erasures.push(*hash);
        }
        Ok(())
    }

    async fn hold(&self, held: bool, _: OffsetDateTime) -> Result<(), RepositoryError> {
        self.songs.state().is_holding = held;
        Ok(())
    }
}
