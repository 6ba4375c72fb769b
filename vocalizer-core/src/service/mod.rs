//! The use cases: rules that involve more than one port.
//!
//! [`SongService`] accepts songs, serves them and takes results. [`AccountService`] authenticates callers. The HTTP
//! layer only translates. Neither service needs its own runtime: they wait through the ports.

mod accounts;
mod backend;
mod background;
mod background_state;
mod builder;
mod cache;
mod change_notifier;
mod defaults;
mod device;
mod error;
mod known_shares;
mod limits;
mod line;
mod local;
mod locks;
mod model_choice;
mod parts;
mod relay;
mod relay_state;
mod remote_leases;
mod render;
mod renderings;
mod retention;
mod shares;
mod song_settings;
mod songs;
mod sweep;
mod throttle;
mod tokens;
mod upload;

pub use crate::ports::LeasedJob;
pub use accounts::{AccountService, AccountSettings, Caller, KEEP_EXPIRED, LoginFrom, NewSession, Proof};
pub use builder::{AccountServiceBuilder, SongServiceBuilder};
pub use change_notifier::Changed;
pub use defaults::{AcceptAll, NoArchives, NoRenderer};
pub use error::{Invalid, ServiceError, whole_seconds};
pub use limits::limits_view;
pub use local::LocalCoordination;
pub use model_choice::ModelChoice;
pub use parts::{Levels, Mix, Origin, PartFile, PartInfo};
pub use remote_leases::RemoteLeases;
pub use renderings::{RenderingCounts, RenderingSettings};
pub use shares::{IssuedShare, SHARE_PREFIX};
pub use song_settings::{Retention, SongSettings, UploadPolicy};
pub use songs::{Listing, MAX_PAGE, MOST_WATCHED, SongPage, SongService};
pub use sweep::Swept;
pub use throttle::Throttle;
pub use tokens::IssuedToken;
pub use upload::SongUpload;
pub use vocalizer_api::id::{LeaseId, ParseLeaseIdError};
