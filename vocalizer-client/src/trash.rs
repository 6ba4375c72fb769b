//! The trash: deleted songs that can be restored.

use futures_core::Stream;
use futures_util::stream::try_unfold;
use reqwest::Method;
use serde::de::IgnoredAny;
use vocalizer_api::id::SongId;
use vocalizer_api::{SongData, SongView, TrashData, TrashedSongView};

use crate::{Client, Error};

impl Client {
    /// Returns a stream of pages of the user's deleted songs, those first that were deleted last, with one call per page.
    /// Without a login these are the songs uploaded without one. It ends after the last page or the first error.
    ///
    /// ```
    /// # use vocalizer_client::{Error, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # use std::time::Duration;
    /// # use vocalizer_core::service::{AccountSettings, SongSettings};
    /// # let songs = SongSettings { trash: Some(Duration::from_secs(24 * 60 * 60)), ..SongSettings::default() };
    /// # let server = vocalizer_testing::TestServer::start_with(songs, AccountSettings::default()).await;
    /// # let client = server.client();
    /// # let id = client.upload(Upload::from_bytes("Clair de lune", "clair.mp3", "any bytes")).await?.id;
    /// use std::pin::pin;
    ///
    /// use futures_util::TryStreamExt;
    ///
    /// client.delete(id).await?;
    /// let mut pages = pin!(client.trash_pages());
    /// while let Some(songs) = pages.try_next().await? {
    ///     for deleted in songs {
    ///         println!("{}, deleted {}", deleted.song.title, deleted.trashed_at);
    ///         client.restore(deleted.song.id).await?;
    ///     }
    /// }
    /// # assert_eq!(client.song(id).await?.title, "Clair de lune");
    /// # Ok(())
    /// # }
    /// ```
    pub fn trash_pages(&self) -> impl Stream<Item = Result<Vec<TrashedSongView>, Error>> + Send + use<> {
        let client = self.clone();
        try_unfold(Some("songs/trash".to_owned()), move |next| {
            let client = client.clone();
            async move {
                let Some(path) = next else { return Ok::<_, Error>(None) };
                let TrashData { songs, next } = client.read(&path).await?;
                let next = next.map(|next| format!("songs/trash?after={next}"));
                if next.as_ref() == Some(&path) {
                    return Err(Error::malformed(200, "the cursor of the next page is the same as the current one"));
                }
                Ok(Some((songs, next)))
            }
        })
    }

    /// Restores a deleted song from the trash, with its share links. If deleting it cancelled its splitting, it waits again.
    ///
    /// ```
    /// # use vocalizer_client::{Error, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # use std::time::Duration;
    /// # use vocalizer_core::service::{AccountSettings, SongSettings};
    /// # let songs = SongSettings { trash: Some(Duration::from_secs(24 * 60 * 60)), ..SongSettings::default() };
    /// # let server = vocalizer_testing::TestServer::start_with(songs, AccountSettings::default()).await;
    /// # let client = server.client();
    /// # let id = client.upload(Upload::from_bytes("Clair de lune", "clair.mp3", "any bytes")).await?.id;
    /// client.delete(id).await?;
    /// let song = client.restore(id).await?;
    /// assert_eq!(song.title, "Clair de lune");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] with [`ErrorCode::NotFound`](crate::ErrorCode::NotFound) if it is not in the trash.
    pub async fn restore(&self, id: SongId) -> Result<SongView, Error> {
        let request = self.request(Method::POST, &format!("songs/{id}/restore"))?;
        self.call::<SongData>(request).await.map(|data| data.song)
    }

    /// Deletes a song in the trash for good.
    ///
    /// ```
    /// # use vocalizer_client::{Error, ErrorCode, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # use std::time::Duration;
    /// # use vocalizer_core::service::{AccountSettings, SongSettings};
    /// # let songs = SongSettings { trash: Some(Duration::from_secs(24 * 60 * 60)), ..SongSettings::default() };
    /// # let server = vocalizer_testing::TestServer::start_with(songs, AccountSettings::default()).await;
    /// # let client = server.client();
    /// # let id = client.upload(Upload::from_bytes("Clair de lune", "clair.mp3", "any bytes")).await?.id;
    /// client.delete(id).await?;
    /// client.delete_for_good(id).await?;
    /// assert!(client.restore(id).await.unwrap_err().has_code(ErrorCode::NotFound));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] with [`ErrorCode::NotFound`](crate::ErrorCode::NotFound) if it is not in the trash.
    pub async fn delete_for_good(&self, id: SongId) -> Result<(), Error> {
        let request = self.request(Method::DELETE, &format!("songs/trash/{id}"))?;
        self.call::<IgnoredAny>(request).await.map(drop)
    }
}
