//! Labels of songs.

use reqwest::Method;
use serde_json::json;
use url::form_urlencoded;
use vocalizer_api::id::SongId;
use vocalizer_api::{LabelView, LabelsData, SongData, SongView};

use crate::{Client, Error};

impl Client {
    /// Returns the labels of the user's songs and of anonymous ones, each with the number of songs.
    /// [`SongQuery::labelled`](crate::SongQuery::labelled) finds these songs.
    ///
    /// ```
    /// # use vocalizer_client::{Error, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # let id = client.upload(Upload::from_bytes("Clair de lune", "clair.mp3", "any bytes")).await?.id;
    /// # client.add_label(id, "Piano").await?;
    /// for label in client.labels().await? {
    ///     println!("{:5} {}", label.songs, label.label);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The errors of every call; see [`Client`].
    pub async fn labels(&self) -> Result<Vec<LabelView>, Error> {
        self.read::<LabelsData>("labels").await.map(|data| data.labels)
    }

    /// Adds a label to a song, of at most 40 characters. A song that has it, in any case, stays as it is. Returns the song with
    /// details.
    ///
    /// ```
    /// # use vocalizer_client::{Error, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # let id = client.upload(Upload::from_bytes("Clair de lune", "clair.mp3", "any bytes")).await?.id;
    /// let song = client.add_label(id, "Piano").await?;
    /// assert_eq!(song.labels.unwrap(), ["Piano"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] if the song does not exist or the label is empty or too long; with
    /// [`ErrorCode::Conflict`](crate::ErrorCode::Conflict) if the song has 20 labels.
    pub async fn add_label(&self, id: SongId, label: &str) -> Result<SongView, Error> {
        let path = format!("songs/{id}/labels");
        self.send::<SongData>(Method::POST, &path, &json!({"label": label})).await.map(|data| data.song)
    }

    /// Removes a label from a song, if it has it, in any case. Returns the song with details.
    ///
    /// ```
    /// # use vocalizer_client::{Error, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # let id = client.upload(Upload::from_bytes("Clair de lune", "clair.mp3", "any bytes")).await?.id;
    /// client.add_label(id, "Piano & voice").await?;
    /// let song = client.remove_label(id, "piano & voice").await?;
    /// assert!(song.labels.unwrap().is_empty());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] if the song does not exist.
    pub async fn remove_label(&self, id: SongId, label: &str) -> Result<SongView, Error> {
        let query = form_urlencoded::Serializer::new(String::new()).append_pair("label", label).finish();
        let request = self.request(Method::DELETE, &format!("songs/{id}/labels?{query}"))?;
        self.call::<SongData>(request).await.map(|data| data.song)
    }
}
