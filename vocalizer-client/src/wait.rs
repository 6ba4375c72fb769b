//! Waiting for a song, with server-sent events, or by polling if the server has none.

use std::time::Duration;

use reqwest::header::{ACCEPT, HeaderValue};
use reqwest::{Method, StatusCode};
use tokio::time::{sleep, timeout};
use vocalizer_api::FailureReason;
use vocalizer_api::id::SongId;
use vocalizer_api::{SongData, SongStatus, SongView};

use crate::events::Events;
use crate::retry::{MAX_RETRY_AFTER, jittered};
use crate::{Client, Error, answer};

/// Maximum number of consecutive failed polls. They take about half a minute, enough for a server restart.
const MAX_FAILURES: u32 = 10;

/// Maximum number of consecutive disconnects without news, before [`Client::wait`] polls.
const MAX_DISCONNECTS: u32 = 3;

/// The result of following a song's events.
enum Followed {
    /// The song is split or failed.
    Finished(SongView),
    /// The stream ended; a reconnect may help.
    Disconnected { had_news: bool },
    /// The server has no usable events.
    Unusable,
}

/// The state of waiting for a song.
struct Watch<F> {
    id: SongId,
    last: Option<SongView>,
    last_event_id: Option<HeaderValue>,
    on_change: F,
}

impl<F: FnMut(&SongView)> Watch<F> {
    /// Processes a new state of the song. Returns whether it changed.
    fn update(&mut self, song: &SongView) -> bool {
        let is_news = self.last.as_ref() != Some(song);
        if is_news {
            (self.on_change)(song);
            self.last = Some(song.clone());
        }
        is_news
    }
}

impl Client {
    /// Waits until a song is split, and returns it.
    ///
    /// Short outages of the server are tolerated. There is no timeout, since a queue may be long.
    ///
    /// # Errors
    ///
    /// [`Error::NotSplit`] if the song could not be split; an error of [`Client::song`] if it is not
    /// [transient](Error::is_transient) or occurs too often in a row.
    pub async fn wait(&self, id: SongId) -> Result<SongView, Error> {
        self.wait_with(id, |_| {}).await
    }

    /// Like [`Client::wait`]; calls a function when the song's status, queue position or progress changes.
    ///
    /// ```no_run
    /// # use vocalizer_client::{Client, Error, SongId};
    /// # async fn wait(client: Client, id: SongId) -> Result<(), Error> {
    /// client.wait_with(id, |song| println!("{}: {}%", song.title, song.progress.unwrap_or(0))).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Client::wait`].
    pub async fn wait_with(&self, id: SongId, on_change: impl FnMut(&SongView)) -> Result<SongView, Error> {
        let mut watch = Watch { id, last: None, last_event_id: None, on_change };
        let mut pause = self.settings.first_poll;
        let mut disconnects = 0;
        loop {
            match self.follow(&mut watch).await {
                Followed::Finished(song) => return end(song),
                Followed::Unusable => break,
                Followed::Disconnected { had_news } => {
                    if had_news {
                        (disconnects, pause) = (0, self.settings.first_poll);
                    }
                    disconnects += 1;
                    if disconnects > MAX_DISCONNECTS {
                        break;
                    }
                }
            }
            sleep(jittered(pause)).await;
            pause = self.next_interval(pause);
        }
        end(self.poll(&mut watch).await?)
    }

    /// Polls with growing intervals until the song is split or failed.
    async fn poll<F: FnMut(&SongView)>(&self, watch: &mut Watch<F>) -> Result<SongView, Error> {
        let mut pause = self.settings.first_poll;
        let mut failures = 0;
        loop {
            let mut retry_after = Duration::ZERO;
            match self.call::<SongData>(self.request(Method::GET, &format!("songs/{}", watch.id))?).await {
                Ok(SongData { song }) => {
                    watch.update(&song);
                    if song.status.is_final() {
                        return Ok(song);
                    }
                    failures = 0;
                }
                Err(error) if error.is_transient() && failures < MAX_FAILURES => {
                    failures += 1;
                    retry_after = error.retry_after().unwrap_or_default().min(MAX_RETRY_AFTER);
                }
                Err(error) => return Err(error),
            }
            sleep(jittered(pause).max(retry_after)).await;
            pause = self.next_interval(pause);
        }
    }

    /// Follows the events until the stream ends. Problems are not errors here, because polling follows and reports
    /// them.
    async fn follow<F: FnMut(&SongView)>(&self, watch: &mut Watch<F>) -> Followed {
        let Ok(mut request) = self.request(Method::GET, &format!("songs/{}/events", watch.id)) else {
            return Followed::Unusable;
        };
        request = request.header(ACCEPT, "text/event-stream");
        if let Some(last) = &watch.last_event_id {
            request = request.header("Last-Event-ID", last);
        }
        let response = match timeout(self.settings.timeout, self.exchange(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(_)) | Err(_) => return Followed::Disconnected { had_news: false },
        };
        match response.status() {
            StatusCode::OK if answer::is(&response, "text/event-stream") => {}
            StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => return Followed::Disconnected { had_news: false },
            _ => return Followed::Unusable,
        }
        let mut events = Events::new(response, self.settings.timeout);
        let mut had_news = false;
        loop {
            let next = events.next();
            let next = match watch.last {
                Some(_) => next.await,
                // The first event comes at once, unless a proxy buffers the stream.
                None => match timeout(self.settings.timeout, next).await {
                    Ok(next) => next,
                    Err(_) => return Followed::Unusable,
                },
            };
            let event = match next {
                Ok(Some(event)) => event,
                Ok(None) | Err(Error::TimedOut | Error::Transport(_)) => return Followed::Disconnected { had_news },
                Err(_) => return Followed::Unusable,
            };
            if event.kind == "deleted" {
                return Followed::Unusable;
            }
            if event.kind != "song" {
                continue;
            }
            match serde_json::from_str::<SongView>(&event.data) {
                Ok(song) if song.id == watch.id => {
                    had_news |= watch.update(&song);
                    watch.last_event_id = events.last_id().and_then(|id| HeaderValue::from_str(id).ok());
                    if song.status.is_final() {
                        return Followed::Finished(song);
                    }
                }
                Ok(_) | Err(_) => return Followed::Unusable,
            }
        }
    }

    fn next_interval(&self, pause: Duration) -> Duration {
        (pause.saturating_mul(3) / 2).min(self.settings.longest_poll)
    }
}

fn end(song: SongView) -> Result<SongView, Error> {
    if song.status == SongStatus::Failed {
        let reason = song.failure_reason.unwrap_or_default();
        return Err(Error::NotSplit { reason: FailureReason::new(&reason).as_str().to_owned() });
    }
    Ok(song)
}
