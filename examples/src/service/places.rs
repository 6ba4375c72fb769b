//! Where things are kept and who carries jobs, as one line says it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use vocalizer_core::secret::Secret;

/// Where songs and users are.
#[derive(Debug, Clone)]
pub enum Database {
    /// In a file, for one server.
    Sqlite(PathBuf),
    /// In PostgreSQL, for any number of servers.
    Postgres(Secret<String>),
}

/// Where songs' bytes and stems are.
#[derive(Debug, Clone)]
pub enum Blobs {
    /// In a folder, for one server.
    Files(PathBuf),
    /// In a bucket, for any number of servers: `s3://bucket/prefix`. The rest is in the usual variables of AWS.
    S3(String),
}

/// The broker between servers and workers.
#[derive(Debug, Clone)]
pub struct Broker {
    /// `host:port`, or a URL.
    pub address: Secret<String>,
    /// What kind of queue there is.
    pub queue: QueueKind,
    /// The largest body that the broker takes.
    pub max_message_bytes: u64,
    /// After how long it takes a job from a worker that has not acknowledged it.
    pub consumer_timeout: Duration,
}

/// What kind of queue the broker has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum QueueKind {
    /// Replicated, and counts how often a job was handed out
    Quorum,
    /// As the original declares it: not replicated
    Classic,
    /// Whatever is there, declared by somebody else
    Existing,
}

impl Database {
    /// `sqlite:PATH` or `postgres://…`; `None` for anything else.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Some(Self::Postgres(Secret::new(text.to_owned())));
        }
        path_of(text, "sqlite").map(Self::Sqlite)
    }
}

impl Blobs {
    /// `file:PATH` or `s3://bucket/prefix`; `None` for anything else.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.starts_with("s3://") {
            return Some(Self::S3(text.to_owned()));
        }
        path_of(text, "file").map(Self::Files)
    }

    /// Its folder, where it has one.
    pub(super) fn folder(&self) -> Option<&Path> {
        match self {
            Self::Files(path) => Some(path),
            Self::S3(_) => None,
        }
    }
}

/// The path in `scheme:path`, `scheme:/path` or `scheme:///path`.
pub(super) fn path_of(url: &str, scheme: &str) -> Option<PathBuf> {
    let rest = url.strip_prefix(scheme)?.strip_prefix(':')?;
    let path = rest.strip_prefix("//").unwrap_or(rest);
    (!path.is_empty()).then(|| PathBuf::from(path))
}

/// A URL without what must not be shown: the password of `scheme://user:password@host`, and what follows a `?`.
fn shown(url: &str) -> String {
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
            Self::Postgres(url) => f.write_str(&shown(url.expose())),
        }
    }
}

impl fmt::Display for Blobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files(path) => write!(f, "file:{}", path.display()),
            Self::S3(url) => f.write_str(&shown(url)),
        }
    }
}

impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(self.address.expose()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        for (url, expected) in [
            ("postgres://ada:se:cr@et@db/vocalizer?password=x", "postgres://ada:(hidden)@db/vocalizer"),
            ("postgres://ada:pa?ss@db/x", "postgres://ada:(hidden)@db/x"),
            ("amqp://ada@host:5672/%2f", "amqp://ada:(hidden)@host:5672/%2f"),
            ("host:5672", "host:5672"),
            ("s3://bucket/prefix", "s3://bucket/prefix"),
        ] {
            assert_eq!(shown(url), expected);
        }
    }

    #[test]
    fn places_are_told_by_their_scheme() {
        assert!(
            matches!(Database::parse("sqlite:///srv/a.db"), Some(Database::Sqlite(path)) if path == Path::new("/srv/a.db"))
        );
        assert!(matches!(Database::parse("postgresql://db/x"), Some(Database::Postgres(_))));
        assert!(matches!(Blobs::parse("file:blobs"), Some(Blobs::Files(path)) if path == Path::new("blobs")));
        assert!(matches!(Blobs::parse("s3://b/p"), Some(Blobs::S3(_))));
        assert!(Database::parse("mysql://db/x").is_none() && Blobs::parse("file:").is_none());
    }
}
