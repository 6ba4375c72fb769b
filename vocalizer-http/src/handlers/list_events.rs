//! Server-sent events of all songs that a viewer can see.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::unfold;
use serde_json::json;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use vocalizer_core::api::SongView;
use vocalizer_core::service::{ServiceError, SongService};
use vocalizer_core::song::SongId;

use super::Answer;
use super::events::{KEEP_ALIVE, Listener, response};
use crate::app::App;
use crate::request::Request;

/// Poll interval without notifications: changes by other servers and of queue positions send none.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// Time to collect changes before the list is read again: workers report every second, and each list is a query.
const DEBOUNCE: Duration = Duration::from_millis(250);

/// The viewer's songs as last sent to the client.
struct Watched {
    songs: SongService,
    listener: Listener,
    closing: CancellationToken,
    known: HashMap<SongId, SongView>,
    last_sent: Instant,
}

pub(crate) async fn events(app: &Arc<App>, request: Request) -> Answer {
    let (songs, listener, closing) = (app.songs.clone(), Listener::of(app, &request), app.closing.clone());
    let place = app.event_streams.take(&request)?;
    // The client reads the current list itself after connecting; the stream only sends later changes.
    let known = by_id(songs.watch_all(listener.viewer).await?.1);
    let watched = Watched { songs, listener, closing, known, last_sent: Instant::now() };
    Ok(response(
        place,
        unfold(watched, |mut watched| async {
            let events = watched.next().await?;
            Some((Ok::<_, io::Error>(events), watched))
        }),
    ))
}

impl Watched {
    /// Returns the next events or a comment; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if !self.listener.is_still_authorized().await {
                return None;
            }
            let (changed, now) = match self.songs.watch_all(self.listener.viewer).await {
                Ok(watched) => watched,
                // The client reconnects.
                Err(error) => {
                    tracing::warn!(%error, "list events failed; closing the stream");
                    return None;
                }
            };
            let events = self.differences(by_id(now)).await?;
            if !events.is_empty() {
                self.last_sent = Instant::now();
                return Some(Bytes::from(events));
            }
            let update = async {
                let _ = timeout(POLL_INTERVAL, changed).await;
                sleep(DEBOUNCE).await;
            };
            tokio::select! {
                () = update => {}
                () = sleep_until(self.last_sent + KEEP_ALIVE) => {
                    self.last_sent = Instant::now();
                    return Some(Bytes::from_static(b": still here\n\n"));
                }
                () = self.closing.cancelled() => return None,
            }
        }
    }

    /// Returns the changes as events; `None` on an error.
    async fn differences(&mut self, mut now: HashMap<SongId, SongView>) -> Option<String> {
        let mut events = String::new();
        for (id, known) in std::mem::take(&mut self.known) {
            match now.remove(&id) {
                Some(song) => {
                    if song != known {
                        push_event(&mut events, &song);
                    }
                    self.known.insert(id, song);
                }
                // The song was deleted, or left the watched set: then this is its last event.
                None => match self.songs.song_in_detail(self.listener.viewer, id).await {
                    Ok(song) if song == known => {}
                    Ok(song) => push_event(&mut events, &song),
                    Err(ServiceError::NotFound { .. }) => {
                        events.push_str(&format!("event: deleted\ndata: {}\n\n", json!({ "id": id })));
                    }
                    Err(error) => {
                        tracing::warn!(song = %id, %error, "list events failed; closing the stream");
                        return None;
                    }
                },
            }
        }
        for (id, song) in now {
            push_event(&mut events, &song);
            self.known.insert(id, song);
        }
        Some(events)
    }
}

fn by_id(songs: Vec<SongView>) -> HashMap<SongId, SongView> {
    songs.into_iter().map(|song| (song.id, song)).collect()
}

fn push_event(events: &mut String, song: &SongView) {
    if let Ok(json) = serde_json::to_string(song) {
        events.push_str(&format!("event: song\ndata: {json}\n\n"));
    }
}
