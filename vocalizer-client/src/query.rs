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
    search: Option<String>,
    label: Option<String>,
    order: Option<Order>,
    total: bool,
}

/// What a list of songs is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SortBy {
    /// When songs were uploaded.
    Added,
    /// The title, without case and accents.
    Title,
    /// The artist, then the title. Songs without an artist come first.
    Artist,
    /// The length. Songs whose length is unknown come first.
    Duration,
    /// Songs being split, waiting, failed and split ones.
    Status,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Order {
    by: SortBy,
    descending: bool,
}

impl Order {
    const fn name(self) -> &'static str {
        match (self.by, self.descending) {
            (SortBy::Added, false) => "added",
            (SortBy::Added, true) => "-added",
            (SortBy::Title, false) => "title",
            (SortBy::Title, true) => "-title",
            (SortBy::Artist, false) => "artist",
            (SortBy::Artist, true) => "-artist",
            (SortBy::Duration, false) => "duration",
            (SortBy::Duration, true) => "-duration",
            (SortBy::Status, false) => "status",
            (SortBy::Status, true) => "-status",
        }
    }
}

impl SongQuery {
    /// Returns a query for all songs.
    pub const fn new() -> Self {
        Self {
            status: None,
            limit: None,
            after: None,
            details: false,
            search: None,
            label: None,
            order: None,
            total: false,
        }
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

    /// Only songs whose title or artist contains each word, without case and accents. Servers of the original system ignore
    /// it, and so they do for the next two.
    ///
    /// ```
    /// # use vocalizer_client::{Error, SongQuery, SortBy, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # for title in ["Für Elise", "Clair de lune"] {
    /// #     client.upload(Upload::from_bytes(title, "song.mp3", title)).await?;
    /// # }
    /// let query = SongQuery::new().search("elise fur").sorted(SortBy::Title).with_total();
    /// let page = client.songs_page(&query).await?;
    /// assert_eq!(page.songs[0].title, "Für Elise");
    /// assert_eq!(page.total, Some(1));
    /// # Ok(())
    /// # }
    /// ```
    pub fn search(self, words: impl Into<String>) -> Self {
        Self { search: Some(words.into()), ..self }
    }

    /// Only songs with this label, in any case.
    ///
    /// ```
    /// # use vocalizer_client::{Error, SongQuery, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # let id = client.upload(Upload::from_bytes("Clair de lune", "clair.mp3", "any bytes")).await?.id;
    /// client.add_label(id, "Piano").await?;
    /// let page = client.songs_page(&SongQuery::new().labelled("piano")).await?;
    /// assert_eq!(page.songs[0].id, id);
    /// # Ok(())
    /// # }
    /// ```
    pub fn labelled(self, label: impl Into<String>) -> Self {
        Self { label: Some(label.into()), ..self }
    }

    /// Sorts the list; without it, the newest songs come first.
    ///
    /// ```
    /// # use vocalizer_client::{Error, SongQuery, SortBy, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # for title in ["Für Elise", "Clair de lune"] {
    /// #     client.upload(Upload::from_bytes(title, "song.mp3", title)).await?;
    /// # }
    /// let first = client.songs_page(&SongQuery::new().sorted(SortBy::Title).with_limit(1)).await?;
    /// assert_eq!(first.songs[0].title, "Clair de lune");
    /// let last = client.songs_page(&SongQuery::new().sorted_descending(SortBy::Title).with_limit(1)).await?;
    /// assert_eq!(last.songs[0].title, "Für Elise");
    /// # Ok(())
    /// # }
    /// ```
    pub fn sorted(self, by: SortBy) -> Self {
        Self { order: Some(Order { by, descending: false }), ..self }
    }

    /// Sorts the list in the reverse order.
    pub fn sorted_descending(self, by: SortBy) -> Self {
        Self { order: Some(Order { by, descending: true }), ..self }
    }

    /// Counts the songs on all pages: [`SongsPage::total`].
    pub fn with_total(self) -> Self {
        Self { total: true, ..self }
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
        if let Some(words) = &self.search {
            fields.append_pair("q", words);
        }
        if let Some(label) = &self.label {
            fields.append_pair("label", label);
        }
        if let Some(order) = self.order {
            fields.append_pair("sort", order.name());
        }
        if self.total {
            fields.append_pair("total", "1");
        }
        if self.details {
            fields.append_pair("details", "1");
        }
        match fields.finish() {
            none if none.is_empty() => "songs/".to_owned(),
            fields => format!("songs/?{fields}"),
        }
    }

    pub(crate) fn page(&self, SongsData { songs, next, total }: SongsData) -> Result<SongsPage, Error> {
        // Prevents an endless loop over pages.
        if next.is_some() && next == self.after {
            return Err(Error::malformed(200, "the cursor of the next page is the same as the current one"));
        }
        let next = next.map(|after| Self { after: Some(after), ..self.clone() });
        Ok(SongsPage { songs, next, total })
    }
}

/// A page of songs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SongsPage {
    /// The songs, newest first or in the order of the query.
    pub songs: Vec<SongView>,
    /// The query for the next page; `None` on the last page.
    pub next: Option<SongQuery>,
    /// The number of songs on all pages, if the query asked for it and the server knows.
    pub total: Option<u64>,
}
