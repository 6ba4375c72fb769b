//! Which changes of songs are events for webhooks.

use vocalizer_api::{SongView, WebhookEvent};

use crate::song::{Song, StatusKind};
use crate::wire::with_details;

/// Returns the event of a song that was just admitted or changed; `None` if its new status is none.
#[must_use]
pub fn event_of(song: &Song) -> Option<WebhookEvent> {
    match song.status().kind() {
        StatusKind::Split => Some(WebhookEvent::Split),
        StatusKind::Failed => Some(WebhookEvent::Failed),
        StatusKind::Uploading | StatusKind::Uploaded | StatusKind::Splitting => None,
    }
}

/// Returns a song as events describe it: with details.
#[must_use]
pub fn snapshot(song: &Song) -> SongView {
    with_details(SongView::from(song), song, song.target().model.as_ref())
}
