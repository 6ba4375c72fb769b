//! What the account service writes into the audit log.

use std::net::IpAddr;

use super::accounts::AccountService;
use crate::account::{Account, UserId, household};
use crate::causes::chain;
use crate::ports::{Action, AuditEntry};

/// An event for the audit log.
pub(super) struct Event<'a> {
    pub(super) actor: &'a str,
    pub(super) action: Action,
    pub(super) subject: Option<String>,
    pub(super) address: Option<IpAddr>,
    pub(super) details: Option<&'static str>,
}

impl<'a> Event<'a> {
    pub(super) fn by(actor: &'a str, action: Action) -> Self {
        Self { actor, action, subject: None, address: None, details: None }
    }

    pub(super) fn of(account: &'a Account, action: Action) -> Self {
        Self::by(account.username.as_str(), action)
    }
}

impl AccountService {
    /// Records an event of a user.
    pub(super) async fn audit_user(&self, user: UserId, action: Action, subject: Option<String>) {
        match self.ports().accounts.find(user).await {
            Ok(Some(account)) => self.audit(Event { subject, ..Event::of(&account, action) }).await,
            Ok(None) => {}
            Err(error) => {
                tracing::error!(error = chain(&error), action = action.name(), "writing the audit log failed")
            }
        }
    }

    /// Records an event. What it reports has been done, so a failure is only logged.
    pub(super) async fn audit(&self, event: Event<'_>) {
        let Event { actor, action, subject, address, details } = event;
        let ports = self.ports();
        let entry = AuditEntry {
            subject,
            address: address.map(|address| household(address).to_string()),
            details: details.map(str::to_owned),
            ..AuditEntry::new(ports.clock.now(), actor, action)
        };
        if let Err(error) = ports.audit.record(&entry).await {
            tracing::error!(error = chain(&error), actor, action = action.name(), "writing the audit log failed");
        }
    }
}
