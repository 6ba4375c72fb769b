//! Changes of everything that a viewer may see, as server-sent events.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::unfold;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use vocalizer_core::api::SongView;
use vocalizer_core::service::{ServiceError, SongService};
use vocalizer_core::song::SongId;

use super::Answer;
use super::events::{KEEP_ALIVE, Listener, response};
use crate::app::App;
use crate::request::Request;

/// How often the list is looked at where nothing was heard: other servers' changes are not heard of here, nor how places in
/// the queue move.
const LOOK: Duration = Duration::from_secs(5);

/// How long changes are gathered before they are told: workers report every second, and a list is a question to the store.
const GATHER: Duration = Duration::from_millis(250);

/// The viewer's songs as the client knows them.
struct Watched {
    songs: SongService,
    listener: Listener,
    closing: watch::Receiver<bool>,
    known: HashMap<SongId, SongView>,
    spoke: Instant,
}

pub(super) async fn events(app: &Arc<App>, request: &Request) -> Answer {
    let (songs, listener, closing) = (app.songs.clone(), Listener::of(app, request), app.closing.clone());
    let place = app.event_streams.take(request)?;
    // What there is now, the client asks for itself once it is connected; what changes from now on, it is told.
    let known = by_id(songs.watch_all(listener.viewer).await?.1);
    let watched = Watched { songs, listener, closing, known, spoke: Instant::now() };
    Ok(response(
        place,
        unfold(watched, |mut watched| async {
            let said = watched.next().await?;
            Some((Ok::<_, io::Error>(said), watched))
        }),
    ))
}

impl Watched {
    /// What to send next; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if !self.listener.still_may().await {
                return None;
            }
            let (changed, now) = match self.songs.watch_all(self.listener.viewer).await {
                Ok(watched) => watched,
                // The client comes back and asks again.
                Err(error) => {
                    tracing::warn!(%error, "a list could not be watched");
                    return None;
                }
            };
            let said = self.differences(by_id(now)).await?;
            if !said.is_empty() {
                self.spoke = Instant::now();
                return Some(Bytes::from(said));
            }
            let waited = async {
                let _ = timeout(LOOK, changed).await;
                sleep(GATHER).await;
            };
            tokio::select! {
                () = waited => {}
                () = sleep_until(self.spoke + KEEP_ALIVE) => {
                    self.spoke = Instant::now();
                    return Some(Bytes::from_static(b": still here\n\n"));
                }
                _ = self.closing.wait_for(|closing| *closing) => return None,
            }
        }
    }

    /// What has changed, as events; `None` when it cannot be said.
    async fn differences(&mut self, mut now: HashMap<SongId, SongView>) -> Option<String> {
        let mut said = String::new();
        for (id, known) in std::mem::take(&mut self.known) {
            match now.remove(&id) {
                Some(song) => {
                    if song != known {
                        tell(&mut said, &song);
                    }
                    self.known.insert(id, song);
                }
                // It is gone, or it is no longer among those that are watched: then this is the last that is told of it.
                None => match self.songs.song_in_detail(self.listener.viewer, id).await {
                    Ok(song) if song == known => {}
                    Ok(song) => tell(&mut said, &song),
                    Err(ServiceError::NotFound { .. }) => {
                        said.push_str(&format!("event: deleted\ndata: {}\n\n", json!({ "id": id })));
                    }
                    Err(error) => {
                        tracing::warn!(song = %id, %error, "a song could not be watched");
                        return None;
                    }
                },
            }
        }
        for (id, song) in now {
            tell(&mut said, &song);
            self.known.insert(id, song);
        }
        Some(said)
    }
}

fn by_id(songs: Vec<SongView>) -> HashMap<SongId, SongView> {
    songs.into_iter().map(|song| (song.id, song)).collect()
}

fn tell(said: &mut String, song: &SongView) {
    if let Ok(json) = serde_json::to_string(song) {
        said.push_str(&format!("event: song\ndata: {json}\n\n"));
    }
}
