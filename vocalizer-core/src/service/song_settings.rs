//! Settings of the song service.

use std::net::IpAddr;
use std::time::Duration;

use super::renderings::RenderingSettings;
use super::resumable_settings::ResumableSettings;
use crate::account::Viewer;
use crate::limits::Limits;
use crate::ports::ThrottleSettings;
use crate::quota::{AddressKey, Quota, Uploader};
use crate::secret::Secret;
use crate::trace::Sampling;

/// Settings of the service.
#[derive(Debug, Clone, Copy)]
pub struct SongSettings {
    /// Limits on input.
    pub limits: Limits,
    /// The `retry_after` of [`ServiceError::NotReady`](super::ServiceError::NotReady). Default: 5 s.
    pub retry_after: Duration,
    /// Without a progress report for this long, a song counts as abandoned, if the queue cannot tell. Default: 10
    /// minutes; workers report every second.
    pub silent_after: Duration,
    /// Without a worker for this long, a job is requested again, if the queue cannot tell and is empty. Default: 1
    /// hour; workers of the original system do not report.
    pub lost_after: Duration,
    /// Without a worker for this long, a job is requested again, if the queue cannot tell, even if the queue is not
    /// empty: brokers may lose messages. Default: 6 hours. At worst, a song that still waits is split twice.
    pub ask_again_after: Duration,
    /// A song fails if no worker for its model was there for this long. Default: one day.
    pub model_timeout: Duration,
    /// Uploads are rejected while the disk of the blobs or of the database has less free space than this. Default
    /// (`None`): 1 GiB, or 5 % of the disk if that is less.
    pub min_free_bytes: Option<u64>,
    /// A sweep keeps bytes without a song for this long. Default: one day.
    pub keep_orphans: Duration,
    /// How other formats, mixes and peaks are rendered, and how many are cached.
    pub renderings: RenderingSettings,
    /// Who may upload, and how much.
    pub uploads: UploadPolicy,
    /// How long songs are kept.
    pub retention: Retention,
    /// How long deleted songs stay in the trash. Default (`None`): they are deleted at once.
    pub trash: Option<Duration>,
    /// The throttle of guesses at share links from one address.
    pub share_guesses: ThrottleSettings,
    /// The bounds of resumable uploads.
    pub resumable: ResumableSettings,
    /// Which traces are recorded. Default: those that callers record.
    pub traces: Sampling,
}

/// Who may upload, and how much.
///
/// ```
/// use vocalizer_core::quota::{AddressKey, Quota};
/// use vocalizer_core::secret::Secret;
/// use vocalizer_core::service::UploadPolicy;
///
/// let policy = UploadPolicy {
///     per_user: Quota { max_bytes: Some(10_000_000_000), ..Quota::default() },
///     per_address: Quota { max_songs: Some(3), max_uploads_per_minute: Some(1), ..Quota::default() },
///     address_key: AddressKey::new(&Secret::new("a long random text".to_owned())),
///     ..UploadPolicy::default()
/// };
/// assert!(policy.anonymous);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct UploadPolicy {
    /// Whether anonymous uploads are allowed. Default: yes.
    pub anonymous: bool,
    /// The quota of each user. Default: unlimited.
    pub per_user: Quota,
    /// The quota of anonymous clients per address; an IPv6 /64 counts as one address. Default: unlimited.
    pub per_address: Quota,
    /// The key that addresses are hashed with. Default: made from the empty string, which hides nothing.
    pub address_key: AddressKey,
}

impl Default for UploadPolicy {
    fn default() -> Self {
        let address_key = AddressKey::new(&Secret::new(String::new()));
        Self { anonymous: true, per_user: Quota::default(), per_address: Quota::default(), address_key }
    }
}

impl UploadPolicy {
    /// Returns the uploader whose quota an upload counts towards, and that quota. There is no uploader if an anonymous
    /// client's address is unknown: such uploads are not counted.
    pub(super) fn uploader(&self, viewer: Viewer, address: Option<IpAddr>) -> (Option<Uploader>, Quota) {
        match viewer {
            Viewer::User(id) => (Some(Uploader::User(id)), self.per_user),
            Viewer::Anonymous | Viewer::Shared(_) => {
                (address.map(|address| Uploader::Address(self.address_key.digest(address))), self.per_address)
            }
        }
    }
}

/// How long split and failed songs are kept. `None`, the default of both, keeps them forever.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// All songs.
    pub all: Option<Duration>,
    /// Anonymous uploads.
    pub anonymous: Option<Duration>,
}

impl Default for SongSettings {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            retry_after: Duration::from_secs(5),
            silent_after: Duration::from_secs(10 * 60),
            lost_after: Duration::from_secs(60 * 60),
            ask_again_after: Duration::from_secs(6 * 60 * 60),
            model_timeout: Duration::from_secs(24 * 60 * 60),
            min_free_bytes: None,
            keep_orphans: Duration::from_secs(24 * 60 * 60),
            renderings: RenderingSettings::default(),
            uploads: UploadPolicy::default(),
            retention: Retention::default(),
            trash: None,
            share_guesses: ThrottleSettings::per_address(),
            resumable: ResumableSettings::default(),
            traces: Sampling::default(),
        }
    }
}
