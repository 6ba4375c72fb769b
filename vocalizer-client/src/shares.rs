//! Share links.

use reqwest::Method;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use vocalizer_api::id::{ShareId, SongId};
use vocalizer_api::part::Stem;
use vocalizer_api::secret::Secret;
use vocalizer_api::{NewShareData, ShareMix, ShareView, SharedData, SharesData};

use crate::{Client, Error};

/// What a new share link is to have; by default it lasts until it is revoked and has no mix.
///
/// ```
/// use vocalizer_client::{Share, ShareMix, Stem};
///
/// let karaoke = ShareMix::default().with_level(Stem::VOCALS, 0.0);
/// let share = Share::new().until("2030-12-31").with_mix(karaoke);
/// # assert_ne!(share, Share::new());
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[must_use]
pub struct Share {
    expires_at: Option<String>,
    mix: Option<ShareMix>,
}

impl Share {
    /// Returns a share link without an end and without a mix.
    pub const fn new() -> Self {
        Self { expires_at: None, mix: None }
    }

    /// The link expires at this time (RFC 3339), or at the end of this date in UTC.
    pub fn until(self, expires_at: impl Into<String>) -> Self {
        Self { expires_at: Some(expires_at.into()), ..self }
    }

    /// The link opens with this mix.
    pub fn with_mix(self, mix: ShareMix) -> Self {
        Self { mix: Some(mix), ..self }
    }

    /// Returns the fields of the request.
    fn form(&self) -> Map<String, Value> {
        let mut form = Map::new();
        form.extend(self.expires_at.iter().map(|end| ("expires_at".to_owned(), end.as_str().into())));
        let Some(ShareMix { levels, start_ms, loop_ms, .. }) = &self.mix else { return form };
        // Only the four stems of the original system have fields of their own.
        let (four, others): (Vec<_>, Vec<_>) = levels.iter().partition(|(stem, _)| Stem::FOUR.contains(stem));
        form.extend(four.into_iter().map(|(stem, &gain)| (stem.to_string(), gain.into())));
        if !others.is_empty() {
            let others: Vec<_> = others.into_iter().map(|(stem, gain)| format!("{stem}:{gain}")).collect();
            form.insert("levels".to_owned(), others.join(",").into());
        }
        form.extend(start_ms.iter().map(|&at| ("start_ms".to_owned(), at.into())));
        if let Some([from, to]) = *loop_ms {
            form.extend([("loop_from_ms".to_owned(), from.into()), ("loop_to_ms".to_owned(), to.into())]);
        }
        form
    }
}

/// A new share link.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NewShare {
    /// The link's metadata.
    pub share: ShareView,
    /// The secret: the token of a client that [opens](Client::shared) the link. The server returns it only once.
    pub secret: Secret<String>,
    /// The address of the page that opens the link. It contains the secret.
    pub url: Secret<String>,
}

impl Client {
    /// Creates a share link: everyone who has it may listen to the song and download it, without an account.
    ///
    /// ```
    /// # use vocalizer_client::{Part, Share, ShareMix, Stem, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # let song = client.upload(Upload::from_bytes("Clair de lune", "clair.mp3", "any bytes")).await?;
    /// # client.wait(song.id).await?;
    /// let karaoke = ShareMix::default().with_level(Stem::VOCALS, 0.0);
    /// let created = client.share(song.id, Share::new().until("2999-12-31").with_mix(karaoke)).await?;
    /// println!("send this to friends: {}", created.url.expose());
    ///
    /// // A friend's program, without an account.
    /// let friend = client.with_token(created.secret)?;
    /// let vocals = friend.download_bytes(song.id, Part::Vocals, 1_000_000).await?;
    /// # assert_eq!(vocals, "fake vocals");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] if the song does not exist, or the server rejects the time or the mix; with
    /// [`ErrorCode::Conflict`](crate::ErrorCode::Conflict) if the song has too many links, or sharing is off.
    pub async fn share(&self, id: SongId, share: Share) -> Result<NewShare, Error> {
        let path = format!("songs/{id}/shares");
        let NewShareData { share, secret } = self.send(Method::POST, &path, &share.form()).await?;
        let mut url = self.url("")?;
        url.set_fragment(Some(&format!("/s/{secret}")));
        Ok(NewShare { share, secret: secret.into(), url: url.to_string().into() })
    }

    /// Returns the share links of a song, newest first.
    ///
    /// ```
    /// # use vocalizer_client::{Share, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # let song = client.upload(Upload::from_bytes("Clair de lune", "clair.mp3", "any bytes")).await?;
    /// # client.share(song.id, Share::new().until("2999-12-31")).await?;
    /// for share in client.shares(song.id).await? {
    ///     println!("{}: expires {}", share.id, share.expires_at.as_deref().unwrap_or("never"));
    /// }
    /// # assert_eq!(client.shares(song.id).await?[0].expires_at.as_deref(), Some("2999-12-31T23:59:59Z"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] with [`ErrorCode::NotFound`](crate::ErrorCode::NotFound) if the song does not exist or belongs to
    /// another user.
    pub async fn shares(&self, id: SongId) -> Result<Vec<ShareView>, Error> {
        self.read::<SharesData>(&format!("songs/{id}/shares")).await.map(|data| data.shares)
    }

    /// Revokes a share link of a song.
    ///
    /// ```
    /// # use vocalizer_client::{ErrorCode, Share, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # let song = client.upload(Upload::from_bytes("Clair de lune", "clair.mp3", "any bytes")).await?;
    /// let created = client.share(song.id, Share::new()).await?;
    /// client.revoke_share(song.id, created.share.id).await?;
    ///
    /// let error = client.with_token(created.secret)?.song(song.id).await.unwrap_err();
    /// assert!(error.has_code(ErrorCode::NotFound));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] with [`ErrorCode::NotFound`](crate::ErrorCode::NotFound) if the song has no such link.
    pub async fn revoke_share(&self, id: SongId, share: ShareId) -> Result<(), Error> {
        let request = self.request(Method::DELETE, &format!("songs/{id}/shares/{share}"))?;
        self.call::<IgnoredAny>(request).await.map(drop)
    }

    /// Returns the song and the mix of a share link. The client's [token](Self::with_token) is the link's secret: what
    /// is after `#/s/` in its address. With it, [`song`](Self::song), [`peaks`](Self::peaks) and downloads work for this
    /// song.
    ///
    /// ```
    /// # use vocalizer_client::{Share, ShareMix, Stem, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # let song = client.upload(Upload::from_bytes("Clair de lune", "clair.mp3", "any bytes")).await?;
    /// # let mix = ShareMix::default().with_level(Stem::VOCALS, 0.5).with_start_ms(30_000).with_loop_ms(30_000, 60_000);
    /// # let link = client.share(song.id, Share::new().with_mix(mix.clone())).await?.url.into_exposed();
    /// let (_, secret) = link.split_once("#/s/").ok_or("not a share link")?;
    /// let friend = client.with_token(secret.to_owned())?;
    /// let shared = friend.shared().await?;
    /// println!("{}, mixed: {}", shared.song.title, shared.mix.is_some());
    /// # assert_eq!((shared.song.title.as_str(), shared.mix), ("Clair de lune", Some(mix)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] with [`ErrorCode::NotFound`](crate::ErrorCode::NotFound) if the link is unknown, expired or
    /// revoked, or its song was deleted.
    pub async fn shared(&self) -> Result<SharedData, Error> {
        self.read("share").await
    }
}
