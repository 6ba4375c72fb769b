//! Password prompts and stored tokens.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use serde::{Deserialize, Serialize};
use url::Url;
use vocalizer_client::{Secret, TokenId};

use super::failure::Failure;

/// The stored login for a server.
#[derive(Debug, Deserialize)]
pub(super) struct Kept {
    pub(super) username: String,
    pub(super) id: TokenId,
    pub(super) token: Secret<String>,
}

#[derive(Serialize)]
struct Written<'a> {
    username: &'a str,
    id: TokenId,
    token: &'a str,
}

/// The token file of a server, readable only by its owner.
#[derive(Debug)]
pub(super) struct Store {
    /// `None` if there is no home directory: nothing is stored, and `--token` still works.
    path: Option<PathBuf>,
}

impl Store {
    pub(super) fn of(address: &str) -> Self {
        // An invalid address is rejected when the client is built.
        let url = Url::parse(address).ok();
        let host = url.as_ref().and_then(Url::host_str).unwrap_or("unknown");
        let port = url.as_ref().and_then(Url::port).map(|port| format!(":{port}")).unwrap_or_default();
        let below = url.as_ref().map_or("", Url::path).trim_end_matches('/');
        let name = format!("{host}{port}{below}").replace(['/', '\\', ':', '[', ']'], "_");
        let base = etcetera::choose_base_strategy().ok();
        Self { path: base.map(|base| base.config_dir().join("vocalizer").join(format!("{name}.token"))) }
    }

    pub(super) fn load(&self) -> Result<Option<Kept>, Failure> {
        let Some(path) = &self.path else { return Ok(None) };
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(failed(path, source)),
        };
        // Drop the parser's error, which could quote part of the token.
        let garbage = || {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "invalid token file; use `vocalizer remote login` to create it again",
            )
        };
        serde_json::from_slice(&text).map(Some).map_err(|_| failed(path, garbage()))
    }

    pub(super) fn save(&self, kept: &Kept) -> Result<(), Failure> {
        let path = self.path()?;
        let Kept { username, id, token } = kept;
        let text = serde_json::to_vec(&Written { username, id: *id, token: token.expose() });
        write(path, &text.map_err(|error| failed(path, error.into()))?).map_err(|source| failed(path, source))
    }

    pub(super) fn forget(&self) -> Result<(), Failure> {
        let path = self.path()?;
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(path, error)),
            _ => Ok(()),
        }
    }

    /// Returns the file's path, or an error if there is none.
    pub(super) fn path(&self) -> Result<&Path, Failure> {
        self.path.as_deref().ok_or(Failure::Check("no home directory to store a token in; use --token".to_owned()))
    }
}

/// Writes a new file and renames it, so that it is never readable by others or half written.
fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let unfinished = path.with_extension("token.part");
    let _ = fs::remove_file(&unfinished);
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&unfinished)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)
}

fn failed(path: &Path, source: io::Error) -> Failure {
    Failure::File { path: path.to_owned(), source }
}

/// Reads a password from the terminal, without echo, or from the first line of standard input.
pub(super) fn read_password(from_stdin: bool, twice: bool) -> Result<Secret<String>, Failure> {
    if from_stdin {
        let mut line = String::new();
        io::stdin().read_line(&mut line).map_err(Failure::Password)?;
        line.truncate(line.trim_end_matches(['\r', '\n']).len());
        return Ok(Secret::new(line));
    }
    let password = Secret::new(rpassword::prompt_password("Password: ").map_err(Failure::Password)?);
    if twice {
        let again = Secret::new(rpassword::prompt_password("Repeat password: ").map_err(Failure::Password)?);
        if !password.matches(again.expose().as_bytes()) {
            return Err(Failure::Usage("the passwords do not match".to_owned()));
        }
    }
    Ok(password)
}
