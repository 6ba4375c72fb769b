//! Share links: everyone who has one may listen to its song and download it, without an account.

use std::net::IpAddr;

use time::OffsetDateTime;

use super::accounts::{KEEP_EXPIRED, random};
use super::{Levels, ServiceError, SongService};
use crate::account::{SessionDigest, ShareId, ShareLink, Viewer, household};
use crate::api::{ShareMix, ShareView, SharedData};
use crate::secret::Secret;
use crate::song::SongId;
use crate::wire::rfc3339;

/// The prefix of a share link's secret, so that programs, people and secret scanners recognise one.
pub const SHARE_PREFIX: &str = "vcs_";

/// A new share link.
#[derive(Debug)]
pub struct IssuedShare {
    /// The link as its owner sees it from now on.
    pub share: ShareView,
    /// The secret. It is shown only once.
    pub secret: Secret<String>,
}

impl SongService {
    /// Creates a share link for a song, until a time or without an end, and optionally with a mix to start with.
    ///
    /// ```
    /// # #[cfg(not(feature = "memory"))] fn main() {}
    /// # #[cfg(feature = "memory")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::{sync::Arc, time::Duration};
    /// # use vocalizer_core::{account::*, api::*, limits::*, memory::*, part::*, ports::*, service::*, song::*};
    /// # let (songs, blobs, queue) = (Arc::<MemorySongs>::default(), Arc::<MemoryBlobs>::default(), Arc::new(IdleQueue));
    /// # let clock = Arc::new(ManualClock::new());
    /// # let service = SongService::builder_with_clock(songs, blobs, queue, clock).build();
    /// # let mut upload = service.begin_upload(Viewer::Anonymous).await?;
    /// # upload.write("the file".into()).await?;
    /// # let song = upload.finish("Clair de lune").await?;
    /// let karaoke = ShareMix::default().with_level(Stem::VOCALS, 0.0);
    /// let IssuedShare { share, secret } = service.share(Viewer::Anonymous, song.id, None, Some(karaoke)).await?;
    ///
    /// // Another client has the secret.
    /// let link = service.open_share(&secret, "192.0.2.1".parse()?).await?;
    /// assert_eq!((link.id, link.song), (share.id, song.id));
    /// assert_eq!(service.song(Viewer::Shared(link.song), song.id).await?.title, "Clair de lune");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ServiceError::Invalid`] for the time or the mix, [`ServiceError::Conflict`] at the limit of links,
    /// [`ServiceError::NotFound`], also for another user's song; [`ServiceError::Unavailable`] or
    /// [`ServiceError::Internal`].
    pub async fn share(
        &self,
        viewer: Viewer,
        id: SongId,
        expires_at: Option<OffsetDateTime>,
        mix: Option<ShareMix>,
    ) -> Result<IssuedShare, ServiceError> {
        let song = self.changeable(viewer, id).await?;
        let max_shares = self.settings().limits.max_shares;
        if max_shares == 0 {
            return Err(ServiceError::Conflict { message: "sharing is off on this server", field: None });
        }
        // Stores keep microseconds.
        let now = self.ports().clock.now().truncate_to_microsecond();
        let expires_at = expires_at.map(OffsetDateTime::truncate_to_microsecond);
        if expires_at.is_some_and(|end| end <= now) {
            return Err(ServiceError::invalid("expires_at", "expires_at must be in the future"));
        }
        if let Some(mix) = &mix {
            check(mix)?;
        }
        let secret = Secret::new(format!("{SHARE_PREFIX}{}", random()?));
        let digest = SessionDigest::of(&secret);
        let link = ShareLink { id: ShareId::random(), digest, song: song.id(), created_at: now, expires_at, mix };
        if !self.ports().songs.insert_share(&link, max_shares, now).await? {
            let message = "too many share links; revoke one that is no longer used";
            return Err(ServiceError::Conflict { message, field: None });
        }
        tracing::info!(song = %id, share = %link.id, "share link created");
        Ok(IssuedShare { share: link.into(), secret })
    }

    /// Returns the share links of a song, newest first.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`], also for another user's song; [`ServiceError::Unavailable`] or
    /// [`ServiceError::Internal`].
    pub async fn shares(&self, viewer: Viewer, id: SongId) -> Result<Vec<ShareView>, ServiceError> {
        let song = self.changeable(viewer, id).await?;
        Ok(self.ports().songs.shares(song.id()).await?.into_iter().map(ShareView::from).collect())
    }

    /// Revokes a share link of a song. Downloads that have begun continue.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`], also for a link of another song; [`ServiceError::Unavailable`] or
    /// [`ServiceError::Internal`].
    pub async fn revoke_share(&self, viewer: Viewer, id: SongId, share: ShareId) -> Result<(), ServiceError> {
        let song = self.changeable(viewer, id).await?;
        match self.ports().songs.revoke_share(song.id(), share).await? {
            true => {
                tracing::info!(song = %id, %share, "share link revoked");
                Ok(())
            }
            false => Err(NO_SHARE),
        }
    }

    /// Returns the share link with a secret. Its song is visible to [`Viewer::Shared`].
    ///
    /// Unknown secrets are counted per address, as wrong passwords are. A link that was opened before is not, so guesses
    /// from the same address cannot lock it out.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`], equally for a link that is unknown, expired, revoked or whose song was deleted;
    /// [`ServiceError::Throttled`], [`ServiceError::Unavailable`] or [`ServiceError::Internal`].
    pub async fn open_share(&self, secret: &Secret<String>, address: IpAddr) -> Result<ShareLink, ServiceError> {
        let (ports, known) = (self.ports(), self.known_shares());
        let (digest, now) = (SessionDigest::of(secret), ports.clock.now());
        let is_known = known.has(digest);
        let key = format!("share {}", household(address));
        if !is_known
            && let Some(retry_after) = ports.attempts.attempt(&key, &self.settings().share_guesses, now).await?
        {
            return Err(ServiceError::Throttled { retry_after });
        }
        let link = ports.songs.find_share(digest, now).await?;
        match (&link, is_known) {
            (Some(_), false) => {
                ports.attempts.take_back(&key, now).await?;
                known.add(digest);
            }
            (None, true) => known.remove(digest),
            _ => {}
        }
        link.ok_or(NO_SHARE)
    }

    /// Returns what the share link with a secret opens: the song without its uploader, and the mix.
    ///
    /// # Errors
    ///
    /// As [`Self::open_share`].
    pub async fn shared(&self, secret: &Secret<String>, address: IpAddr) -> Result<SharedData, ServiceError> {
        let link = self.open_share(secret, address).await?;
        let song = self.song(Viewer::Shared(link.song), link.song).await?;
        Ok(SharedData::new(song, link.expires_at.map(rfc3339), link.mix))
    }

    /// Returns whether the song exists and the viewer may see it.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Unavailable`] or [`ServiceError::Internal`].
    pub async fn is_visible(&self, viewer: Viewer, id: SongId) -> Result<bool, ServiceError> {
        Ok(self.ports().songs.find(id).await?.is_some_and(|song| viewer.may_see(&song)))
    }

    /// Deletes share links that expired [long ago](KEEP_EXPIRED), so that a clock that runs ahead for a while ends none
    /// permanently, and attempts that are due.
    pub(super) async fn sweep_shares(&self) -> Result<(), ServiceError> {
        let now = self.ports().clock.now();
        self.ports().attempts.forget(now).await?;
        self.ports().songs.forget_expired_shares(now.saturating_sub(KEEP_EXPIRED)).await?;
        Ok(())
    }
}

const NO_SHARE: ServiceError = ServiceError::NotFound { what: "share link" };

/// The most stems of a mix. Models have fewer.
const MAX_LEVELS: usize = 32;

/// Checks that a player can apply the mix.
fn check(mix: &ShareMix) -> Result<(), ServiceError> {
    if mix.levels.len() > MAX_LEVELS {
        return Err(ServiceError::invalid("levels", format!("a mix has levels of at most {MAX_LEVELS} stems")));
    }
    if mix.levels.values().any(|gain| !(0.0..=Levels::MOST).contains(gain)) {
        let message = format!("the gain of a stem must be a number from 0 to {}", Levels::MOST);
        return Err(ServiceError::invalid("mix", message));
    }
    if mix.loop_ms.is_some_and(|[from_ms, to_ms]| from_ms >= to_ms) {
        return Err(ServiceError::invalid("loop_to_ms", "the loop must end after its start"));
    }
    Ok(())
}
