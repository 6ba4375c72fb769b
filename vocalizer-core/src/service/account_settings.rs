//! The settings of the account service.

use std::time::Duration;

use crate::account::Registration;
use crate::ports::{KEEP_AUDIT, ThrottleSettings};

/// Settings of the service.
#[derive(Debug, Clone, Copy)]
pub struct AccountSettings {
    /// How long a session lasts. Default: 30 days.
    pub session: Duration,
    /// Shortest password, in characters. Default: 8.
    pub min_password_chars: usize,
    /// Longest password, in characters. Default: 128. Longer passwords are rejected, never truncated.
    pub max_password_chars: usize,
    /// The throttle of guesses at one account's password from one address, or from one known device.
    pub per_account: ThrottleSettings,
    /// The throttle of guesses at one account's password from all addresses together.
    pub per_account_everywhere: ThrottleSettings,
    /// The throttle of guesses and registrations from one address.
    pub per_address: ThrottleSettings,
    /// Who may register. Default: everyone.
    pub registration: Registration,
    /// Whether users sign in and register with a password. Default: true.
    pub password_sign_in: bool,
    /// How long the audit log is kept. Default: 365 days.
    pub keep_audit: Duration,
}

impl Default for AccountSettings {
    fn default() -> Self {
        Self {
            session: Duration::from_secs(30 * 24 * 60 * 60),
            min_password_chars: 8,
            max_password_chars: 128,
            per_account: ThrottleSettings::per_account(),
            per_account_everywhere: ThrottleSettings::per_account_everywhere(),
            per_address: ThrottleSettings::per_address(),
            registration: Registration::default(),
            password_sign_in: true,
            keep_audit: KEEP_AUDIT,
        }
    }
}
