//! The use cases: rules that involve more than one port.
//!
//! [`SongService`] accepts songs, serves them and takes results. [`AccountService`] authenticates callers. The HTTP
//! layer only translates. Neither service needs its own runtime: they wait through the ports.

mod accounts;
mod admin;
mod backend;
mod background;
mod background_state;
mod builder;
mod cache;
mod cancelling;
mod change_notifier;
mod defaults;
mod device;
mod error;
mod interrupts;
mod known_shares;
mod known_users;
mod limits;
mod line;
mod local;
mod locks;
mod parts;
mod relay;
mod relay_state;
mod remote_leases;
mod render;
mod renderings;
mod resumable;
mod resumable_settings;
mod retention;
mod shares;
mod song_settings;
mod songs;
mod storage;
mod sweep;
mod throttle;
mod tokens;
mod upload;
mod webhook_attempts;
mod webhooks;

pub use crate::ports::LeasedJob;
pub use accounts::{AccountService, AccountSettings, Caller, KEEP_EXPIRED, LoginFrom, NewSession, Proof};
pub use admin::{AdminService, AdminStores, Collected, Fault, Files, StorageReport, Stored};
pub use builder::{AccountServiceBuilder, SongServiceBuilder};
pub use change_notifier::Changed;
pub use defaults::{AcceptAll, NoArchives, NoRenderer};
pub use error::{Invalid, ServiceError, whole_seconds};
pub use limits::limits_view;
pub use local::LocalCoordination;
pub use parts::{Levels, Mix, Origin, PartFile, PartInfo};
pub use remote_leases::RemoteLeases;
pub use renderings::{RenderingCounts, RenderingSettings};
pub use resumable::{PIECE_BYTES, ResumableUpload};
pub use resumable_settings::ResumableSettings;
pub use shares::{IssuedShare, SHARE_PREFIX};
pub use song_settings::{Retention, SongSettings, UploadPolicy};
pub use songs::{Listing, MAX_PAGE, MOST_WATCHED, SongPage, SongService};
pub use sweep::Swept;
pub use throttle::Throttle;
pub use tokens::IssuedToken;
pub use upload::SongUpload;
pub use vocalizer_api::id::{LeaseId, ParseLeaseIdError};
pub use webhook_attempts::WebhookAttempts;
pub use webhooks::IssuedWebhook;
