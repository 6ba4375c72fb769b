//! The list of songs, searched and sorted.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use vocalizer_core::account::Viewer;
use vocalizer_core::api::SongsData;
use vocalizer_core::ports::{Place, PlaceValue, Whose};
use vocalizer_core::service::{LibraryCursor, LibraryListing, SortBy};

use super::{Answer, success};
use crate::app::App;
use crate::fields;
use crate::form::Query;

pub(super) async fn list(app: &Arc<App>, viewer: Viewer, query: &Query) -> Answer {
    let (sort, descending) = query.get(&fields::SORT, read_sort)?.unwrap_or((SortBy::Added, true));
    let listing = LibraryListing {
        search: query.get(&fields::Q, |text| Some(text.to_owned()))?.unwrap_or_default(),
        label: query.get(&fields::WITH_LABEL, |text| Some(text.to_owned()))?,
        whose: query.get(&fields::WHOSE, read_whose)?.unwrap_or_default(),
        status: query.get(&fields::STATUS, |text| text.parse().ok())?,
        sort,
        descending,
        after: query.get(&fields::AFTER, |text| read_cursor(sort, text))?,
        limit: query.number(&fields::LIMIT)?.and_then(|limit| u32::try_from(limit).ok()),
        details: query.has(&fields::DETAILS),
        total: query.has(&fields::TOTAL),
    };
    let page = app.songs.library(viewer, listing).await?;
    let next = page.next.map(|cursor| shown_cursor(sort, &cursor));
    success(&SongsData { songs: page.songs, next, total: page.total })
}

fn read_sort(text: &str) -> Option<(SortBy, bool)> {
    let name = text.strip_prefix('-');
    let by = SortBy::ALL.into_iter().find(|by| by.name() == name.unwrap_or(text))?;
    Some((by, name.is_some()))
}

fn read_whose(text: &str) -> Option<Whose> {
    match text {
        "all" => Some(Whose::All),
        "mine" => Some(Whose::Mine),
        "open" => Some(Whose::Open),
        _ => None,
    }
}

/// Returns a cursor as text. That of the default order is the one of the list without search, as clients know it.
fn shown_cursor(sort: SortBy, cursor: &LibraryCursor) -> String {
    let LibraryCursor { status, place: Place { value, id } } = cursor;
    let value = match value {
        PlaceValue::Number(number) => number.to_string(),
        PlaceValue::Text(text) => URL_SAFE_NO_PAD.encode(text),
    };
    match (sort, status) {
        (SortBy::Added, _) => format!("{value}_{id}"),
        (_, Some(status)) => format!("{}.{status}.{value}_{id}", sort.name()),
        (_, None) => format!("{}.{value}_{id}", sort.name()),
    }
}

/// Reads a cursor of an order. `None` for one of another order.
fn read_cursor(sort: SortBy, text: &str) -> Option<LibraryCursor> {
    let (rest, id) = text.rsplit_once('_')?;
    let rest = match sort {
        SortBy::Added => rest,
        _ => rest.strip_prefix(sort.name())?.strip_prefix('.')?,
    };
    let (status, value) = match sort {
        SortBy::Status => {
            let (status, value) = rest.split_once('.')?;
            (Some(status.parse().ok()?), value)
        }
        _ => (None, rest),
    };
    let value = match sort {
        SortBy::Title | SortBy::Artist => {
            let text = String::from_utf8(URL_SAFE_NO_PAD.decode(value).ok()?).ok()?;
            // PostgreSQL has no such character.
            PlaceValue::Text(Some(text).filter(|text| !text.contains('\0'))?)
        }
        SortBy::Added | SortBy::Duration | SortBy::Status => PlaceValue::Number(value.parse().ok()?),
    };
    Some(LibraryCursor { status, place: Place { value, id: id.parse().ok()? } })
}
