//! Server-sent events of a song's changes.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use futures_util::StreamExt as _;
use futures_util::future::ready;
use futures_util::stream::{once, unfold};
use http::{HeaderValue, Response, header};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use vocalizer_core::account::{Share, Viewer};
use vocalizer_core::api::{SongStatus, SongView};
use vocalizer_core::service::{AccountService, Proof, ServiceError, SongService};
use vocalizer_core::song::{SongHash, SongId};
use vocalizer_core::tally::Taken;

use super::Answer;
use crate::app::App;
use crate::body::{Body, guarded_stream};
use crate::request::{Request, proof};

/// Interval of keep-alive comments on an idle stream, so that proxies keep the connection open.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Poll interval of a waiting song, because changes of the queue position send no notification.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// Reconnection delay of clients, in milliseconds.
const RETRY: &str = "retry: 2000\n\n";

/// The client of a stream and its credentials.
pub(super) struct Listener {
    accounts: AccountService,
    proof: Option<Proof>,
    pub(super) viewer: Viewer,
}

impl Listener {
    pub(super) fn of(app: &App, request: &Request) -> Self {
        let proof = proof(&request.headers, request.peer, &app.settings);
        Self { accounts: app.accounts.clone(), proof, viewer: request.viewer() }
    }

    /// Returns whether the credentials are still valid. A stream can outlive its session or token.
    pub(super) async fn is_still_authorized(&self) -> bool {
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
    closing: CancellationToken,
    /// The id of the last event that the client has.
    last_id: String,
    last_sent: Instant,
    ended: bool,
}

pub(crate) async fn events(app: &Arc<App>, request: Request) -> Answer {
    let (listener, id) = (Listener::of(app, &request), request.param("song_id")?);
    // Check before the stream starts, while a 404 is still possible.
    app.songs.song(listener.viewer, id).await?;
    let place = app.event_streams.take(&request)?;
    let last_id = request.headers.get("last-event-id").and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
    let (songs, closing) = (app.songs.clone(), app.closing.clone());
    let watched = Watched { songs, listener, id, closing, last_id, last_sent: Instant::now(), ended: false };
    Ok(response(
        place,
        unfold(watched, |mut watched| async {
            let event = watched.next().await?;
            Some((Ok::<_, io::Error>(event), watched))
        }),
    ))
}

/// Returns a response with an event stream. It holds its slot until it ends.
pub(super) fn response(
    place: Taken<Share>,
    events: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
) -> Response<Body> {
    let begin = once(ready(Ok(Bytes::from_static(RETRY.as_bytes()))));
    let mut response = Response::new(guarded_stream(begin.chain(events), place));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Disables response buffering in nginx.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

impl Watched {
    /// Returns the next event or comment; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        loop {
            if !self.listener.is_still_authorized().await {
                return None;
            }
            let (changed, song) = match self.songs.watch(self.listener.viewer, self.id).await {
                Ok(watched) => watched,
                Err(ServiceError::NotFound { .. }) => {
                    self.ended = true;
                    return Some(Bytes::from_static(b"event: deleted\ndata: {}\n\n"));
                }
                // The client reconnects.
                Err(error) => {
                    tracing::warn!(song = %self.id, %error, "song events failed; closing the stream");
                    return None;
                }
            };
            self.ended = song.status.is_final();
            if let Some(event) = self.event(&song) {
                self.last_sent = Instant::now();
                return Some(event);
            }
            // The client reconnected although it already has the final state.
            if self.ended {
                return None;
            }
            let interval = if song.status == SongStatus::Uploaded { POLL_INTERVAL } else { KEEP_ALIVE };
            tokio::select! {
                _ = timeout(interval, changed) => {}
                () = sleep_until(self.last_sent + KEEP_ALIVE) => {
                    self.last_sent = Instant::now();
                    return Some(Bytes::from_static(b": still here\n\n"));
                }
                () = self.closing.cancelled() => return None,
            }
        }
    }

    /// Returns the song as an event, or `None` if the client already has it. The id is a hash of the content, so that
    /// after a reconnect, even to another server, only changes are sent.
    fn event(&mut self, song: &SongView) -> Option<Bytes> {
        let json = serde_json::to_string(song).ok()?;
        let name = SongHash::of(json.as_bytes()).to_string();
        let id = name.get(..16).unwrap_or(&name);
        if id == self.last_id {
            return None;
        }
        id.clone_into(&mut self.last_id);
        Some(Bytes::from(format!("event: song\nid: {id}\ndata: {json}\n\n")))
    }
}
