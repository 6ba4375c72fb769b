//! Devices that a user has logged in from.
//!
//! Wrong guesses by others slow down everybody who tries to log in to an account, so they could keep its owner out. A
//! device that has logged in before shows a secret that only a login gives out, and its attempts are counted by
//! themselves. The server keeps nothing of it: the secret is a number and a code over it, made with the hash of the
//! user's password. So every server that shares the database knows it, and a new password ends it.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::ServiceError;
use super::accounts::random;
use crate::account::Account;
use crate::secret::Secret;

/// Hexadecimal digits of the number, and of the code.
const DIGITS: usize = 64;

/// A secret for a device that a user has just logged in from.
pub(super) fn issue(account: &Account) -> Result<Secret<String>, ServiceError> {
    let number = random()?;
    let code = code(&number, account)?.finalize().into_bytes();
    let code: String = code.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Secret::new(format!("{number}{code}")))
}

/// The number of a device that this user has logged in from; `None` for what is no such secret.
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
