//! Tests of share links under guesses, expiry and deletion.

#![expect(clippy::unwrap_used, reason = "clippy.toml allows it in tests, but not in their helpers")]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use vocalizer_core::account::{ShareId, UserId, Viewer};
use vocalizer_core::api::ShareMix;
use vocalizer_core::limits::Limits;
use vocalizer_core::memory::{IdleQueue, ManualClock, MemoryBlobs, MemorySongs};
use vocalizer_core::part::{Format, Part, Stem};
use vocalizer_core::ports::{Backend as _, Clock as _, ShareRepository as _};
use vocalizer_core::secret::Secret;
use vocalizer_core::service::{
    IssuedShare, KEEP_EXPIRED, Retention, SHARE_PREFIX, ServiceError, SongService, SongSettings,
};
use vocalizer_core::song::{FailureReason, SongId};

const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

struct Fixture {
    service: SongService,
    songs: Arc<MemorySongs>,
    clock: Arc<ManualClock>,
    owner: Viewer,
}

impl Fixture {
    fn new() -> Self {
        Self::with(SongSettings::default())
    }

    fn with(settings: SongSettings) -> Self {
        let (songs, clock) = (Arc::<MemorySongs>::default(), Arc::new(ManualClock::new()));
        let (blobs, queue) = (Arc::<MemoryBlobs>::default(), Arc::new(IdleQueue));
        let builder = SongService::builder_with_clock(Arc::clone(&songs) as _, blobs, queue, Arc::clone(&clock) as _);
        let service = builder.with_settings(settings).build();
        Self { service, songs, clock, owner: Viewer::User(UserId::random()) }
    }

    /// Uploads a song of the owner.
    async fn song(&self) -> SongId {
        let mut upload = self.service.begin_upload(self.owner).await.unwrap();
        upload.write("the file".into()).await.unwrap();
        upload.finish("Clair de lune").await.unwrap().id
    }

    /// Creates a link that lasts this long.
    async fn share(&self, song: SongId, lasts: Option<Duration>) -> IssuedShare {
        let expires_at = lasts.map(|lasts| self.clock.now() + lasts);
        self.service.share(self.owner, song, expires_at, None).await.unwrap()
    }

    async fn open(&self, secret: &Secret<String>) -> Result<SongId, ServiceError> {
        self.service.open_share(secret, ADDRESS).await.map(|link| link.song)
    }

    async fn is_open(&self, secret: &Secret<String>) -> bool {
        match self.open(secret).await {
            Ok(_) => true,
            Err(ServiceError::NotFound { what: "share link" }) => false,
            Err(error) => panic!("{error:?}"),
        }
    }
}

fn guess(number: u32) -> Secret<String> {
    Secret::new(format!("{SHARE_PREFIX}{number:064x}"))
}

#[tokio::test]
async fn link_opens_its_song_without_naming_the_uploader() {
    let at = Fixture::new();
    let song = at.song().await;
    let mix = ShareMix::default().with_level(Stem::VOCALS, 0.0).with_start_ms(5).with_loop_ms(5, 9);
    let IssuedShare { share, secret } = at.service.share(at.owner, song, None, Some(mix.clone())).await.unwrap();
    assert!(secret.expose().starts_with(SHARE_PREFIX) && secret.expose().len() == SHARE_PREFIX.len() + 64);
    assert_eq!(at.service.shares(at.owner, song).await.unwrap(), [share]);
    let shared = at.service.shared(&secret, ADDRESS).await.unwrap();
    assert_eq!((shared.song.id, shared.song.uploader_id, shared.mix), (song, None, Some(mix)));
    let viewer = Viewer::Shared(at.open(&secret).await.unwrap());
    assert!(at.service.part(viewer.into(), song, Part::Song, Format::Mp3).await.is_ok());
    // It permits nothing else.
    let refused = [
        at.service.rename(viewer, song, "x").await.map(drop),
        at.service.retry(viewer, song).await.map(drop),
        at.service.delete(viewer, song).await,
        at.service.share(viewer, song, None, None).await.map(drop),
        at.service.shares(viewer, song).await.map(drop),
    ];
    for refused in refused {
        assert!(matches!(refused, Err(ServiceError::NotFound { what: "song" })), "{refused:?}");
    }
    let other = at.song().await;
    assert!(at.service.song(viewer, other).await.is_err(), "another song of the owner");
}

#[tokio::test]
async fn only_the_owner_shares_lists_and_revokes() {
    let at = Fixture::new();
    let song = at.song().await;
    let issued = at.share(song, None).await;
    for viewer in [Viewer::Anonymous, Viewer::User(UserId::random())] {
        assert!(matches!(at.service.share(viewer, song, None, None).await, Err(ServiceError::NotFound { .. })));
        assert!(matches!(at.service.shares(viewer, song).await, Err(ServiceError::NotFound { .. })));
        assert!(at.service.revoke_share(viewer, song, issued.share.id).await.is_err());
    }
    assert!(at.is_open(&issued.secret).await);
    assert!(at.service.revoke_share(at.owner, song, ShareId::random()).await.is_err());
    at.service.revoke_share(at.owner, song, issued.share.id).await.unwrap();
    assert!(!at.is_open(&issued.secret).await, "although it is known");
}

#[tokio::test]
async fn link_ends_by_its_date_and_is_deleted_much_later() {
    let at = Fixture::new();
    let song = at.song().await;
    let IssuedShare { secret, .. } = at.share(song, Some(DAY)).await;
    assert!(at.is_open(&secret).await);
    at.clock.advance(DAY);
    assert!(!at.is_open(&secret).await);
    at.service.sweep().await.unwrap();
    assert_eq!(at.songs.shares(song).await.unwrap().len(), 1, "the clock may be wrong");
    at.clock.advance(KEEP_EXPIRED.unsigned_abs());
    at.service.sweep().await.unwrap();
    assert_eq!(at.songs.shares(song).await.unwrap().len(), 0);
}

#[tokio::test]
async fn links_end_with_their_song() {
    let retention = Retention { all: Some(DAY), anonymous: None };
    let at = Fixture::with(SongSettings { retention, ..SongSettings::default() });
    let (deleted, expired) = (at.song().await, at.song().await);
    let (first, second) = (at.share(deleted, None).await.secret, at.share(expired, None).await.secret);
    assert!(at.is_open(&first).await && at.is_open(&second).await);
    at.service.delete(at.owner, deleted).await.unwrap();
    assert!(!at.is_open(&first).await);
    assert!(at.is_open(&second).await, "a song with the same bytes");
    let hash = at.service.song(at.owner, expired).await.unwrap().hash.parse().unwrap();
    at.service.fail(&hash, &FailureReason::new("no")).await.unwrap();
    // The retention time advances by at most an hour per sweep.
    for _ in 0..30 {
        at.service.sweep().await.unwrap();
        at.clock.advance(Duration::from_secs(60 * 60));
    }
    assert!(at.service.song(at.owner, expired).await.is_err());
    assert!(!at.is_open(&second).await);
}

#[tokio::test]
async fn guesses_are_throttled_but_known_links_are_not() {
    let at = Fixture::new();
    let song = at.song().await;
    let (known, new) = (at.share(song, None).await.secret, at.share(song, None).await.secret);
    assert!(at.is_open(&known).await);
    let mut throttled = 0;
    for number in 0..1_000 {
        match at.open(&guess(number)).await {
            Err(ServiceError::NotFound { what: "share link" }) => assert_eq!(throttled, 0, "guess {number}"),
            Err(ServiceError::Throttled { .. }) => throttled += 1,
            answer => panic!("{answer:?}"),
        }
    }
    assert!(throttled > 960, "{throttled}");
    // To a guesser, a right secret looks like a wrong one.
    assert!(matches!(at.open(&new).await, Err(ServiceError::Throttled { .. })));
    for _ in 0..100 {
        at.open(&known).await.unwrap();
    }
    let elsewhere = at.service.open_share(&new, Ipv4Addr::new(192, 0, 2, 1).into()).await;
    assert_eq!(elsewhere.unwrap().song, song);
    at.open(&new).await.unwrap();
}

#[tokio::test]
async fn many_openings_of_valid_links_are_not_throttled() {
    let at = Fixture::new();
    let song = at.song().await;
    for _ in 0..90 {
        let secret = at.share(song, None).await.secret;
        at.open(&secret).await.unwrap();
    }
}

#[tokio::test]
async fn invalid_time_mix_and_number_of_links_are_rejected() {
    let limits = Limits { max_shares: 2, ..Limits::default() };
    let at = Fixture::with(SongSettings { limits, ..SongSettings::default() });
    let song = at.song().await;
    let refused = at.service.share(at.owner, song, Some(at.clock.now()), None).await;
    assert!(matches!(refused, Err(ServiceError::Invalid(_))), "{refused:?}");
    let mixes = [
        ShareMix::default().with_level(Stem::VOCALS, 2.1),
        ShareMix::default().with_level(Stem::VOCALS, -0.1),
        ShareMix::default().with_level(Stem::VOCALS, f32::NAN),
        ShareMix::default().with_loop_ms(5, 5),
    ];
    for mix in mixes {
        let refused = at.service.share(at.owner, song, None, Some(mix)).await;
        assert!(matches!(refused, Err(ServiceError::Invalid(_))), "{refused:?}");
    }
    at.share(song, Some(DAY)).await;
    at.share(song, None).await;
    let refused = at.service.share(at.owner, song, None, None).await;
    assert!(matches!(refused, Err(ServiceError::Conflict { .. })), "{refused:?}");
    at.clock.advance(DAY);
    at.share(song, None).await;

    let at = Fixture::with(SongSettings { limits: Limits { max_shares: 0, ..limits }, ..SongSettings::default() });
    let song = at.song().await;
    let refused = at.service.share(at.owner, song, None, None).await;
    assert!(matches!(refused, Err(ServiceError::Conflict { .. })), "{refused:?}");
}
