//! Lists, piece by piece.

use url::form_urlencoded;
use vocalizer_core::api::{SongStatus, SongView, SongsData};

use crate::Error;

/// Which songs to list: all of them, unless something is added.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use]
pub struct SongQuery {
    status: Option<SongStatus>,
    limit: Option<u32>,
    after: Option<String>,
}

impl SongQuery {
    /// All songs.
    pub const fn new() -> Self {
        Self { status: None, limit: None, after: None }
    }

    /// Only those that are this far.
    pub fn with_status(self, status: SongStatus) -> Self {
        Self { status: Some(status), ..self }
    }

    /// No more than so many at once.
    pub fn with_limit(self, limit: u32) -> Self {
        Self { limit: Some(limit), ..self }
    }

    pub(crate) fn path(&self) -> String {
        let mut fields = form_urlencoded::Serializer::new(String::new());
        if let Some(status) = self.status {
            fields.append_pair("status", name(status));
        }
        if let Some(limit) = self.limit {
            fields.append_pair("limit", &limit.to_string());
        }
        if let Some(after) = &self.after {
            fields.append_pair("after", after);
        }
        match fields.finish() {
            none if none.is_empty() => "songs/".to_owned(),
            fields => format!("songs/?{fields}"),
        }
    }

    pub(crate) fn page(&self, SongsData { songs, next }: SongsData) -> Result<SongsPage, Error> {
        // A loop over pages would not end.
        if next.is_some() && next == self.after {
            return Err(Error::malformed(200, "the page is said to follow itself"));
        }
        let next = next.map(|after| Self { after: Some(after), ..self.clone() });
        Ok(SongsPage { songs, next })
    }
}

/// Some songs of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SongsPage {
    /// The songs, newest first.
    pub songs: Vec<SongView>,
    /// What to ask for next; `None` where nothing follows.
    pub next: Option<SongQuery>,
}

/// The status as it is written on the wire.
const fn name(status: SongStatus) -> &'static str {
    match status {
        SongStatus::NotFound => "NOT_FOUND",
        SongStatus::Uploading => "UPLOADING",
        SongStatus::Uploaded => "UPLOADED",
        SongStatus::Splitting => "SPLITTING",
        SongStatus::Split => "SPLIT",
        SongStatus::Failed => "FAILED",
    }
}
