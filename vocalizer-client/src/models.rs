//! Models: which a server allows, and splitting again with another.

use serde_json::{Map, Value, json};
use vocalizer_api::id::SongId;
use vocalizer_api::{ModelView, ModelsData, SongData, SongView};

use crate::{Client, Error, Stem};

/// What to split a song with.
///
/// ```
/// use vocalizer_client::{SplitWith, Stem};
///
/// let default = SplitWith::default();
/// let piano = SplitWith::model("htdemucs_6s").with_stems([Stem::PIANO]);
/// # let _ = (default, piano);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct SplitWith {
    pub(crate) model: Option<String>,
    pub(crate) stems: Vec<Stem>,
}

impl SplitWith {
    /// Splits with a model that the server allows ([`Client::models`]). Default: the server's default.
    pub fn model(name: impl Into<String>) -> Self {
        Self { model: Some(name.into()), stems: Vec::new() }
    }

    /// Asks for these stems of the model. Default: all.
    pub fn with_stems(self, stems: impl IntoIterator<Item = Stem>) -> Self {
        Self { stems: stems.into_iter().collect(), ..self }
    }

    /// Returns the form fields that are set.
    pub(crate) fn fields(&self) -> Vec<(&'static str, String)> {
        let stems = self.stems.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let stems = (!stems.is_empty()).then_some(("stems", stems));
        self.model.clone().map(|model| ("model", model)).into_iter().chain(stems).collect()
    }
}

impl Client {
    /// Returns the models that songs can be split with, the default first. Servers of earlier versions respond with
    /// [`ErrorCode::NotFound`](crate::ErrorCode::NotFound).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), vocalizer_client::Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// for model in client.models().await? {
    ///     println!("{}: {} ({})", model.name, model.stems.join(", "), model.licence.as_deref().unwrap_or("?"));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of every request.
    pub async fn models(&self) -> Result<Vec<ModelView>, Error> {
        self.read::<ModelsData>("models").await.map(|data| data.models)
    }

    /// Splits a song again, with another model or for other stems. The stems that it has can be downloaded until the new
    /// ones are there; [`wait`](Self::wait) waits for them. If the server has them already, the song is split on return.
    ///
    /// ```
    /// # use vocalizer_client::{Error, Part, SplitWith, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # let id = client.upload(Upload::from_bytes("Clair de lune", "clair.mp3", "any bytes")).await?.id;
    /// # client.wait(id).await?;
    /// client.split_again(id, &SplitWith::model("htdemucs")).await?;
    /// client.wait(id).await?;
    /// let vocals = client.download(id, Part::Vocals).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] with [`ErrorCode::Invalid`](crate::ErrorCode::Invalid) for an unknown model or stem, and names those
    /// that there are.
    pub async fn split_again(&self, id: SongId, with: &SplitWith) -> Result<SongView, Error> {
        let fields: Map<String, Value> =
            with.fields().into_iter().map(|(name, text)| (name.to_owned(), json!(text))).collect();
        self.retrying(|| async {
            let request = self.request(reqwest::Method::POST, &format!("songs/{id}/split"))?;
            let request = request.header(reqwest::header::CONTENT_TYPE, "application/json");
            self.call::<SongData>(request.body(Value::Object(fields.clone()).to_string())).await
        })
        .await
        .map(|data| data.song)
    }
}
