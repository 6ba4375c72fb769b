//! The use cases, over the ports: every rule that involves more than one outside thing.
//!
//! [`SongService`] takes songs in, hands them out and takes results; [`AccountService`] knows who is asking. HTTP only
//! translates. Neither needs a runtime of its own: they wait through the ports.

mod accounts;
mod backend;
mod board;
mod desk;
mod error;
mod local;
mod locks;
mod parts;
mod songs;
mod sweep;
mod throttle;
mod upload;

pub use crate::ports::{LeaseId, LeasedJob, ParseLeaseIdError};
pub use accounts::{AccountPorts, AccountService, AccountSettings, Caller, NewSession, NewToken, Proof};
pub use desk::Desk;
pub use error::{Invalid, ServiceError, whole_seconds};
pub use local::LocalCommons;
pub use parts::{Levels, Mix, Origin, PartFile, PartInfo};
pub use songs::{Listing, MOST_WATCHED, SongPage, SongPorts, SongService, SongSettings};
pub use sweep::Swept;
pub use throttle::Throttle;
pub use upload::Upload;
