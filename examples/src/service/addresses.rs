//! Addresses of the database, the blob store and the broker.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use vocalizer_core::secret::Secret;

/// The database of songs and users.
#[derive(Debug, Clone)]
pub enum Database {
    /// A SQLite file, for one server.
    Sqlite(PathBuf),
    /// PostgreSQL, for any number of servers.
    Postgres(Secret<String>),
}

/// The storage of song files and stems.
#[derive(Debug, Clone)]
pub enum Blobs {
    /// A folder, for one server.
    Files(PathBuf),
    /// An S3 bucket, for any number of servers: `s3://bucket/prefix`. The standard AWS variables configure the rest.
    S3(String),
}

/// The broker between servers and workers.
#[derive(Debug, Clone)]
pub struct Broker {
    /// `host:port`, or a URL.
    pub address: Secret<String>,
    /// The type of the queue.
    pub queue: QueueKind,
    /// The broker's limit for message bodies.
    pub max_message_bytes: u64,
    /// The broker's consumer timeout: an unacknowledged job is taken from a worker after this time.
    pub consumer_timeout: Duration,
}

/// The type of the broker's queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum QueueKind {
    /// Replicated, with a delivery count
    Quorum,
    /// Not replicated, as declared by the original system
    Classic,
    /// An existing queue, which is not declared
    Existing,
}

impl Database {
    /// Parses `sqlite:PATH` or `postgres://…`; returns `None` for anything else.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Some(Self::Postgres(Secret::new(text.to_owned())));
        }
        path_of(text, "sqlite").map(Self::Sqlite)
    }
}

impl Blobs {
    /// Parses `file:PATH` or `s3://bucket/prefix`; returns `None` for anything else.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.starts_with("s3://") {
            return Some(Self::S3(text.to_owned()));
        }
        path_of(text, "file").map(Self::Files)
    }

    /// Returns the folder, if there is one.
    pub(super) fn folder(&self) -> Option<&Path> {
        match self {
            Self::Files(path) => Some(path),
            Self::S3(_) => None,
        }
    }
}

/// Extracts the path from `scheme:path`, `scheme:/path` or `scheme:///path`.
pub(super) fn path_of(url: &str, scheme: &str) -> Option<PathBuf> {
    let rest = url.strip_prefix(scheme)?.strip_prefix(':')?;
    let path = rest.strip_prefix("//").unwrap_or(rest);
    (!path.is_empty()).then(|| PathBuf::from(path))
}

/// Hides the password in `scheme://user:password@host` and removes the query.
fn redacted(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let begin = if scheme.is_empty() { String::new() } else { format!("{scheme}://") };
    match rest.rsplit_once('@') {
        Some((who, at)) => {
            let user = who.split(':').next().unwrap_or_default();
            format!("{begin}{user}:(hidden)@{}", before_query(at))
        }
        None => format!("{begin}{}", before_query(rest)),
    }
}

fn before_query(text: &str) -> &str {
    text.split('?').next().unwrap_or(text)
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => f.write_str(&redacted(url.expose())),
        }
    }
}

impl fmt::Display for Blobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files(path) => write!(f, "file:{}", path.display()),
            Self::S3(url) => f.write_str(&redacted(url)),
        }
    }
}

impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redacted(self.address.expose()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_hidden() {
        for (url, expected) in [
            ("postgres://ada:se:cr@et@db/vocalizer?password=x", "postgres://ada:(hidden)@db/vocalizer"),
            ("postgres://ada:pa?ss@db/x", "postgres://ada:(hidden)@db/x"),
            ("amqp://ada@host:5672/%2f", "amqp://ada:(hidden)@host:5672/%2f"),
            ("host:5672", "host:5672"),
            ("s3://bucket/prefix", "s3://bucket/prefix"),
        ] {
            assert_eq!(redacted(url), expected);
        }
    }

    #[test]
    fn scheme_selects_the_storage() {
        assert!(
            matches!(Database::parse("sqlite:///srv/a.db"), Some(Database::Sqlite(path)) if path == Path::new("/srv/a.db"))
        );
        assert!(matches!(Database::parse("postgresql://db/x"), Some(Database::Postgres(_))));
        assert!(matches!(Blobs::parse("file:blobs"), Some(Blobs::Files(path)) if path == Path::new("blobs")));
        assert!(matches!(Blobs::parse("s3://b/p"), Some(Blobs::S3(_))));
        assert!(Database::parse("mysql://db/x").is_none() && Blobs::parse("file:").is_none());
    }
}
