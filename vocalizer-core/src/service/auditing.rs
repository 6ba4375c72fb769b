//! What services write into the audit log.

use std::net::IpAddr;

use time::OffsetDateTime;

use crate::account::{Account, household};
use crate::causes::chain;
use crate::ports::{Action, AuditEntry, AuditLog};

/// An event for the audit log.
pub(super) struct Event<'a> {
    pub(super) actor: &'a str,
    pub(super) action: Action,
    pub(super) subject: Option<String>,
    pub(super) address: Option<IpAddr>,
    pub(super) details: Option<String>,
}

impl<'a> Event<'a> {
    pub(super) fn by(actor: &'a str, action: Action) -> Self {
        Self { actor, action, subject: None, address: None, details: None }
    }

    pub(super) fn of(account: &'a Account, action: Action) -> Self {
        Self::by(account.username.as_str(), action)
    }
}

impl Event<'_> {
    /// Writes the event. What it reports has been done, so a failure is only logged.
    pub(super) async fn write(self, log: &dyn AuditLog, at: OffsetDateTime) {
        let Self { actor, action, subject, address, details } = self;
        let entry = AuditEntry {
            subject,
            address: address.map(|address| household(address).to_string()),
            details,
            ..AuditEntry::new(at, actor, action)
        };
        if let Err(error) = log.record(&entry).await {
            tracing::error!(error = chain(&error), actor, action = action.name(), "writing the audit log failed");
        }
    }
}
