//! What administrators see, as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use crate::id::{SongId, UserId};
use crate::wire::SongStatus;

/// A user as administrators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("required" = [
        "id", "username", "registered_at", "disabled_at", "administrator", "songs", "bytes", "sessions", "tokens", "connected",
        "quota"
    ]))
)]
#[non_exhaustive]
pub struct AdminUserView {
    /// The ID.
    #[cfg_attr(feature = "schema", schemars(with = "uuid::Uuid"))]
    pub id: UserId,
    /// The name.
    pub username: String,
    /// When the user registered (RFC 3339).
    #[cfg_attr(feature = "schema", schemars(extend("format" = "date-time")))]
    pub registered_at: String,
    /// Since when the user is disabled (RFC 3339); `null`, never missing, if not.
    pub disabled_at: Option<String>,
    /// Whether the user is an administrator.
    pub administrator: bool,
    /// The number of songs.
    pub songs: u64,
    /// The bytes of their files, without stems.
    pub bytes: u64,
    /// The number of sessions, without tokens.
    pub sessions: u64,
    /// The number of API tokens.
    pub tokens: u64,
    /// Whether the user can sign in with an OpenID Connect provider.
    #[serde(default)]
    pub connected: bool,
    /// The user's own limits.
    pub quota: OwnLimitsView,
}

impl AdminUserView {
    /// Returns a user without songs, sessions and limits.
    #[must_use]
    pub fn new(id: UserId, username: String, registered_at: String) -> Self {
        Self {
            id,
            username,
            registered_at,
            disabled_at: None,
            administrator: false,
            songs: 0,
            bytes: 0,
            sessions: 0,
            tokens: 0,
            connected: false,
            quota: OwnLimitsView::default(),
        }
    }
}

/// The limits of one user that differ from those of all users. A missing one does not differ.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OwnLimitsView {
    /// Most stored songs.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub max_songs: Option<OwnLimit>,
    /// Most stored bytes of songs.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<OwnLimit>,
    /// Most minutes of audio per day.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub max_audio_minutes_per_day: Option<OwnLimit>,
    /// Most uploads per minute.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub max_uploads_per_minute: Option<OwnLimit>,
}

/// A limit of one user: a number, or `null` for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum OwnLimit {
    /// This many.
    At(u64),
    /// No limit.
    None,
}

/// Reads a limit that is there. Without this, `null` would be a missing one.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<OwnLimit>, D::Error> {
    OwnLimit::deserialize(deserializer).map(Some)
}

/// The `data` of a response with users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(extend("required" = ["users", "next"])))]
pub struct AdminUsersData {
    /// The users by name.
    pub users: Vec<AdminUserView>,
    /// The cursor of the next page; `null`, never missing, on the last one.
    pub next: Option<String>,
}

/// The `data` of a response with a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AdminUserData {
    /// The user.
    pub user: AdminUserView,
}

/// The `data` of a response with a new password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(extend("required" = ["user", "password"])))]
pub struct NewPasswordData {
    /// The user.
    pub user: AdminUserView,
    /// The password that was made, shown only once; `null`, never missing, if the request brought one.
    pub password: Option<String>,
}

/// Hides the password.
impl std::fmt::Debug for NewPasswordData {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewPasswordData").field("user", &self.user).finish_non_exhaustive()
    }
}

/// A song as administrators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("required" = [
        "id", "title", "hash", "model", "uploader", "uploader_id", "uploaded_at", "status", "failure", "size_bytes", "is_pending"
    ]))
)]
#[non_exhaustive]
pub struct AdminSongView {
    /// The ID.
    #[cfg_attr(feature = "schema", schemars(with = "uuid::Uuid"))]
    pub id: SongId,
    /// The title.
    pub title: String,
    /// The hash of the uploaded file.
    pub hash: String,
    /// The model; `null` for the default one.
    pub model: Option<String>,
    /// The name of the uploader; `null` for an anonymous upload.
    pub uploader: Option<String>,
    /// The ID of the uploader; `null` for an anonymous upload.
    #[cfg_attr(feature = "schema", schemars(with = "Option<uuid::Uuid>"))]
    pub uploader_id: Option<UserId>,
    /// When the upload began (RFC 3339).
    #[cfg_attr(feature = "schema", schemars(extend("format" = "date-time")))]
    pub uploaded_at: String,
    /// The status.
    pub status: SongStatus,
    /// Why splitting failed; `null` if it did not.
    pub failure: Option<String>,
    /// The size of the uploaded file; `null` if it is not recorded.
    pub size_bytes: Option<u64>,
    /// Whether the job has not reached the queue yet.
    pub is_pending: bool,
}

impl AdminSongView {
    /// Returns a song that an anonymous client uploaded for the default model.
    #[must_use]
    pub fn new(id: SongId, title: String, hash: String, uploaded_at: String, status: SongStatus) -> Self {
        Self {
            id,
            title,
            hash,
            model: None,
            uploader: None,
            uploader_id: None,
            uploaded_at,
            status,
            failure: None,
            size_bytes: None,
            is_pending: false,
        }
    }
}

/// The `data` of a response with songs of all users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(extend("required" = ["songs", "next"])))]
pub struct AdminSongsData {
    /// The songs, newest first.
    pub songs: Vec<AdminSongView>,
    /// The cursor of the next page; `null`, never missing, on the last one.
    pub next: Option<String>,
}

/// Where a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum JobStateView {
    /// A worker has it.
    Splitting,
    /// It waits on the queue.
    Waiting,
    /// It is on the way to the queue.
    InOutbox,
    /// It is held back.
    Held,
    /// A state from a newer server, which clients must tolerate.
    #[serde(other)]
    #[cfg_attr(feature = "schema", schemars(skip))]
    Unknown,
}

/// A job and its song.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AdminJobView {
    /// Where it is.
    pub state: JobStateView,
    /// Its song.
    #[serde(flatten)]
    pub song: AdminSongView,
}

/// The `data` of a response with jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AdminJobsData {
    /// The songs that are being split, and then those that wait, each oldest first.
    pub jobs: Vec<AdminJobView>,
    /// Whether new jobs are held back.
    pub held: bool,
    /// The number of different files that are being split or have a job on the queue.
    pub unfinished: u64,
}

/// The `data` of a response about held jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HoldData {
    /// Whether new jobs are held back.
    pub held: bool,
    /// The number of different files that are being split or have a job on the queue.
    pub unfinished: u64,
}

/// Files of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StoredView {
    /// The number of files.
    pub files: u64,
    /// Their size.
    pub bytes: u64,
}

/// The space of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SpaceView {
    /// Free bytes.
    pub free_bytes: u64,
    /// All bytes.
    pub total_bytes: u64,
}

/// The `data` of a response about what is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("required" = ["songs", "trashed", "hashes", "files", "orphans", "space"]))
)]
pub struct StorageData {
    /// The number of songs in each status, without those in the trash.
    pub songs: BTreeMap<String, u64>,
    /// The number of songs in the trash, whose files are kept.
    #[serde(default)]
    pub trashed: u64,
    /// The number of different uploaded files that have songs, also in the trash.
    pub hashes: u64,
    /// Files by kind: `sources`, `mp3`, `flac` and `cached`.
    pub files: BTreeMap<String, StoredView>,
    /// The number of hashes that have files and no song.
    pub orphans: u64,
    /// The space of the disk; `null`, never missing, if it is not known.
    pub space: Option<SpaceView>,
}

/// An entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("required" = ["at", "actor", "action", "subject", "address", "details"]))
)]
#[non_exhaustive]
pub struct AuditView {
    /// When it happened (RFC 3339).
    #[cfg_attr(feature = "schema", schemars(extend("format" = "date-time")))]
    pub at: String,
    /// Who did it: a username, or an operator as in `operator:root`.
    pub actor: String,
    /// What was done, as in `user_disabled`.
    pub action: String,
    /// What it was done to: a username, or the ID of a song or token.
    pub subject: Option<String>,
    /// The address it came from. Of IPv6, only the /64.
    pub address: Option<String>,
    /// Further facts, as a text for people.
    pub details: Option<String>,
}

impl AuditView {
    /// Returns an entry with no more than the action.
    #[must_use]
    pub const fn new(at: String, actor: String, action: String) -> Self {
        Self { at, actor, action, subject: None, address: None, details: None }
    }
}

/// The `data` of a response with entries of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuditData {
    /// The entries, newest first.
    pub entries: Vec<AuditView>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_limit_of_null_is_no_limit_and_a_missing_one_is_no_difference() {
        let limits = OwnLimitsView {
            max_songs: Some(OwnLimit::At(3)),
            max_bytes: Some(OwnLimit::None),
            ..OwnLimitsView::default()
        };
        let json = serde_json::to_string(&limits).unwrap();
        assert_eq!(json, r#"{"max_songs":3,"max_bytes":null}"#);
        assert_eq!(serde_json::from_str::<OwnLimitsView>(&json).unwrap(), limits);
    }
}
