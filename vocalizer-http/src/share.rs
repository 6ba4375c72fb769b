//! Share links as credentials: in `Authorization`, or in a cookie, which the page sets for the paths of one song.

use http::HeaderMap;
use vocalizer_core::account::Viewer;
use vocalizer_core::secret::Secret;
use vocalizer_core::service::{Caller, SHARE_PREFIX};
use vocalizer_core::song::SongId;

use crate::app::App;
use crate::cookie;
use crate::failure::Failure;
use crate::request::{Peer, proof, token};
use crate::settings::HttpSettings;

/// The secret of a share link, as a request carries it.
pub(crate) enum Shown {
    /// In `Authorization`, so on purpose.
    Bearer(Secret<String>),
    /// In a cookie, which browsers send automatically.
    Cookie(Secret<String>),
}

/// Returns the secret of a share link that a request carries. Another token in `Authorization` has priority over a
/// cookie.
pub(crate) fn shown(headers: &HeaderMap, peer: Peer, settings: &HttpSettings) -> Option<Shown> {
    match token(headers, peer, settings) {
        Some(token) => token.expose().starts_with(SHARE_PREFIX).then_some(Shown::Bearer(token)),
        None => cookie::share(headers).map(Shown::Cookie),
    }
}

/// Identifies the caller of an operation that reads a song. A link in a cookie counts only if the caller cannot see the
/// song without it: it may be revoked.
pub(crate) async fn reader(
    app: &App,
    headers: &HeaderMap,
    peer: Peer,
    song: Option<SongId>,
) -> Result<Caller, Failure> {
    let (secret, own) = match shown(headers, peer, &app.settings) {
        None => return Ok(app.accounts.authenticate(proof(headers, peer, &app.settings).as_ref()).await?),
        Some(Shown::Bearer(secret)) => (secret, None),
        Some(Shown::Cookie(secret)) => {
            (secret, Some(app.accounts.authenticate(proof(headers, peer, &app.settings).as_ref()).await?))
        }
    };
    if let (Some(own), Some(song)) = (own, song)
        && app.songs.is_visible(own.viewer, song).await?
    {
        return Ok(own);
    }
    let link = app.songs.open_share(&secret, peer.address).await?;
    Ok(Caller { viewer: Viewer::Shared(link.song), ..Caller::ANONYMOUS })
}

/// Returns a path for the log, without the secret of a share link. A program that encodes the `#` of a link requests the
/// secret as a path.
pub(crate) fn loggable(path: &str) -> &str {
    path.split_once(SHARE_PREFIX).map_or(path, |(before, _)| before)
}
