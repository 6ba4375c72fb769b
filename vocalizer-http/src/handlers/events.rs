//! A song at every change, as server-sent events.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use futures_util::StreamExt as _;
use futures_util::future::ready;
use futures_util::stream::{once, unfold};
use http::{HeaderValue, Response, header};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use vocalizer_core::account::{Share, Viewer};
use vocalizer_core::api::{SongStatus, SongView};
use vocalizer_core::service::{AccountService, Proof, ServiceError, SongService};
use vocalizer_core::song::{SongHash, SongId};
use vocalizer_core::tally::Taken;

use super::Answer;
use crate::app::App;
use crate::body::{Body, guarded_stream};
use crate::request::{Request, proof};

/// How often a comment is sent where there is nothing else, so that proxies keep the connection.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How often a song that waits is looked at: its place changes when others are done, of which nobody tells it.
const LOOK: Duration = Duration::from_secs(2);

/// What clients should wait before they come back, in milliseconds.
const RETRY: &str = "retry: 2000\n\n";

/// Who listens, and what they have shown for it.
pub(super) struct Listener {
    accounts: AccountService,
    proof: Option<Proof>,
    pub(super) viewer: Viewer,
}

impl Listener {
    pub(super) fn of(app: &App, request: &Request) -> Self {
        let proof = proof(&request.headers, request.peer.secure);
        Self { accounts: app.accounts.clone(), proof, viewer: request.viewer() }
    }

    /// Whether they still are who they were: a stream may outlive the session or the token that it began with.
    pub(super) async fn still_may(&self) -> bool {
        match self.accounts.authenticate(self.proof.as_ref()).await {
            Ok(caller) => caller.viewer == self.viewer,
            Err(_) => false,
        }
    }
}

struct Watched {
    songs: SongService,
    listener: Listener,
    id: SongId,
    closing: watch::Receiver<bool>,
    /// The identifier of what the client has.
    seen: String,
    spoke: Instant,
    ended: bool,
}

pub(super) async fn events(app: &Arc<App>, request: &Request) -> Answer {
    let (listener, id) = (Listener::of(app, request), request.param("song_id")?);
    // Asked before the stream begins, while "not found" can still be said as such.
    app.songs.song(listener.viewer, id).await?;
    let place = app.event_streams.take(request)?;
    let seen = request.headers.get("last-event-id").and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
    let (songs, closing) = (app.songs.clone(), app.closing.clone());
    let watched = Watched { songs, listener, id, closing, seen, spoke: Instant::now(), ended: false };
    Ok(response(
        place,
        unfold(watched, |mut watched| async {
            let said = watched.next().await?;
            Some((Ok::<_, io::Error>(said), watched))
        }),
    ))
}

/// A stream of events, which has its place until it ends.
pub(super) fn response(
    place: Taken<Share>,
    events: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
) -> Response<Body> {
    let begin = once(ready(Ok(Bytes::from_static(RETRY.as_bytes()))));
    let mut response = Response::new(guarded_stream(begin.chain(events), place));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // nginx would hold events back until its buffer is full.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

impl Watched {
    /// What to send next; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        loop {
            if !self.listener.still_may().await {
                return None;
            }
            let (changed, song) = match self.songs.watch(self.listener.viewer, self.id).await {
                Ok(watched) => watched,
                Err(ServiceError::NotFound { .. }) => {
                    self.ended = true;
                    return Some(Bytes::from_static(b"event: deleted\ndata: {}\n\n"));
                }
                // The client comes back and asks again.
                Err(error) => {
                    tracing::warn!(song = %self.id, %error, "a song could not be watched");
                    return None;
                }
            };
            self.ended = matches!(song.status, SongStatus::Split | SongStatus::Failed);
            if let Some(event) = self.event(&song) {
                self.spoke = Instant::now();
                return Some(event);
            }
            // Ended, and the client has seen it: it came back to a stream that is over.
            if self.ended {
                return None;
            }
            let look = if song.status == SongStatus::Uploaded { LOOK } else { KEEP_ALIVE };
            tokio::select! {
                _ = timeout(look, changed) => {}
                () = sleep_until(self.spoke + KEEP_ALIVE) => {
                    self.spoke = Instant::now();
                    return Some(Bytes::from_static(b": still here\n\n"));
                }
                _ = self.closing.wait_for(|closing| *closing) => return None,
            }
        }
    }

    /// The song as an event, unless the client has just this. An event is named by what it says, so that a client which
    /// comes back, even to another server, is told again only if something has changed.
    fn event(&mut self, song: &SongView) -> Option<Bytes> {
        let json = serde_json::to_string(song).ok()?;
        let name = SongHash::of(json.as_bytes()).to_string();
        let id = name.get(..16).unwrap_or(&name);
        if id == self.seen {
            return None;
        }
        id.clone_into(&mut self.seen);
        Some(Bytes::from(format!("event: song\nid: {id}\ndata: {json}\n\n")))
    }
}
