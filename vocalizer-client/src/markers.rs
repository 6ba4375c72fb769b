//! Markers in songs.

use reqwest::Method;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use vocalizer_api::id::{MarkerId, SongId};
use vocalizer_api::{MarkerData, MarkerView, MarkersData};

use crate::{Client, Error};

impl Client {
    /// Returns the markers of a song, in the order of their times.
    ///
    /// ```
    /// # use vocalizer_client::{Error, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # let id = client.upload(Upload::from_bytes("Clair de lune", "clair.mp3", "any bytes")).await?.id;
    /// # client.add_marker(id, 61_500, "Chorus").await?;
    /// for marker in client.markers(id).await? {
    ///     println!("{:7.1} s {}", marker.at_ms as f64 / 1000.0, marker.name);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] if the song does not exist.
    pub async fn markers(&self, id: SongId) -> Result<Vec<MarkerView>, Error> {
        self.read::<MarkersData>(&format!("songs/{id}/markers")).await.map(|data| data.markers)
    }

    /// Adds a marker to a song: a name for a time in milliseconds. Users see it on all their devices, and guests with a
    /// share link see it, too.
    ///
    /// ```
    /// # use vocalizer_client::{Error, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # let id = client.upload(Upload::from_bytes("Clair de lune", "clair.mp3", "any bytes")).await?.id;
    /// let chorus = client.add_marker(id, 61_500, "Chorus").await?;
    /// # assert_eq!(client.markers(id).await?, [chorus]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] if the song does not exist or the name is empty or too long; with
    /// [`ErrorCode::Conflict`](crate::ErrorCode::Conflict) if the song has 200 markers.
    pub async fn add_marker(&self, id: SongId, at_ms: u64, name: &str) -> Result<MarkerView, Error> {
        let path = format!("songs/{id}/markers");
        let data: MarkerData = self.send(Method::POST, &path, &form(Some(at_ms), Some(name))).await?;
        Ok(data.marker)
    }

    /// Changes the time of a marker, its name, or both.
    ///
    /// ```
    /// # use vocalizer_client::{Error, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # let id = client.upload(Upload::from_bytes("Clair de lune", "clair.mp3", "any bytes")).await?.id;
    /// let chorus = client.add_marker(id, 61_500, "Chorus").await?;
    /// let chorus = client.change_marker(id, chorus.id, None, Some("First chorus")).await?;
    /// # assert_eq!((chorus.at_ms, chorus.name.as_str()), (61_500, "First chorus"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] if the song has no such marker, or for the name.
    pub async fn change_marker(
        &self,
        id: SongId,
        marker: MarkerId,
        at_ms: Option<u64>,
        name: Option<&str>,
    ) -> Result<MarkerView, Error> {
        let path = format!("songs/{id}/markers/{marker}");
        let data: MarkerData = self.send(Method::PATCH, &path, &form(at_ms, name)).await?;
        Ok(data.marker)
    }

    /// Deletes a marker.
    ///
    /// ```
    /// # use vocalizer_client::{Error, Upload};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # let id = client.upload(Upload::from_bytes("Clair de lune", "clair.mp3", "any bytes")).await?.id;
    /// let chorus = client.add_marker(id, 61_500, "Chorus").await?;
    /// client.delete_marker(id, chorus.id).await?;
    /// # assert_eq!(client.markers(id).await?, []);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] with [`ErrorCode::NotFound`](crate::ErrorCode::NotFound) if the song has no such marker.
    pub async fn delete_marker(&self, id: SongId, marker: MarkerId) -> Result<(), Error> {
        let request = self.request(Method::DELETE, &format!("songs/{id}/markers/{marker}"))?;
        self.call::<IgnoredAny>(request).await.map(drop)
    }
}

/// Returns the fields of a request.
fn form(at_ms: Option<u64>, name: Option<&str>) -> Map<String, Value> {
    let mut form = Map::new();
    form.extend(at_ms.map(|at_ms| ("at_ms".to_owned(), at_ms.into())));
    form.extend(name.map(|name| ("name".to_owned(), name.into())));
    form
}
