//! Labels of songs.

use std::sync::Arc;

use vocalizer_core::api::{LabelsData, SongData};

use super::{Answer, success};
use crate::app::App;
use crate::fields;
use crate::request::Request;

pub(crate) async fn list(app: &Arc<App>, request: Request) -> Answer {
    success(&LabelsData { labels: app.songs.labels(request.viewer()).await? })
}

pub(crate) async fn add(app: &Arc<App>, request: Request) -> Answer {
    let (viewer, id) = (request.viewer(), request.param("song_id")?);
    let label = request.form().await?.take(&fields::LABEL);
    success(&SongData { song: app.songs.add_label(viewer, id, label.expose()).await? })
}

pub(crate) async fn remove(app: &Arc<App>, request: Request) -> Answer {
    let (viewer, id) = (request.viewer(), request.param("song_id")?);
    let label = request.query().get(&fields::LABEL_REMOVED, |text| Some(text.to_owned()))?.unwrap_or_default();
    success(&SongData { song: app.songs.remove_label(viewer, id, &label).await? })
}
