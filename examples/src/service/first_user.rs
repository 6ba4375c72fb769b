//! The first administrator, whom a file names.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use vocalizer_core::secret::Secret;
use vocalizer_core::service::{AccountService, AdminService, ServiceError};

use super::error::{ConfigError, invalid};

/// A longer file is not one with a name and a password.
const MAX_BYTES: u64 = 4096;

/// A user that is registered at the start, as an administrator, unless the name is taken.
#[derive(Debug, Clone)]
pub struct FirstUser {
    /// The name.
    pub username: String,
    /// The password.
    pub password: Secret<String>,
}

impl FirstUser {
    /// Reads a file with the name in the first line and the password in the second.
    pub(super) fn read(path: &Path) -> Result<Self, ConfigError> {
        const NAME: &str = "--admin-user-file (ADMIN_USER_FILE)";
        let unreadable = |error| invalid(NAME, format!("cannot read {}: {error}", path.display()));
        let file = fs::File::open(path).map_err(unreadable)?;
        check_private(&file).map_err(|what| invalid(NAME, format!("{}: {what}", path.display())))?;
        let mut text = String::new();
        file.take(MAX_BYTES).read_to_string(&mut text).map_err(unreadable)?;
        let lines: Vec<_> = text.lines().collect();
        match *lines {
            [username, password] if !username.trim().is_empty() && !password.is_empty() => {
                Ok(Self { username: username.trim().to_owned(), password: Secret::new(password.to_owned()) })
            }
            _ => Err(invalid(NAME, format!("{}: expected two lines, a name and a password", path.display()))),
        }
    }
}

impl FirstUser {
    /// Registers the user as an administrator. A user with the name stays as it is: another person may have registered it.
    pub(super) async fn register(&self, accounts: &AccountService, admin: &AdminService) -> Result<(), ServiceError> {
        let is_new = accounts.ensure_user(&self.username, &self.password).await?;
        let user = admin.user(&self.username).await?;
        if is_new {
            admin.set_administrator(user.id, true).await?;
        } else if !user.is_administrator {
            tracing::warn!(
                username = self.username,
                "the user in ADMIN_USER_FILE exists and is no administrator; `vocalizer admin users admin` makes it one"
            );
        }
        Ok(())
    }
}

#[cfg(unix)]
fn check_private(file: &fs::File) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt as _;

    let mode = file.metadata().map_err(|error| error.to_string())?.permissions().mode() & 0o777;
    if mode & 0o007 == 0 {
        return Ok(());
    }
    Err(format!("every user of this machine may read or write it (mode {mode:o}); set mode 600 or 640"))
}

#[cfg(not(unix))]
fn check_private(_: &fs::File) -> Result<(), String> {
    Ok(())
}
