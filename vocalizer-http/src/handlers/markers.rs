//! Markers in songs.

use std::sync::Arc;

use vocalizer_core::api::{MarkerData, MarkersData};

use super::{Answer, success};
use crate::app::App;
use crate::failure::Failure;
use crate::fields;
use crate::request::Request;

pub(crate) async fn list(app: &Arc<App>, request: Request) -> Answer {
    let markers = app.songs.markers(request.viewer(), request.param("song_id")?).await?;
    success(&MarkersData { markers })
}

pub(crate) async fn create(app: &Arc<App>, request: Request) -> Answer {
    let (viewer, id) = (request.viewer(), request.param("song_id")?);
    let mut form = request.form().await?;
    let missing = || Failure::field(fields::AT_MS.name, "at_ms is missing: the time in the song in milliseconds");
    let at_ms = form.number(&fields::AT_MS)?.ok_or_else(missing)?;
    let marker = app.songs.add_marker(viewer, id, at_ms, form.take(&fields::MARKER_NAME).expose()).await?;
    success(&MarkerData { marker })
}

pub(crate) async fn change(app: &Arc<App>, request: Request) -> Answer {
    let (viewer, id, marker) = (request.viewer(), request.param("song_id")?, request.param("marker_id")?);
    let mut form = request.form().await?;
    let (at_ms, name) = (form.number(&fields::AT_MS)?, form.take(&fields::MARKER_NAME));
    let name = Some(name.expose().as_str()).filter(|name| !name.is_empty());
    let marker = app.songs.change_marker(viewer, id, marker, at_ms, name).await?;
    success(&MarkerData { marker })
}

pub(crate) async fn delete(app: &Arc<App>, request: Request) -> Answer {
    app.songs.remove_marker(request.viewer(), request.param("song_id")?, request.param("marker_id")?).await?;
    success(&())
}
