//! The list of songs searched, sorted and counted.

use super::ServiceError;
use super::labels::parsed;
use super::songs::{MAX_PAGE, SongService};
use crate::account::Viewer;
use crate::api::SongView;
use crate::ports::{LibraryQuery, Place, SortKey, Whose};
use crate::song::{Song, StatusKind, words};

/// Most characters of a search.
pub const MAX_SEARCH_CHARS: usize = 200;

/// Songs per step in which the sort keys of songs of an earlier version are computed.
const BATCH: u32 = 500;

/// The order by status: what happens now, what is next, what needs attention, and what is done.
const STATUSES: [StatusKind; 5] =
    [StatusKind::Splitting, StatusKind::Uploaded, StatusKind::Uploading, StatusKind::Failed, StatusKind::Split];

/// What a list is sorted by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SortBy {
    /// When songs were uploaded. The list without a search is in this order, descending.
    #[default]
    Added,
    /// The title, without case and accents.
    Title,
    /// The artist, then the title. Songs without an artist come first.
    Artist,
    /// The length. Songs whose length is unknown come first.
    Duration,
    /// Songs being split, waiting, failed and split ones; the newest first among equals.
    Status,
}

impl SortBy {
    /// Every order.
    pub const ALL: [Self; 5] = [Self::Added, Self::Title, Self::Artist, Self::Duration, Self::Status];

    /// Returns the name, as in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Title => "title",
            Self::Artist => "artist",
            Self::Duration => "duration",
            Self::Status => "status",
        }
    }

    const fn key(self) -> SortKey {
        match self {
            Self::Added | Self::Status => SortKey::Added,
            Self::Title => SortKey::Title,
            Self::Artist => SortKey::Artist,
            Self::Duration => SortKey::Duration,
        }
    }
}

/// A position in a sorted list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LibraryCursor {
    /// The status of the song at this position, in a list sorted by it.
    pub status: Option<StatusKind>,
    /// The position, in a list sorted by status among the songs with this status.
    pub place: Place,
}

/// Which songs to list, in which order, and how many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LibraryListing {
    /// Only songs whose title or artist contains each word of this text, without case and accents. At most
    /// [`MAX_SEARCH_CHARS`] characters; words after the sixth do not count.
    pub search: String,
    /// Only songs with this label, in any case.
    pub label: Option<String>,
    /// Whose songs.
    pub whose: Whose,
    /// Only songs with this status.
    pub status: Option<StatusKind>,
    /// The order.
    pub sort: SortBy,
    /// Whether the order is reversed.
    pub descending: bool,
    /// Only songs after this position: [`LibraryPage::next`] of the page before, in the same order.
    pub after: Option<LibraryCursor>,
    /// The page size, at most [`MAX_PAGE`]. Default (`None`): [`MAX_PAGE`].
    pub limit: Option<u32>,
    /// As in [`Listing::details`](super::Listing::details).
    pub details: bool,
    /// Whether to count the songs on all pages.
    pub total: bool,
}

/// A page of a sorted list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LibraryPage {
    /// The songs.
    pub songs: Vec<SongView>,
    /// The position of the next page, if there is one.
    pub next: Option<LibraryCursor>,
    /// The number of songs on all pages, if it was asked for.
    pub total: Option<u64>,
}

impl SongService {
    /// Returns a page of the songs that the viewer may see, searched and sorted.
    ///
    /// ```
    /// # #[cfg(not(feature = "memory"))] fn main() {}
    /// # #[cfg(feature = "memory")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::{sync::Arc, time::Duration};
    /// # use vocalizer_core::{account::*, api::*, limits::*, memory::*, part::*, ports::*, service::*, song::*};
    /// # let (songs, blobs, queue) = (Arc::<MemorySongs>::default(), Arc::<MemoryBlobs>::default(), Arc::new(IdleQueue));
    /// # let clock = Arc::new(ManualClock::new());
    /// # let service = SongService::builder_with_clock(songs, blobs, queue, clock).build();
    /// # for title in ["Ёлка", "Für Elise"] {
    /// #     let mut upload = service.begin_upload(Viewer::Anonymous).await?;
    /// #     upload.write(title.into()).await?;
    /// #     upload.finish(title).await?;
    /// # }
    /// let listing = LibraryListing { search: "ЕЛКА".to_owned(), sort: SortBy::Title, total: true, ..Default::default() };
    /// let page = service.library(Viewer::Anonymous, listing).await?;
    /// assert_eq!(page.songs[0].title, "Ёлка");
    /// assert_eq!(page.total, Some(1));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ServiceError::Invalid`] for a search that is too long, a label that no song can have, or a cursor of another order,
    /// [`ServiceError::Unavailable`] or [`ServiceError::Internal`].
    pub async fn library(&self, viewer: Viewer, listing: LibraryListing) -> Result<LibraryPage, ServiceError> {
        let LibraryListing { search, label, whose, status, sort, descending, after, limit, details, total } = listing;
        if search.chars().count() > MAX_SEARCH_CHARS {
            return Err(ServiceError::invalid("q", format!("a search has at most {MAX_SEARCH_CHARS} characters")));
        }
        if after.as_ref().is_some_and(|after| after.status.is_some() != (sort == SortBy::Status)) {
            return Err(ServiceError::invalid("after", "the cursor is of a list in another order"));
        }
        let limit = limit.unwrap_or(MAX_PAGE).min(MAX_PAGE) as usize;
        let mut query = LibraryQuery {
            viewer,
            whose,
            status,
            words: words(&search),
            label: label.as_deref().map(parsed).transpose()?,
            sort: sort.key(),
            descending: descending || sort == SortBy::Status,
            after: after.as_ref().map(|after| after.place.clone()),
            limit: 0,
        };
        let total = if total { Some(self.ports().songs.count_listed(&query).await?) } else { None };
        let mut statuses: Vec<_> = STATUSES.into_iter().map(Some).collect();
        if descending {
            statuses.reverse();
        }
        if sort != SortBy::Status {
            statuses = vec![status];
        }
        let at = after.as_ref().and_then(|after| statuses.iter().position(|status| *status == after.status));
        let mut found = Vec::new();
        for next in statuses.split_off(at.unwrap_or_default()) {
            if sort == SortBy::Status && status.is_some_and(|status| Some(status) != next) {
                continue;
            }
            // One more than requested, to learn whether there is a next page.
            query.limit = u32::try_from(limit + 1 - found.len()).unwrap_or(u32::MAX);
            query.status = next;
            found.append(&mut self.ports().songs.list_sorted(&query).await?);
            query.after = None;
            if found.len() > limit {
                break;
            }
        }
        let mut next = None;
        if found.len() > limit {
            found.truncate(limit);
            next = found.last().map(|(song, place)| LibraryCursor {
                status: (sort == SortBy::Status).then(|| song.status().kind()),
                place: place.clone(),
            });
        }
        let songs: Vec<Song> = found.into_iter().map(|(song, _)| song).collect();
        Ok(LibraryPage { songs: self.views(&songs, details).await?, next, total })
    }

    /// Computes the sort keys of songs that an earlier version stored.
    pub(super) async fn sweep_sort_keys(&self) -> Result<(), ServiceError> {
        while self.ports().songs.add_sort_keys(BATCH).await? > 0 {}
        Ok(())
    }
}
