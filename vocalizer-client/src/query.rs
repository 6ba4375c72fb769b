//! Queries and pages of song lists.

use url::form_urlencoded;
use vocalizer_api::{SongStatus, SongView, SongsData};

use crate::Error;

/// A query for songs. By default it matches all songs.
///
/// ```no_run
/// # use std::pin::pin;
/// # use futures_util::TryStreamExt;
/// # use vocalizer_client::{Client, Error, SongQuery, SongStatus};
/// # async fn demo(client: &Client) -> Result<(), Error> {
/// let mut pages = pin!(client.song_pages(SongQuery::new().with_status(SongStatus::Split).with_limit(100)));
/// while let Some(songs) = pages.try_next().await? {
///     songs.iter().for_each(|song| println!("{}", song.title));
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use]
pub struct SongQuery {
    status: Option<SongStatus>,
    limit: Option<u32>,
    after: Option<String>,
    details: bool,
}

impl SongQuery {
    /// Returns a query for all songs.
    pub const fn new() -> Self {
        Self { status: None, limit: None, after: None, details: false }
    }

    /// Only songs with this status.
    ///
    /// ```no_run
    /// # use vocalizer_client::{Client, Error, SongQuery, SongStatus};
    /// # async fn demo(client: &Client) -> Result<(), Error> {
    /// let failed = SongQuery::new().with_status(SongStatus::Failed);
    /// for song in client.songs_page(&failed).await?.songs {
    ///     client.retry(song.id).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_status(self, status: SongStatus) -> Self {
        Self { status: Some(status), ..self }
    }

    /// At most this many songs per page.
    ///
    /// ```no_run
    /// # use vocalizer_client::{Client, Error, SongQuery};
    /// # async fn demo(client: &Client) -> Result<(), Error> {
    /// let newest = client.songs_page(&SongQuery::new().with_limit(10)).await?.songs;
    /// assert!(newest.len() <= 10);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_limit(self, limit: u32) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// With the fields that events have.
    pub(crate) fn with_details(self) -> Self {
        Self { details: true, ..self }
    }

    pub(crate) fn path(&self) -> String {
        let mut fields = form_urlencoded::Serializer::new(String::new());
        if let Some(status) = self.status {
            fields.append_pair("status", status.name());
        }
        if let Some(limit) = self.limit {
            fields.append_pair("limit", &limit.to_string());
        }
        if let Some(after) = &self.after {
            fields.append_pair("after", after);
        }
        if self.details {
            fields.append_pair("details", "1");
        }
        match fields.finish() {
            none if none.is_empty() => "songs/".to_owned(),
            fields => format!("songs/?{fields}"),
        }
    }

    pub(crate) fn page(&self, SongsData { songs, next }: SongsData) -> Result<SongsPage, Error> {
        // Prevents an endless loop over pages.
        if next.is_some() && next == self.after {
            return Err(Error::malformed(200, "the cursor of the next page is the same as the current one"));
        }
        let next = next.map(|after| Self { after: Some(after), ..self.clone() });
        Ok(SongsPage { songs, next })
    }
}

/// A page of songs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SongsPage {
    /// The songs, newest first.
    pub songs: Vec<SongView>,
    /// The query for the next page; `None` on the last page.
    pub next: Option<SongQuery>,
}
