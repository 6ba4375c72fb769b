//! Users and sessions in memory.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use time::OffsetDateTime;

use crate::account::{
    Account, ApiToken, Identity, Invite, PasswordHash, Session, SessionDigest, TokenId, UserId, Username,
};
use crate::ports::{AccountRepository, RepositoryError};

/// An [`AccountRepository`] in memory.
#[derive(Debug, Default)]
pub struct MemoryAccounts(Mutex<State>);

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) accounts: Vec<Account>,
    pub(super) sessions: Vec<Session>,
    invites: Vec<Invite>,
    pub(super) marks: HashMap<UserId, Marks>,
    pub(super) identities: Vec<(Identity, UserId)>,
}

/// What operators have changed of a user.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Marks {
    pub(super) disabled_at: Option<OffsetDateTime>,
    pub(super) administrator_since: Option<OffsetDateTime>,
}

impl State {
    fn insert(&mut self, account: &Account) -> Result<(), RepositoryError> {
        let key = account.username.key();
        if self.accounts.iter().any(|other| other.id == account.id || other.username.key() == key) {
            return Err(RepositoryError::Conflict);
        }
        self.accounts.push(account.clone());
        Ok(())
    }

    pub(super) fn marks(&self, id: UserId) -> Marks {
        self.marks.get(&id).copied().unwrap_or_default()
    }

    fn linked(&self, identity: &Identity) -> Option<UserId> {
        self.identities.iter().find(|(linked, _)| linked == identity).map(|(_, user)| *user)
    }
}

impl MemoryAccounts {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn is_open(session: &Session, now: OffsetDateTime) -> bool {
    session.expires_at.is_none_or(|end| end > now)
}

#[async_trait]
impl AccountRepository for MemoryAccounts {
    async fn insert(&self, account: &Account) -> Result<(), RepositoryError> {
        self.state().insert(account)
    }

    async fn invite(&self, invite: &Invite) -> Result<(), RepositoryError> {
        let mut state = self.state();
        if state.invites.iter().any(|other| other.digest == invite.digest) {
            return Err(RepositoryError::Conflict);
        }
        state.invites.push(*invite);
        Ok(())
    }

    async fn is_invited(&self, digest: SessionDigest, now: OffsetDateTime) -> Result<bool, RepositoryError> {
        Ok(self.state().invites.iter().any(|invite| invite.digest == digest && invite.expires_at > now))
    }

    async fn insert_invited(
        &self,
        account: &Account,
        invite: SessionDigest,
        now: OffsetDateTime,
    ) -> Result<bool, RepositoryError> {
        let mut state = self.state();
        let is_valid = |one: &Invite| one.digest == invite && one.expires_at > now;
        let Some(index) = state.invites.iter().position(is_valid) else { return Ok(false) };
        state.insert(account)?;
        state.invites.remove(index);
        Ok(true)
    }

    async fn revoke_invites(&self) -> Result<u64, RepositoryError> {
        Ok(std::mem::take(&mut self.state().invites).len() as u64)
    }

    async fn find_by_username(&self, username: &Username) -> Result<Option<Account>, RepositoryError> {
        let key = username.key();
        Ok(self.state().accounts.iter().find(|account| account.username.key() == key).cloned())
    }

    async fn find(&self, id: UserId) -> Result<Option<Account>, RepositoryError> {
        Ok(self.state().accounts.iter().find(|account| account.id == id).cloned())
    }

    async fn is_disabled(&self, id: UserId) -> Result<bool, RepositoryError> {
        Ok(self.state().marks(id).disabled_at.is_some())
    }

    async fn is_administrator(&self, id: UserId) -> Result<bool, RepositoryError> {
        let marks = self.state().marks(id);
        Ok(marks.administrator_since.is_some() && marks.disabled_at.is_none())
    }

    async fn find_by_identity(&self, identity: &Identity) -> Result<Option<Account>, RepositoryError> {
        let state = self.state();
        let Some(user) = state.linked(identity) else { return Ok(None) };
        Ok(state.accounts.iter().find(|account| account.id == user).cloned())
    }

    async fn insert_identified(&self, account: &Account, identity: &Identity) -> Result<(), RepositoryError> {
        let mut state = self.state();
        if state.linked(identity).is_some() {
            return Err(RepositoryError::Conflict);
        }
        state.insert(account)?;
        state.identities.push((identity.clone(), account.id));
        Ok(())
    }

    async fn link_identity(&self, user: UserId, identity: &Identity) -> Result<(), RepositoryError> {
        let mut state = self.state();
        match state.linked(identity) {
            Some(linked) if linked == user => Ok(()),
            None if state.accounts.iter().any(|account| account.id == user) => {
                state.identities.push((identity.clone(), user));
                Ok(())
            }
            Some(_) | None => Err(RepositoryError::Conflict),
        }
    }

    async fn unlink_identities(&self, user: UserId) -> Result<u64, RepositoryError> {
        let mut state = self.state();
        let before = state.identities.len();
        state.identities.retain(|(_, linked)| *linked != user);
        Ok((before - state.identities.len()) as u64)
    }

    async fn identities(&self, user: UserId) -> Result<Vec<Identity>, RepositoryError> {
        let state = self.state();
        let mut identities: Vec<_> = state
            .identities
            .iter()
            .filter(|(_, linked)| *linked == user)
            .map(|(identity, _)| identity.clone())
            .collect();
        identities.sort_by(|a, b| (&a.issuer, &a.subject).cmp(&(&b.issuer, &b.subject)));
        Ok(identities)
    }

    async fn change_password(
        &self,
        id: UserId,
        password: &PasswordHash,
        keep: Option<SessionDigest>,
    ) -> Result<(), RepositoryError> {
        let mut state = self.state();
        let account = state.accounts.iter_mut().find(|account| account.id == id).ok_or(RepositoryError::Conflict)?;
        account.password_hash = password.clone();
        state.sessions.retain(|session| session.user != id || Some(session.digest) == keep);
        Ok(())
    }

    async fn open_session(&self, session: &Session) -> Result<(), RepositoryError> {
        let mut state = self.state();
        let known = state.accounts.iter().any(|account| account.id == session.user);
        if !known || state.sessions.iter().any(|other| other.digest == session.digest) {
            return Err(RepositoryError::Conflict);
        }
        state.sessions.push(session.clone());
        Ok(())
    }

    async fn session(&self, digest: SessionDigest, now: OffsetDateTime) -> Result<Option<Session>, RepositoryError> {
        let state = self.state();
        let found = state.sessions.iter().find(|session| session.digest == digest && is_open(session, now));
        Ok(found.filter(|session| state.marks(session.user).disabled_at.is_none()).cloned())
    }

    async fn close_session(&self, digest: SessionDigest) -> Result<(), RepositoryError> {
        self.state().sessions.retain(|session| session.digest != digest);
        Ok(())
    }

    async fn close_sessions(&self, user: UserId) -> Result<u64, RepositoryError> {
        let mut state = self.state();
        let before = state.sessions.len();
        state.sessions.retain(|session| session.user != user);
        Ok((before - state.sessions.len()) as u64)
    }

    async fn tokens(&self, user: UserId) -> Result<Vec<ApiToken>, RepositoryError> {
        let state = self.state();
        let of_user = state.sessions.iter().filter(|session| session.user == user);
        let mut tokens: Vec<_> = of_user
            .filter_map(|session| {
                let token = session.token.clone()?;
                let Session { created_at, expires_at, .. } = *session;
                Some(ApiToken { id: token.id, name: token.name, created_at, expires_at })
            })
            .collect();
        tokens.sort_by_key(|token| std::cmp::Reverse(token.created_at));
        Ok(tokens)
    }

    async fn revoke_token(&self, user: UserId, id: TokenId) -> Result<bool, RepositoryError> {
        let mut state = self.state();
        let before = state.sessions.len();
        let is_it = |session: &Session| session.token.as_ref().is_some_and(|token| token.id == id);
        state.sessions.retain(|session| session.user != user || !is_it(session));
        Ok(state.sessions.len() < before)
    }

    async fn forget_expired(&self, now: OffsetDateTime) -> Result<u64, RepositoryError> {
        let mut state = self.state();
        state.invites.retain(|invite| invite.expires_at > now);
        let before = state.sessions.len();
        state.sessions.retain(|session| is_open(session, now));
        Ok((before - state.sessions.len()) as u64)
    }
}
