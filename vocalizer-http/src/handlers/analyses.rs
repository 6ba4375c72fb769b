//! The tempo and the key of a song.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, header};
use vocalizer_core::api::AnalysisData;

use super::{Answer, success, unmade};
use crate::app::App;
use crate::request::Request;

pub(crate) async fn analysis(app: &Arc<App>, request: Request) -> Answer {
    let (viewer, id) = (request.viewer(), request.param("song_id")?);
    let analysis = match app.songs.known_analysis(viewer, id).await? {
        Some(analysis) => analysis,
        None if request.method == Method::HEAD => {
            let json = HeaderValue::from_static("application/json");
            return Ok(unmade(HeaderMap::from_iter([(header::CONTENT_TYPE, json)])));
        }
        None => app.songs.analysis(request.client(), id).await?,
    };
    success(&AnalysisData { analysis })
}
