//! Waiting for a song: by events where the server sends them, by looking again and again where it does not.

use std::time::Duration;

use reqwest::header::{ACCEPT, HeaderValue};
use reqwest::{Method, StatusCode};
use tokio::time::{sleep, timeout};
use vocalizer_core::api::{SongData, SongStatus, SongView};
use vocalizer_core::song::{FailureReason, SongId};

use crate::events::Events;
use crate::retry::{LONGEST_ASKED, jittered};
use crate::{Client, Error, answer};

/// How often in a row [`Client::wait`] looks in vain before it gives up: by then, half a minute later, a server that
/// restarts is back.
const MAX_MISSES: u32 = 10;

/// How often in a row the events may break off without any news before [`Client::wait`] looks by itself.
const MAX_BREAKS: u32 = 3;

/// What became of following a song's events.
enum Followed {
    /// The song is split or failed.
    ToTheEnd(SongView),
    /// They broke off; asking again may help.
    Broke { had_news: bool },
    /// There are none to be had, or nothing to be made of them.
    InVain,
}

/// What is known of a song that is waited for.
struct Watch<F> {
    id: SongId,
    last: Option<SongView>,
    last_event_id: Option<HeaderValue>,
    tell: F,
}

impl<F: FnMut(&SongView)> Watch<F> {
    /// Takes a look in, and says whether it is news.
    fn look(&mut self, song: &SongView) -> bool {
        let is_news = self.last.as_ref() != Some(song);
        if is_news {
            (self.tell)(song);
            self.last = Some(song.clone());
        }
        is_news
    }
}

impl Client {
    /// Waits until a song is split, and returns it.
    ///
    /// A server that is away for a moment is waited for. There is no bound on the whole, since a queue may be long.
    ///
    /// # Errors
    ///
    /// [`Error::NotSplit`] when the song could not be split; else what [`Client::song`] said, if it was not
    /// [transient](Error::is_transient) or was said too often in a row.
    pub async fn wait(&self, id: SongId) -> Result<SongView, Error> {
        self.wait_with(id, |_| {}).await
    }

    /// [`Client::wait`], telling of the song whenever something about it has changed: its status, its place in the queue,
    /// how much of it is split.
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
    pub async fn wait_with(&self, id: SongId, tell: impl FnMut(&SongView)) -> Result<SongView, Error> {
        let mut watch = Watch { id, last: None, last_event_id: None, tell };
        let mut pause = self.settings.first_poll;
        let mut breaks = 0;
        loop {
            match self.follow(&mut watch).await {
                Followed::ToTheEnd(song) => return end(song),
                Followed::InVain => break,
                Followed::Broke { had_news } => {
                    if had_news {
                        (breaks, pause) = (0, self.settings.first_poll);
                    }
                    breaks += 1;
                    if breaks > MAX_BREAKS {
                        break;
                    }
                }
            }
            sleep(jittered(pause)).await;
            pause = self.longer(pause);
        }
        end(self.poll(&mut watch).await?)
    }

    /// Looks again and again, less often the longer it takes, until the song is split or failed.
    async fn poll<F: FnMut(&SongView)>(&self, watch: &mut Watch<F>) -> Result<SongView, Error> {
        let mut pause = self.settings.first_poll;
        let mut misses = 0;
        loop {
            let mut asked = Duration::ZERO;
            match self.call::<SongData>(self.request(Method::GET, &format!("songs/{}", watch.id))?).await {
                Ok(SongData { song }) => {
                    watch.look(&song);
                    if is_over(&song) {
                        return Ok(song);
                    }
                    misses = 0;
                }
                Err(error) if error.is_transient() && misses < MAX_MISSES => {
                    misses += 1;
                    asked = error.retry_after().unwrap_or_default().min(LONGEST_ASKED);
                }
                Err(error) => return Err(error),
            }
            sleep(jittered(pause).max(asked)).await;
            pause = self.longer(pause);
        }
    }

    /// Follows the events for as long as they come. Whatever is wrong with them is no error: looking at the song, which is
    /// what follows, knows better.
    async fn follow<F: FnMut(&SongView)>(&self, watch: &mut Watch<F>) -> Followed {
        let Ok(mut request) = self.request(Method::GET, &format!("songs/{}/events", watch.id)) else {
            return Followed::InVain;
        };
        request = request.header(ACCEPT, "text/event-stream");
        if let Some(last) = &watch.last_event_id {
            request = request.header("Last-Event-ID", last);
        }
        let response = match timeout(self.settings.timeout, request.send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(_)) | Err(_) => return Followed::Broke { had_news: false },
        };
        match response.status() {
            StatusCode::OK if answer::is(&response, "text/event-stream") => {}
            StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => return Followed::Broke { had_news: false },
            _ => return Followed::InVain,
        }
        let mut events = Events::new(response, self.settings.timeout);
        let mut had_news = false;
        loop {
            let next = events.next();
            let next = match watch.last {
                Some(_) => next.await,
                // The first event comes at once, or some proxy holds them back until it has many.
                None => match timeout(self.settings.timeout, next).await {
                    Ok(next) => next,
                    Err(_) => return Followed::InVain,
                },
            };
            let event = match next {
                Ok(Some(event)) => event,
                Ok(None) | Err(Error::TimedOut | Error::Transport(_)) => return Followed::Broke { had_news },
                Err(_) => return Followed::InVain,
            };
            if event.kind == "deleted" {
                return Followed::InVain;
            }
            if event.kind != "song" {
                continue;
            }
            match serde_json::from_str::<SongView>(&event.data) {
                Ok(song) if song.id == watch.id => {
                    had_news |= watch.look(&song);
                    watch.last_event_id = events.last_id().and_then(|id| HeaderValue::from_str(id).ok());
                    if is_over(&song) {
                        return Followed::ToTheEnd(song);
                    }
                }
                Ok(_) | Err(_) => return Followed::InVain,
            }
        }
    }

    fn longer(&self, pause: Duration) -> Duration {
        (pause.saturating_mul(3) / 2).min(self.settings.longest_poll)
    }
}

fn is_over(song: &SongView) -> bool {
    matches!(song.status, SongStatus::Split | SongStatus::Failed)
}

fn end(song: SongView) -> Result<SongView, Error> {
    if song.status == SongStatus::Failed {
        let reason = song.failure_reason.unwrap_or_default();
        return Err(Error::NotSplit { reason: FailureReason::new(&reason).as_str().to_owned() });
    }
    Ok(song)
}
