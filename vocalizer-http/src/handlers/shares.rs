//! Share links.

use std::sync::Arc;

use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};
use vocalizer_core::api::{ErrorCode, NewShareData, ShareMix, SharesData};
use vocalizer_core::service::{IssuedShare, Levels};

use super::{Answer, success};
use crate::app::App;
use crate::failure::Failure;
use crate::fields;
use crate::form::Form;
use crate::request::Request;
use crate::share::{Shown, shown};

pub(crate) async fn create(app: &Arc<App>, request: Request) -> Answer {
    let (viewer, id) = (request.viewer(), request.param("song_id")?);
    let mut form = request.form().await?;
    let expires_at = match form.take(&fields::EXPIRES_AT).expose().as_str() {
        "" => None,
        text => Some(end(text)?),
    };
    let mix = mix(&mut form)?;
    let IssuedShare { share, secret } = app.songs.share(viewer, id, expires_at, mix).await?;
    success(&NewShareData { share, secret: secret.into_exposed() })
}

pub(crate) async fn list(app: &Arc<App>, request: Request) -> Answer {
    let shares = app.songs.shares(request.viewer(), request.param("song_id")?).await?;
    success(&SharesData { shares })
}

pub(crate) async fn revoke(app: &Arc<App>, request: Request) -> Answer {
    app.songs.revoke_share(request.viewer(), request.param("song_id")?, request.param("share_id")?).await?;
    success(&())
}

pub(crate) async fn open(app: &Arc<App>, request: Request) -> Answer {
    let Some(Shown::Bearer(secret)) = shown(&request.headers, request.peer, &app.settings) else {
        let message = "send the secret of a share link as a bearer token";
        return Err(Failure::new(ErrorCode::Unauthenticated, message));
    };
    success(&app.songs.shared(&secret, request.peer.address).await?)
}

/// Parses the end of a link: a time, or a date, which includes its last second in UTC.
fn end(text: &str) -> Result<OffsetDateTime, Failure> {
    let last_second = format!("{text}T23:59:59Z");
    let end = [text, &last_second].iter().find_map(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
    let end = end.and_then(|end| end.checked_to_offset(UtcOffset::UTC));
    end.ok_or_else(|| {
        Failure::field(fields::EXPIRES_AT.name, "expires_at must be a date, as in 2030-12-31, or a time in RFC 3339")
    })
}

/// Returns the mix in the form, if it has any field of one.
fn mix(form: &mut Form) -> Result<Option<ShareMix>, Failure> {
    let mut mix = ShareMix::default();
    for (stem, field) in fields::GAINS {
        let text = form.take(field);
        if !text.expose().is_empty() {
            let gain = text.expose().parse().ok().filter(|gain| (0.0..=Levels::MOST).contains(gain));
            let message = || format!("{} must be a number from 0 to {}", field.name, Levels::MOST);
            mix = mix.with_level(stem, gain.ok_or_else(|| Failure::field(field.name, message()))?);
        }
    }
    let others = form.take(&fields::LEVELS);
    if !others.expose().is_empty() {
        let message = || format!("levels must be as in piano:0.5,guitar:0, with numbers from 0 to {}", Levels::MOST);
        let levels = fields::levels(others.expose());
        let levels = levels.ok_or_else(|| Failure::field(fields::LEVELS.name, message()))?;
        mix = levels.into_iter().fold(mix, |mix, (stem, gain)| mix.with_level(stem, gain));
    }
    mix.start_ms = form.number(&fields::START_MS)?;
    match (form.number(&fields::LOOP_FROM_MS)?, form.number(&fields::LOOP_TO_MS)?) {
        (None, None) => {}
        (Some(from_ms), Some(to_ms)) => mix.loop_ms = Some([from_ms, to_ms]),
        (None, Some(_)) => return Err(Failure::field(fields::LOOP_FROM_MS.name, "loop_to_ms requires loop_from_ms")),
        (Some(_), None) => return Err(Failure::field(fields::LOOP_TO_MS.name, "loop_from_ms requires loop_to_ms")),
    }
    Ok((mix != ShareMix::default()).then_some(mix))
}
