//! Names of stems for audio workstations.

use std::sync::Arc;

use vocalizer_core::api::{Analysis, Tonic};

use crate::app::App;
use crate::disposition::Label;
use crate::failure::Failure;
use crate::fields;
use crate::request::Request;

/// Below this confidence, what was found in a song is not put into names.
const SURE: f64 = 0.3;

/// Returns what goes into the names of stems besides number and title: tempo and key from the query, or else from the song's analysis if it has
/// been made. `None` if names are not to be numbered.
pub(super) async fn label(app: &Arc<App>, request: &Request) -> Result<Option<Label>, Failure> {
    let query = request.query();
    let (tempo_bpm, key) = (query.number(&fields::TEMPO)?, query.get(&fields::KEY, key_name)?);
    if !query.has(&fields::NUMBERED) {
        return Ok(None);
    }
    if tempo_bpm.is_some() && key.is_some() {
        return Ok(Some(Label { tempo_bpm, key }));
    }
    let known = app.songs.known_analysis(request.viewer(), request.param("song_id")?).await?;
    let Analysis { tempo, key: found, .. } = known.unwrap_or_default();
    let bpm = tempo.filter(|tempo| tempo.confidence >= SURE).map(|tempo| whole(tempo.bpm));
    let found = found.filter(|key| key.confidence >= SURE).map(|key| key.to_string());
    Ok(Some(Label { tempo_bpm: tempo_bpm.or(bpm), key: key.or(found) }))
}

/// Returns the name of a key if it is one, such as `F#m`.
fn key_name(text: &str) -> Option<String> {
    let tonic = text.strip_suffix('m').unwrap_or(text);
    Tonic::ALL.iter().any(|each| each.name() == tonic).then(|| text.to_owned())
}

#[expect(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "a tempo is a small positive number")]
fn whole(bpm: f64) -> u64 {
    bpm.round() as u64
}
