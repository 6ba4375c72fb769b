//! Registration, upload quotas and retention.

use std::fmt;
use std::time::Duration;

use ipnet::IpNet;
use vocalizer_core::account::Registration;
use vocalizer_core::ports::KEEP_AUDIT;
use vocalizer_core::quota::Quota;
use vocalizer_core::secret::Secret;
use vocalizer_core::service::Retention;
use vocalizer_http::settings::UserHeader;

use super::addresses::Database;
use super::args::{PolicyArgs, RegistrationArg};
use super::error::{ConfigError, invalid, text_or_file};
use super::first_user::FirstUser;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The minimum length of the address key; generated ones have 64 characters.
const MIN_KEY_CHARS: usize = 16;

/// The validated policy.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Whether uploads without a session are accepted.
    pub anonymous_uploads: bool,
    /// Who may register.
    pub registration: Registration,
    /// The quota per user.
    pub per_user: Quota,
    /// The quota per address without a session.
    pub per_address: Quota,
    /// Retention of songs.
    pub retention: Retention,
    /// How long deleted songs stay in the trash; `None` to delete them at once.
    pub trash: Option<Duration>,
    /// The key for hashing addresses; `None` to generate it in the data folder.
    pub address_key: Option<Secret<String>>,
    /// A user that is registered at the start.
    pub first_user: Option<FirstUser>,
    /// The header in which trusted proxies name users.
    pub user_header: Option<UserHeader>,
    /// How long the audit log is kept.
    pub keep_audit: Duration,
}

/// A policy without limits and without a trash.
impl Default for Policy {
    fn default() -> Self {
        Self {
            anonymous_uploads: true,
            registration: Registration::Open,
            per_user: Quota::default(),
            per_address: Quota::default(),
            retention: Retention::default(),
            trash: None,
            address_key: None,
            first_user: None,
            user_header: None,
            keep_audit: KEEP_AUDIT,
        }
    }
}

impl Policy {
    pub(super) fn check(args: &PolicyArgs, database: &Database, proxies: &[IpNet]) -> Result<Self, ConfigError> {
        const KEY: &str = "--address-key (ADDRESS_KEY, ADDRESS_KEY_FILE)";
        let key = text_or_file(KEY, args.address_key.as_deref(), args.address_key_file.as_deref())?;
        if key.as_ref().is_some_and(|key| key.chars().count() < MIN_KEY_CHARS) {
            return Err(invalid(
                KEY,
                format!("the key needs at least {MIN_KEY_CHARS} characters, as from `openssl rand -hex 32`"),
            ));
        }
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        let days = |days: u64| DAY * u32::try_from(days).unwrap_or(u32::MAX);
        let policy = Self {
            anonymous_uploads: args.anonymous_uploads,
            registration: match args.registration {
                RegistrationArg::Open => Registration::Open,
                RegistrationArg::Closed => Registration::Closed,
                RegistrationArg::Invite => Registration::Invite,
            },
            per_user: Quota {
                max_songs: args.user_max_songs,
                max_bytes: args.user_max_bytes,
                max_audio_per_day: args.user_max_audio_minutes_per_day.map(minutes),
                max_uploads_per_minute: args.user_max_uploads_per_minute,
            },
            per_address: Quota {
                max_songs: args.anonymous_max_songs,
                max_bytes: args.anonymous_max_bytes,
                max_audio_per_day: args.anonymous_max_audio_minutes_per_day.map(minutes),
                max_uploads_per_minute: args.anonymous_max_uploads_per_minute,
            },
            retention: Retention {
                all: args.retention_days.map(days),
                anonymous: args.anonymous_retention_days.map(days),
            },
            trash: (args.trash_days > 0).then(|| days(args.trash_days)),
            address_key: key.map(Secret::new),
            first_user: args.admin_user_file.as_deref().map(FirstUser::read).transpose()?,
            user_header: user_header(args, proxies)?,
            keep_audit: days(args.audit_days),
        };
        if matches!(database, Database::Postgres(_))
            && !policy.per_address.is_unlimited()
            && policy.address_key.is_none()
        {
            let what = "quotas per address with PostgreSQL require one key for all servers: set the same key on all \
                        of them, as from `openssl rand -hex 32`";
            return Err(invalid(KEY, what));
        }
        Ok(policy)
    }
}

/// One setting per line.
impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let registration = match self.registration {
            Registration::Open => "open",
            Registration::Closed => "closed",
            Registration::Invite => "invite",
        };
        writeln!(f, "ANONYMOUS_UPLOADS={}", self.anonymous_uploads)?;
        writeln!(f, "REGISTRATION={registration}")?;
        for (whose, quota) in [("USER", self.per_user), ("ANONYMOUS", self.per_address)] {
            let Quota { max_songs, max_bytes, max_audio_per_day, max_uploads_per_minute } = quota;
            writeln!(f, "{whose}_MAX_SONGS={}", or_no_limit(max_songs))?;
            writeln!(f, "{whose}_MAX_BYTES={}", or_no_limit(max_bytes))?;
            let minutes = max_audio_per_day.map(|audio| audio.as_secs() / 60);
            writeln!(f, "{whose}_MAX_AUDIO_MINUTES_PER_DAY={}", or_no_limit(minutes))?;
            writeln!(f, "{whose}_MAX_UPLOADS_PER_MINUTE={}", or_no_limit(max_uploads_per_minute))?;
        }
        let days = |span: Option<Duration>| or_no_limit(span.map(|span| span.as_secs() / DAY.as_secs()));
        writeln!(f, "RETENTION_DAYS={}", days(self.retention.all))?;
        writeln!(f, "ANONYMOUS_RETENTION_DAYS={}", days(self.retention.anonymous))?;
        writeln!(f, "TRASH_DAYS={}", self.trash.unwrap_or_default().as_secs() / DAY.as_secs())?;
        let key = if self.address_key.is_some() { "(hidden)" } else { "(generated at the first start)" };
        writeln!(f, "ADDRESS_KEY={key}")?;
        let user = self.first_user.as_ref().map_or("(none)", |user| &user.username);
        writeln!(f, "ADMIN_USER_FILE={user}")?;
        match &self.user_header {
            None => writeln!(f, "TRUSTED_USER_HEADER=(none)")?,
            Some(header) => writeln!(f, "TRUSTED_USER_HEADER={}", header.name())?,
        }
        writeln!(f, "AUDIT_DAYS={}", days(Some(self.keep_audit)))
    }
}

fn or_no_limit<T: ToString>(limit: Option<T>) -> String {
    limit.map_or("(no limit)".to_owned(), |limit| limit.to_string())
}

/// Returns the header in which proxies name users.
fn user_header(args: &PolicyArgs, proxies: &[IpNet]) -> Result<Option<UserHeader>, ConfigError> {
    const NAME: &str = "--trusted-user-header (TRUSTED_USER_HEADER)";
    let Some(name) = &args.trusted_user_header else { return Ok(None) };
    let header = UserHeader::new(name.trim(), args.trusted_user_create)
        .ok_or_else(|| invalid(NAME, "not the name of a header; give one such as Remote-User"))?;
    if proxies.is_empty() {
        return Err(invalid(NAME, "requires TRUSTED_PROXIES: the addresses of the proxies that set the header"));
    }
    if args.registration == RegistrationArg::Open {
        let what =
            "requires REGISTRATION=closed or invite: otherwise anyone could register the name of another user first";
        return Err(invalid(NAME, what));
    }
    Ok(Some(header))
}
