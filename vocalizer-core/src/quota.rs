//! Quotas per uploader: pure rules over the store's counters.
//!
//! Totals (songs, bytes) count the uploader's current songs; deleting a song frees quota, also if it goes to the trash. Rates (uploads per minute,
//! audio per day) are leaky buckets: the whole allowance may be used at once and refills evenly over the minute or day.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::account::{UserId, household};
use crate::secret::Secret;

const MINUTE: Duration = Duration::from_secs(60);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The unit that uploads are counted by.
///
/// ```
/// use vocalizer_core::quota::{AddressKey, Uploader};
/// use vocalizer_core::secret::Secret;
///
/// # fn main() -> Result<(), std::net::AddrParseError> {
/// let key = AddressKey::new(&Secret::new("a long random text".to_owned()));
/// let uploader = Uploader::Address(key.digest("192.0.2.1".parse()?));
/// assert!(uploader.to_string().starts_with("address:"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Uploader {
    /// A logged-in user, from any address.
    User(UserId),
    /// All anonymous clients at one address.
    Address(AddressDigest),
}

/// The key of the store's counters: `user:…` or `address:…`.
impl fmt::Display for Uploader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user:{id}"),
            Self::Address(digest) => write!(f, "address:{digest}"),
        }
    }
}

/// An address as stored: half of an HMAC-SHA256 under the server's key. Without the key the address cannot be
/// recovered, not even by trying all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AddressDigest([u8; 16]);

impl fmt::Display for AddressDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The key that addresses are hashed with. Do not keep it in the database next to the digests.
///
/// ```
/// use vocalizer_core::quota::AddressKey;
/// use vocalizer_core::secret::Secret;
///
/// let key = AddressKey::new(&Secret::new("a long random text".to_owned()));
/// let digest = |address: &str| key.digest(address.parse().unwrap());
/// assert_eq!(digest("2001:db8::1"), digest("2001:db8::ffff:2"), "one /64");
/// assert_ne!(digest("192.0.2.1"), digest("192.0.2.2"));
/// ```
#[derive(Clone, Copy)]
pub struct AddressKey([u8; 32]);

impl AddressKey {
    /// Returns a key derived from a secret text. Servers that share a database need the same text.
    #[must_use]
    pub fn new(secret: &Secret<String>) -> Self {
        Self(Sha256::digest(secret.expose().as_bytes()).into())
    }

    /// Returns the digest of an address, or of its /64 for IPv6.
    #[must_use]
    pub fn digest(&self, address: IpAddr) -> AddressDigest {
        // HMAC pads the key with zeros.
        let mut block = [0; 64];
        block[..32].copy_from_slice(&self.0);
        let mut mac = Hmac::<Sha256>::new(&block.into());
        match household(address) {
            IpAddr::V4(address) => mac.update(&address.octets()),
            IpAddr::V6(address) => mac.update(&address.octets()),
        }
        let whole: [u8; 32] = mac.finalize().into_bytes().into();
        let mut half = [0; 16];
        half.copy_from_slice(&whole[..16]);
        AddressDigest(half)
    }
}

impl fmt::Debug for AddressKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AddressKey(..)")
    }
}

/// The limits of one uploader; `None`, the default of each, means unlimited.
///
/// ```
/// # use std::time::Duration;
/// use vocalizer_core::quota::{Exceeded, Quota, Usage, Weight};
///
/// # fn main() -> Result<(), Exceeded> {
/// let quota = Quota { max_songs: Some(2), ..Quota::default() };
/// let song = Weight { size_bytes: 4_000_000, audio: Duration::from_secs(180) };
/// let mut usage = Usage::default();
/// for _ in 0..2 {
///     usage = quota.admit(usage, song, 0)?;
/// }
/// assert_eq!(usage.bytes, 8_000_000);
/// assert_eq!(quota.admit(usage, song, 0), Err(Exceeded::Songs { max_songs: 2 }));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quota {
    /// Most stored songs.
    pub max_songs: Option<u64>,
    /// Most stored bytes of uploaded files. Stems do not count. A file that is uploaded twice counts twice.
    pub max_bytes: Option<u64>,
    /// Most audio per day.
    pub max_audio_per_day: Option<Duration>,
    /// Most uploads per minute, including failed ones.
    pub max_uploads_per_minute: Option<u32>,
}

/// The store's counters of one uploader. Times are microseconds since 1970.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Stored songs.
    pub songs: u64,
    /// Bytes of their files.
    pub bytes: u64,
    /// When the upload bucket is empty again.
    pub uploads_until_us: i64,
    /// When the audio bucket is empty again.
    pub audio_until_us: i64,
}

/// The cost of a song.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weight {
    /// The file size.
    pub size_bytes: u64,
    /// The duration.
    pub audio: Duration,
}

/// The limit that would be exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Exceeded {
    /// The number of songs is at its limit.
    #[error("song limit reached: at most {max_songs} songs; delete one to upload another")]
    Songs {
        /// The limit.
        max_songs: u64,
    },
    /// The stored bytes would exceed their limit.
    #[error("storage limit reached: at most {max_bytes} bytes; delete songs to upload others")]
    Bytes {
        /// The limit.
        max_bytes: u64,
    },
    /// The song alone is longer than the daily limit.
    #[error("song too long: at most {} minutes of audio can be uploaded per day", max_audio.as_secs() / 60)]
    TooLong {
        /// The limit.
        max_audio: Duration,
    },
    /// The daily limit of audio is reached.
    #[error("daily limit reached: at most {} minutes of audio; try again later", max_audio.as_secs() / 60)]
    Audio {
        /// The limit.
        max_audio: Duration,
        /// When this song may be uploaded.
        retry_after: Duration,
    },
    /// The number of unfinished uploads is at its limit.
    #[error("too many unfinished uploads: at most {max_uploads}; finish or delete one to begin another")]
    Unfinished {
        /// The limit.
        max_uploads: u64,
    },
    /// The declared bytes of unfinished uploads would exceed their limit.
    #[error("unfinished uploads too large: at most {max_bytes} bytes in total; finish or delete one to begin another")]
    UnfinishedBytes {
        /// The limit.
        max_bytes: u64,
    },
    /// The rate limit of uploads is reached.
    #[error("rate limit reached: at most {max_uploads} uploads per minute; try again later")]
    Uploads {
        /// The limit.
        max_uploads: u32,
        /// When the next upload may begin.
        retry_after: Duration,
    },
}

impl Exceeded {
    /// Returns when to retry, if waiting alone helps.
    ///
    /// ```
    /// # use std::time::Duration;
    /// use vocalizer_core::quota::Exceeded;
    ///
    /// let rate = Exceeded::Uploads { max_uploads: 2, retry_after: Duration::from_secs(30) };
    /// assert_eq!(rate.retry_after(), Some(Duration::from_secs(30)));
    /// // Only deleting songs helps.
    /// assert_eq!(Exceeded::Songs { max_songs: 2 }.retry_after(), None);
    /// ```
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Audio { retry_after, .. } | Self::Uploads { retry_after, .. } => Some(*retry_after),
            Self::Songs { .. }
            | Self::Bytes { .. }
            | Self::TooLong { .. }
            | Self::Unfinished { .. }
            | Self::UnfinishedBytes { .. } => None,
        }
    }
}

impl Quota {
    /// Returns whether songs must be counted and stored with their uploader.
    #[must_use]
    pub const fn has_totals(&self) -> bool {
        self.max_songs.is_some() || self.max_bytes.is_some()
    }

    /// Returns whether so many songs and bytes are within the totals.
    #[must_use]
    pub fn holds(&self, songs: u64, bytes: u64) -> bool {
        self.max_songs.is_none_or(|max| songs <= max) && self.max_bytes.is_none_or(|max| bytes <= max)
    }

    /// Returns whether nothing is limited.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the new counters when an upload begins at `now_us`.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use vocalizer_core::quota::{Exceeded, Quota, Usage};
    /// # fn main() -> Result<(), Exceeded> {
    /// let quota = Quota { max_uploads_per_minute: Some(2), ..Quota::default() };
    /// let usage = quota.begin(Usage::default(), 0)?;
    /// let usage = quota.begin(usage, 0)?;
    /// let refused = quota.begin(usage, 0).map_err(|exceeded| exceeded.retry_after());
    /// assert_eq!(refused, Err(Some(Duration::from_secs(30))));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The exceeded limit. Nothing is counted then.
    pub fn begin(&self, usage: Usage, now_us: i64) -> Result<Usage, Exceeded> {
        self.fits(usage, Weight { size_bytes: 0, audio: Duration::ZERO })?;
        if let Some(max_bytes) = self.max_bytes.filter(|&max_bytes| usage.bytes >= max_bytes) {
            return Err(Exceeded::Bytes { max_bytes });
        }
        let Some(max_uploads) = self.max_uploads_per_minute else { return Ok(usage) };
        let cost = MINUTE / max_uploads.max(1);
        let uploads_until_us = pour(usage.uploads_until_us, cost, MINUTE, now_us)
            .map_err(|retry_after| Exceeded::Uploads { max_uploads, retry_after })?;
        Ok(Usage { uploads_until_us, ..usage })
    }

    /// Returns the new counters when a song is stored at `now_us`.
    ///
    /// ```
    /// # use std::time::Duration;
    /// use vocalizer_core::quota::{Exceeded, Quota, Usage, Weight};
    ///
    /// let hour = Duration::from_secs(60 * 60);
    /// let quota = Quota { max_audio_per_day: Some(hour), ..Quota::default() };
    /// let concert = Weight { size_bytes: 100_000_000, audio: 2 * hour };
    /// assert_eq!(quota.admit(Usage::default(), concert, 0), Err(Exceeded::TooLong { max_audio: hour }));
    /// ```
    ///
    /// # Errors
    ///
    /// The exceeded limit. Nothing is counted then.
    pub fn admit(&self, usage: Usage, weight: Weight, now_us: i64) -> Result<Usage, Exceeded> {
        self.fits(usage, weight)?;
        let (songs, bytes) = (usage.songs.saturating_add(1), usage.bytes.saturating_add(weight.size_bytes));
        let usage = Usage { songs, bytes, ..usage };
        let Some(max_audio) = self.max_audio_per_day else { return Ok(usage) };
        if weight.audio > max_audio {
            return Err(Exceeded::TooLong { max_audio });
        }
        let share = weight.audio.as_secs_f64() / max_audio.as_secs_f64().max(f64::MIN_POSITIVE);
        let audio_until_us = pour(usage.audio_until_us, DAY.mul_f64(share.clamp(0.0, 1.0)), DAY, now_us)
            .map_err(|retry_after| Exceeded::Audio { max_audio, retry_after })?;
        Ok(Usage { audio_until_us, ..usage })
    }

    /// Checks that one more song fits the totals.
    pub(crate) fn fits(&self, usage: Usage, weight: Weight) -> Result<(), Exceeded> {
        if let Some(max_songs) = self.max_songs.filter(|&max_songs| usage.songs >= max_songs) {
            return Err(Exceeded::Songs { max_songs });
        }
        match self.max_bytes {
            Some(max_bytes) if usage.bytes.saturating_add(weight.size_bytes) > max_bytes => {
                Err(Exceeded::Bytes { max_bytes })
            }
            _ => Ok(()),
        }
    }
}

/// Adds `cost` to a bucket that drains within `window`, or returns how long to wait until it fits. If the clock goes
/// back, the wait is still at most one `window`.
fn pour(until_us: i64, cost: Duration, window: Duration, now_us: i64) -> Result<i64, Duration> {
    let full_us = now_us.saturating_add(micros(window));
    let filled_us = until_us.clamp(now_us, full_us).saturating_add(micros(cost));
    match u64::try_from(filled_us.saturating_sub(full_us)) {
        Ok(over_us @ 1..) => Err(Duration::from_micros(over_us)),
        _ => Ok(filled_us),
    }
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

/// A limit that an operator sets for one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// This many.
    At(u64),
    /// No limit.
    None,
}

/// How the quota of one user differs from that of all users. `None`, the default of each, is no difference.
///
/// ```
/// use vocalizer_core::quota::{Limit, Quota, QuotaChange};
///
/// let all = Quota { max_songs: Some(10), max_bytes: Some(1_000_000_000), ..Quota::default() };
/// let change = QuotaChange { max_songs: Some(Limit::None), ..QuotaChange::default() };
/// assert_eq!(change.apply(all), Quota { max_songs: None, ..all });
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct QuotaChange {
    /// Most stored songs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_songs: Option<Limit>,
    /// Most stored bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<Limit>,
    /// Most minutes of audio per day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_audio_minutes_per_day: Option<Limit>,
    /// Most uploads per minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_uploads_per_minute: Option<Limit>,
}

impl QuotaChange {
    /// Returns the user's quota, given that of all users.
    #[must_use]
    pub fn apply(&self, quota: Quota) -> Quota {
        let chosen = |change: Option<Limit>, limit: Option<u64>| match change {
            None => limit,
            Some(Limit::At(most)) => Some(most),
            Some(Limit::None) => None,
        };
        let audio = match self.max_audio_minutes_per_day {
            None => quota.max_audio_per_day,
            Some(Limit::At(minutes)) => Some(Duration::from_secs(minutes.saturating_mul(60))),
            Some(Limit::None) => None,
        };
        let uploads = chosen(self.max_uploads_per_minute, quota.max_uploads_per_minute.map(u64::from));
        Quota {
            max_songs: chosen(self.max_songs, quota.max_songs),
            max_bytes: chosen(self.max_bytes, quota.max_bytes),
            max_audio_per_day: audio,
            max_uploads_per_minute: uploads.map(|most| u32::try_from(most).unwrap_or(u32::MAX)),
        }
    }

    /// Returns this change with the limits of another one that are set.
    #[must_use]
    pub fn with(self, later: Self) -> Self {
        Self {
            max_songs: later.max_songs.or(self.max_songs),
            max_bytes: later.max_bytes.or(self.max_bytes),
            max_audio_minutes_per_day: later.max_audio_minutes_per_day.or(self.max_audio_minutes_per_day),
            max_uploads_per_minute: later.max_uploads_per_minute.or(self.max_uploads_per_minute),
        }
    }
}

/// As in `max_songs=10 max_bytes=none`, or `-` without a difference.
impl fmt::Display for QuotaChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { max_songs, max_bytes, max_audio_minutes_per_day, max_uploads_per_minute } = *self;
        let limits = [
            ("max_songs", max_songs),
            ("max_bytes", max_bytes),
            ("max_audio_minutes_per_day", max_audio_minutes_per_day),
            ("max_uploads_per_minute", max_uploads_per_minute),
        ];
        let text = |(name, limit): (&str, Option<Limit>)| match limit? {
            Limit::At(most) => Some(format!("{name}={most}")),
            Limit::None => Some(format!("{name}=none")),
        };
        let set: Vec<_> = limits.into_iter().filter_map(text).collect();
        match set.is_empty() {
            true => f.write_str("-"),
            false => f.write_str(&set.join(" ")),
        }
    }
}
