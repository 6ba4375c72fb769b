//! The calls.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::{Method, RequestBuilder};
use serde::de::{DeserializeOwned, IgnoredAny};
use tokio::time::{sleep, timeout};
use url::Url;
use vocalizer_core::api::{SongData, SongStatus, SongView, SongsData};
use vocalizer_core::part::Part;
use vocalizer_core::secret::Secret;
use vocalizer_core::song::{FailureReason, SongId};

use crate::{ClientBuilder, Download, Error, Upload, answer};

/// How often in a row [`Client::wait`] looks in vain before it gives up: a server that restarts is back by then.
const MAX_MISSES: u32 = 5;

/// A connection to one server, with at most one user's session.
///
/// Every call can end in [`Error::Transport`], [`Error::TimedOut`], [`Error::Api`] and the errors about answers that make
/// no sense ([`Error::WrongType`], [`Error::Malformed`], [`Error::Limit`]). A call whose future is dropped may or may not
/// have reached the server.
#[derive(Clone)]
pub struct Client {
    pub(crate) http: reqwest::Client,
    pub(crate) base: Arc<Url>,
    pub(crate) timeout: Duration,
    pub(crate) max_answer_bytes: u64,
    pub(crate) first_poll: Duration,
    pub(crate) longest_poll: Duration,
}

impl Client {
    /// Begins to set up a client for the server at this address, such as `https://vocalizer.example` or
    /// `http://127.0.0.1:8000`; a path is kept, and the calls go below it.
    pub fn builder(address: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(address.into())
    }

    /// Registers a user and logs in.
    ///
    /// # Errors
    ///
    /// [`Error::Api`] when the name is taken, or the server does not accept the name or the password.
    pub async fn register(&self, username: &str, password: &Secret<String>) -> Result<(), Error> {
        let fields = [("username", username), ("password1", password.expose()), ("password2", password.expose())];
        let request = self.request(Method::POST, "auth/register")?.form(&fields);
        self.call::<IgnoredAny>(request.timeout(self.timeout)).await.map(drop)
    }

    /// Logs in. What is uploaded from now on is this user's alone.
    ///
    /// # Errors
    ///
    /// [`Error::Api`] when the name and the password do not match.
    pub async fn login(&self, username: &str, password: &Secret<String>) -> Result<(), Error> {
        let fields = [("username", username), ("password", password.expose())];
        let request = self.request(Method::POST, "auth/login")?.form(&fields);
        self.call::<IgnoredAny>(request.timeout(self.timeout)).await.map(drop)
    }

    /// Ends the session.
    ///
    /// # Errors
    ///
    /// Those of every call.
    pub async fn logout(&self) -> Result<(), Error> {
        let request = self.request(Method::POST, "auth/logout")?;
        self.call::<IgnoredAny>(request.timeout(self.timeout)).await.map(drop)
    }

    /// Uploads a song, which then waits to be split. A repeat is another song with the same bytes.
    ///
    /// No timeout applies; wrap the call in one where it matters.
    ///
    /// # Errors
    ///
    /// [`Error::File`] for a file that cannot be opened, [`Error::Api`] when the server does not want the song, and
    /// [`Error::Transport`] also when the file or the stream fails on the way.
    pub async fn upload(&self, upload: Upload) -> Result<SongView, Error> {
        let form = upload.into_form().await?;
        let request = self.request(Method::POST, "songs/upload")?.multipart(form);
        self.call::<SongData>(request).await.map(|data| data.song)
    }

    /// The songs that this session's user may see, or everybody's without a session.
    ///
    /// # Errors
    ///
    /// Those of every call.
    pub async fn songs(&self) -> Result<Vec<SongView>, Error> {
        let request = self.request(Method::GET, "songs/")?;
        self.call::<SongsData>(request.timeout(self.timeout)).await.map(|data| data.songs)
    }

    /// One song.
    ///
    /// # Errors
    ///
    /// [`Error::Api`] with [`ErrorCode::NotFound`](crate::ErrorCode::NotFound) when there is none that may be seen.
    pub async fn song(&self, id: SongId) -> Result<SongView, Error> {
        let request = self.request(Method::GET, &format!("songs/{id}"))?;
        self.call::<SongData>(request.timeout(self.timeout)).await.map(|data| data.song)
    }

    /// Deletes a song and its stems.
    ///
    /// # Errors
    ///
    /// [`Error::Api`] with [`ErrorCode::NotFound`](crate::ErrorCode::NotFound) when there is none that may be deleted, so
    /// that of two calls the second ends here.
    pub async fn delete(&self, id: SongId) -> Result<(), Error> {
        let request = self.request(Method::DELETE, &format!("songs/{id}"))?;
        self.call::<IgnoredAny>(request.timeout(self.timeout)).await.map(drop)
    }

    /// Waits until a song is split, looking again and again, less often the longer it takes, and returns it.
    ///
    /// A server that is away for a moment is waited for. There is no bound on the whole, since a queue may be long.
    ///
    /// # Errors
    ///
    /// [`Error::NotSplit`] when the song could not be split; else what [`Client::song`] said, if it was not
    /// [transient](Error::is_transient) or was said too often in a row.
    pub async fn wait(&self, id: SongId) -> Result<SongView, Error> {
        let mut pause = self.first_poll;
        let mut misses = 0;
        loop {
            match self.song(id).await {
                Ok(song) if song.status == SongStatus::Split => return Ok(song),
                Ok(song) if song.status == SongStatus::Failed => {
                    let reason = song.failure_reason.unwrap_or_default();
                    return Err(Error::NotSplit { reason: FailureReason::new(&reason).as_str().to_owned() });
                }
                Ok(_) => misses = 0,
                Err(error) if error.is_transient() && misses < MAX_MISSES => misses += 1,
                Err(error) => return Err(error),
            }
            sleep(pause).await;
            pause = pause.saturating_mul(3) / 2;
            pause = pause.min(self.longest_poll);
        }
    }

    /// Begins to download a part.
    ///
    /// # Errors
    ///
    /// [`Error::Api`] when the song is not there or the part not yet; [`Error::WrongType`] for what is no audio.
    pub async fn download(&self, id: SongId, part: Part) -> Result<Download, Error> {
        let request = self.request(Method::GET, &format!("songs/{id}/{part}.mp3"))?;
        let response =
            timeout(self.timeout, request.send()).await.map_err(|_| Error::TimedOut)?.map_err(Error::sending)?;
        if response.status() == reqwest::StatusCode::OK && answer::may_be_audio(&response) {
            return Ok(Download::new(response, self.timeout));
        }
        if !answer::is_json(&response) {
            return Err(answer::wrong_type(&response, "audio"));
        }
        let status = response.status().as_u16();
        let said = answer::data::<IgnoredAny>(response, self.max_answer_bytes);
        timeout(self.timeout, said).await.map_err(|_| Error::TimedOut)??;
        Err(Error::Malformed { status, source: "it says that all is well and brings no audio".into() })
    }

    /// Downloads a part into memory, if it is no more than `max_bytes`.
    ///
    /// # Errors
    ///
    /// Those of [`Client::download`] and [`Download::into_bytes`].
    pub async fn download_bytes(&self, id: SongId, part: Part, max_bytes: u64) -> Result<Bytes, Error> {
        self.download(id, part).await?.into_bytes(max_bytes).await
    }

    /// Downloads a part into a file, replacing what is there.
    ///
    /// The file is there whole or not at all: until it is, the bytes are beside it under its name with `.part`.
    ///
    /// # Errors
    ///
    /// Those of [`Client::download`]; [`Error::File`] when the file cannot be written.
    pub async fn download_to(&self, id: SongId, part: Part, path: impl AsRef<Path>) -> Result<(), Error> {
        self.download(id, part).await?.into_file(path.as_ref()).await
    }

    fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, Error> {
        let url = self.base.join(path).map_err(|_| Error::Address { reason: "no path can be put below it" })?;
        Ok(self.http.request(method, url))
    }

    async fn call<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Error> {
        answer::data(request.send().await.map_err(Error::sending)?, self.max_answer_bytes).await
    }
}

/// Says which server, and nothing of the session: its cookie is as good as the password.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}
