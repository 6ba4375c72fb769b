//! Known devices: devices that a user has logged in from.
//!
//! Wrong guesses throttle every login to an account, so attackers could lock its owner out. A known device presents a
//! secret that only a login issues, and its attempts are counted separately. The server stores nothing: the secret is a
//! random number and an HMAC over it, keyed with the user's password hash. So every server with the same database
//! recognises it, and a password change invalidates it.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::ServiceError;
use crate::account::Account;
use crate::secret::Secret;

/// Hexadecimal digits of the number and of the HMAC.
const DIGITS: usize = 64;

/// Returns a secret for the device of a new login, given a random number of [`DIGITS`] digits.
pub(super) fn issue(number: &str, account: &Account) -> Result<Secret<String>, ServiceError> {
    let code = code(number, account)?.finalize().into_bytes();
    let code: String = code.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Secret::new(format!("{number}{code}")))
}

/// Returns the number of a known device; `None` for an invalid secret.
pub(super) fn recognise<'a>(device: &'a Secret<String>, account: &Account) -> Option<&'a str> {
    let (number, shown) = device.expose().split_at_checked(DIGITS)?;
    if shown.len() != DIGITS || !shown.is_ascii() {
        return None;
    }
    let shown: Option<Vec<u8>> = (0..DIGITS / 2)
        .map(|at| shown.get(2 * at..2 * at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()))
        .collect();
    code(number, account).ok()?.verify_slice(&shown?).ok().map(|()| number)
}

fn code(number: &str, account: &Account) -> Result<Hmac<Sha256>, ServiceError> {
    let key = account.password_hash.expose().as_bytes();
    let mut code = Hmac::<Sha256>::new_from_slice(key).map_err(|error| ServiceError::Internal(error.into()))?;
    code.update(b"vocalizer device ");
    code.update(account.id.to_string().as_bytes());
    code.update(number.as_bytes());
    Ok(code)
}
