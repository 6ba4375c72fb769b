//! Changes of songs, with server-sent events, or by polling if the server has none.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use futures_core::Stream;
use futures_util::stream::try_unfold;
use reqwest::header::{ACCEPT, HeaderValue};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use tokio::time::{sleep, timeout};
use vocalizer_api::FailureReason;
use vocalizer_api::backoff::jittered;
use vocalizer_api::id::SongId;
use vocalizer_api::{SongData, SongStatus, SongView};

use crate::client::Settings;
use crate::events::{Event, Events};
use crate::retry::MAX_RETRY_AFTER;
use crate::{Client, Error, SongQuery, SongsPage, answer};

/// Maximum number of consecutive failed polls. They take about half a minute, enough for a server restart.
const MAX_FAILURES: u32 = 10;

/// Maximum number of consecutive disconnects without news, before a song is polled.
const MAX_DISCONNECTS: u32 = 3;

/// Maximum number of songs that are remembered to report each change once.
const MAX_KNOWN: usize = 10_000;

/// A change of the songs that a client can see.
///
/// ```
/// use std::collections::HashMap;
///
/// use vocalizer_client::{Change, SongId, SongView};
///
/// /// Keeps a list up to date.
/// fn apply(change: Change, songs: &mut HashMap<SongId, SongView>) {
///     match change {
///         Change::Song(song) => drop(songs.insert(song.id, song)),
///         Change::Deleted(id) => drop(songs.remove(&id)),
///         _ => {}
///     }
/// }
/// # use vocalizer_client::SongStatus;
/// # let id = SongId::random();
/// # let song = SongView::new(id, "Clair de lune".to_owned(), String::new(), None, SongStatus::Uploaded);
/// # let mut songs = HashMap::new();
/// # apply(Change::Song(song), &mut songs);
/// # assert!(songs.contains_key(&id));
/// # apply(Change::Deleted(id), &mut songs);
/// # assert!(songs.is_empty());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[expect(clippy::large_enum_variant, reason = "most changes are songs, and a box would be in every match")]
pub enum Change {
    /// A song is new or changed.
    Song(SongView),
    /// A song was deleted.
    Deleted(SongId),
}

impl Client {
    /// Returns the changes of a song as a stream: its state now, and again whenever its status, queue position or progress
    /// changes. The stream ends after the song is split or failed.
    ///
    /// It uses one connection and reconnects; without server-sent events it polls. Short outages of the server are
    /// tolerated. There is no timeout, since a queue may be long.
    ///
    /// ```
    /// # use vocalizer_client::{Error, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # let id = client.upload(Upload::from_bytes("Clair de lune", "clair.mp3", "any bytes")).await?.id;
    /// use std::pin::pin;
    ///
    /// use futures_util::TryStreamExt;
    ///
    /// let mut changes = pin!(client.watch(id));
    /// while let Some(song) = changes.try_next().await? {
    ///     println!("{}: {} {:?}", song.title, song.status, song.progress);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// An error of [`Client::song`] if it is not [transient](Error::is_transient) or occurs too often in a row. It ends
    /// the stream.
    pub fn watch(&self, id: SongId) -> impl Stream<Item = Result<SongView, Error>> + Send + use<> {
        try_unfold(Watch::new(self.clone(), id), async |mut watch| Ok(watch.next().await?.map(|song| (song, watch))))
    }

    /// Returns the changes of all songs that the client can see as a stream: the newest songs now, at most a page, and then
    /// each change. It never ends by itself.
    ///
    /// It uses one connection and reconnects. Changes in between are found if they concern songs on the first page, and
    /// deletions if all songs fit on it.
    ///
    /// ```
    /// # use vocalizer_client::{Change, Error, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # use std::pin::pin;
    /// # use futures_util::TryStreamExt;
    /// # let id = client.upload(Upload::from_bytes("Clair de lune", "clair.mp3", "any bytes")).await?.id;
    /// let mut changes = pin!(client.watch_all());
    /// while let Some(change) = changes.try_next().await? {
    ///     match change {
    ///         Change::Song(song) => println!("{} is {}", song.title, song.status),
    ///         Change::Deleted(id) => println!("{id} was deleted"),
    ///         _ => {}
    ///     }
    ///     # break;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// An error of [`Client::songs_page`] if it is not [transient](Error::is_transient) or occurs too often in a row,
    /// also if the server has no events. It ends the stream.
    pub fn watch_all(&self) -> impl Stream<Item = Result<Change, Error>> + Send + use<> {
        try_unfold(WatchAll::new(self.clone()), async |mut watch| Ok(Some((watch.next().await?, watch))))
    }

    /// Waits until a song is split, and returns it. See [`Client::watch`].
    ///
    /// ```
    /// # use vocalizer_client::{Error, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # let id = client.upload(Upload::from_bytes("Clair de lune", "clair.mp3", "any bytes")).await?.id;
    /// match client.wait(id).await {
    ///     Ok(song) => println!("{} is split", song.title),
    ///     Err(Error::NotSplit { reason }) => println!("it cannot be split: {reason}"),
    ///     Err(error) => return Err(error),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NotSplit`] if the song could not be split, and those of [`Client::watch`].
    pub async fn wait(&self, id: SongId) -> Result<SongView, Error> {
        self.wait_with(id, |_| {}).await
    }

    /// Like [`Client::wait`]; calls a function when the song's status, queue position or progress changes.
    ///
    /// ```
    /// # use vocalizer_client::{Error, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # let id = client.upload(Upload::from_bytes("Clair de lune", "clair.mp3", "any bytes")).await?.id;
    /// client.wait_with(id, |song| println!("{}: {}%", song.title, song.progress.unwrap_or(0))).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Client::wait`].
    pub async fn wait_with(&self, id: SongId, mut on_change: impl FnMut(&SongView)) -> Result<SongView, Error> {
        let mut watch = Watch::new(self.clone(), id);
        while let Some(song) = watch.next().await? {
            on_change(&song);
        }
        match watch.last {
            Some(song) if song.status == SongStatus::Failed => {
                let reason = song.failure_reason.unwrap_or_default();
                Err(Error::NotSplit { reason: FailureReason::new(&reason).as_str().to_owned() })
            }
            Some(song) => Ok(song),
            None => Err(Error::malformed(200, "the song has no state")),
        }
    }

    /// Connects to an event stream.
    async fn follow(&self, path: &str, last_event_id: Option<&HeaderValue>) -> Result<Events, NotFollowed> {
        let mut request = self.request(Method::GET, path).map_err(|_| NotFollowed::Unusable)?;
        request = request.header(ACCEPT, "text/event-stream");
        if let Some(last) = last_event_id {
            request = request.header("Last-Event-ID", last);
        }
        let Ok(Ok(response)) = timeout(self.settings.timeout, self.exchange(request)).await else {
            return Err(NotFollowed::Disconnected);
        };
        match response.status() {
            StatusCode::OK if answer::is(&response, "text/event-stream") => {
                Ok(Events::new(response, self.settings.timeout))
            }
            StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => Err(NotFollowed::Disconnected),
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => Err(NotFollowed::Busy),
            _ => Err(NotFollowed::Unusable),
        }
    }
}

/// The growing pauses between attempts. There is none before the first attempt, nor after a reset.
struct Pauses(Option<Duration>);

impl Pauses {
    async fn wait(&mut self, settings: &Settings) {
        if let Some(pause) = self.0 {
            sleep(jittered(pause)).await;
        }
        let grown = |pause: Duration| (pause.saturating_mul(3) / 2).min(settings.longest_poll);
        self.0 = Some(self.0.map_or(settings.first_poll, grown));
    }

    fn reset(&mut self) {
        self.0 = None;
    }
}

/// Why there are no events.
enum NotFollowed {
    /// The connection ended; another one may help.
    Disconnected,
    /// The server has no room for another stream now.
    Busy,
    /// The server has no usable events.
    Unusable,
}

impl From<Error> for NotFollowed {
    fn from(error: Error) -> Self {
        match error {
            Error::TimedOut | Error::Transport(_) => Self::Disconnected,
            _ => Self::Unusable,
        }
    }
}

/// How the changes of a song are found.
enum Mode {
    Connect,
    Follow(Box<Events>),
    Poll,
}

/// The state of watching a song.
struct Watch {
    client: Client,
    id: SongId,
    mode: Mode,
    last: Option<SongView>,
    last_event_id: Option<HeaderValue>,
    pauses: Pauses,
    /// Disconnects, or failed polls, in a row.
    failures: u32,
}

impl Watch {
    const fn new(client: Client, id: SongId) -> Self {
        Self { client, id, mode: Mode::Connect, last: None, last_event_id: None, pauses: Pauses(None), failures: 0 }
    }

    /// Returns the next state of the song that differs from the last one; `None` after the final one.
    async fn next(&mut self) -> Result<Option<SongView>, Error> {
        while !self.last.as_ref().is_some_and(|song| song.status.is_final()) {
            let song = match &mut self.mode {
                Mode::Poll => self.poll().await?,
                Mode::Connect | Mode::Follow(_) => match self.follow().await {
                    Ok(song) => song,
                    Err(NotFollowed::Disconnected) if self.failures < MAX_DISCONNECTS => {
                        self.failures += 1;
                        self.mode = Mode::Connect;
                        continue;
                    }
                    Err(_) => {
                        (self.mode, self.failures) = (Mode::Poll, 0);
                        self.pauses.reset();
                        continue;
                    }
                },
            };
            if let Some(song) = song.filter(|song| self.last.as_ref() != Some(song)) {
                if matches!(self.mode, Mode::Follow(_)) {
                    self.pauses.reset();
                    self.failures = 0;
                }
                self.last = Some(song.clone());
                return Ok(Some(song));
            }
        }
        Ok(None)
    }

    async fn poll(&mut self) -> Result<Option<SongView>, Error> {
        self.pauses.wait(&self.client.settings).await;
        let request = self.client.request(Method::GET, &format!("songs/{}", self.id))?;
        match self.client.call::<SongData>(request).await {
            Ok(SongData { song }) => {
                self.failures = 0;
                Ok(Some(song))
            }
            Err(error) if error.is_transient() && self.failures < MAX_FAILURES => {
                self.failures += 1;
                sleep(error.retry_after().unwrap_or_default().min(MAX_RETRY_AFTER)).await;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Returns the song of the next event; `None` if the event is not about its state.
    async fn follow(&mut self) -> Result<Option<SongView>, NotFollowed> {
        if let Mode::Connect = self.mode {
            self.pauses.wait(&self.client.settings).await;
            let path = format!("songs/{}/events", self.id);
            self.mode = Mode::Follow(Box::new(self.client.follow(&path, self.last_event_id.as_ref()).await?));
        }
        let Mode::Follow(events) = &mut self.mode else { return Ok(None) };
        let next = events.next();
        let event = match self.last {
            Some(_) => next.await?,
            // The first event comes at once, unless a proxy buffers the stream.
            None => timeout(self.client.settings.timeout, next).await.map_err(|_| NotFollowed::Unusable)??,
        };
        let Some(Event { kind, data }) = event else { return Err(NotFollowed::Disconnected) };
        match kind.as_str() {
            // Polling finds the error.
            "deleted" => Err(NotFollowed::Unusable),
            "song" => {
                let song = serde_json::from_str::<SongView>(&data).ok().filter(|song| song.id == self.id);
                self.last_event_id = events.last_id().and_then(|id| HeaderValue::from_str(id).ok());
                song.map(Some).ok_or(NotFollowed::Unusable)
            }
            _ => Ok(None),
        }
    }
}

/// The state of watching all songs.
struct WatchAll {
    client: Client,
    events: Option<Events>,
    known: HashMap<SongId, SongView>,
    /// Changes that were found and not returned yet.
    found: VecDeque<Change>,
    pauses: Pauses,
    /// Failed connections in a row.
    failures: u32,
}

/// The `data` of a `deleted` event.
#[derive(Deserialize)]
struct Deleted {
    id: SongId,
}

impl WatchAll {
    fn new(client: Client) -> Self {
        Self { client, events: None, known: HashMap::new(), found: VecDeque::new(), pauses: Pauses(None), failures: 0 }
    }

    async fn next(&mut self) -> Result<Change, Error> {
        loop {
            if let Some(change) = self.found.pop_front() {
                return Ok(change);
            }
            let event = match &mut self.events {
                None => {
                    self.connect().await?;
                    continue;
                }
                Some(events) => match events.next().await {
                    Ok(Some(event)) => event,
                    Ok(None) | Err(Error::TimedOut | Error::Transport(_)) => {
                        self.events = None;
                        continue;
                    }
                    Err(error) => return Err(error),
                },
            };
            let malformed = |error| Error::malformed(200, error);
            match event.kind.as_str() {
                "song" => self.notice(serde_json::from_str(&event.data).map_err(malformed)?),
                "deleted" => {
                    let Deleted { id } = serde_json::from_str(&event.data).map_err(malformed)?;
                    self.known.remove(&id);
                    self.found.push_back(Change::Deleted(id));
                }
                _ => continue,
            }
            self.pauses.reset();
        }
    }

    /// Connects, and then reads the newest songs, so that no change in between is missed.
    async fn connect(&mut self) -> Result<(), Error> {
        self.pauses.wait(&self.client.settings).await;
        match self.try_connect().await {
            Ok(()) => {
                self.failures = 0;
                Ok(())
            }
            Err(error) if error.is_transient() && self.failures < MAX_FAILURES => {
                self.failures += 1;
                sleep(error.retry_after().unwrap_or_default().min(MAX_RETRY_AFTER)).await;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn try_connect(&mut self) -> Result<(), Error> {
        let events = self.client.follow("songs/events", None).await;
        let SongsPage { songs, next, .. } = self.client.songs_page(&SongQuery::new().with_details()).await?;
        let events = events.map_err(|why| match why {
            NotFollowed::Disconnected | NotFollowed::Busy => Error::TimedOut,
            NotFollowed::Unusable => Error::malformed(200, "the server has no events about songs"),
        })?;
        if next.is_none() {
            let listed: HashSet<_> = songs.iter().map(|song| song.id).collect();
            for id in self.known.extract_if(|id, _| !listed.contains(id)).map(|(id, _)| id) {
                self.found.push_back(Change::Deleted(id));
            }
        }
        songs.into_iter().for_each(|song| self.notice(song));
        self.events = Some(events);
        Ok(())
    }

    fn notice(&mut self, song: SongView) {
        if self.known.get(&song.id) != Some(&song) {
            if self.known.len() >= MAX_KNOWN {
                self.known.clear();
            }
            self.known.insert(song.id, song.clone());
            self.found.push_back(Change::Song(song));
        }
    }
}
