//! Songs: ID, title, hash of the bytes, and status.

mod entity;
mod hash;
mod id;
mod status;
mod title;

pub use entity::{Song, StoredSong};
pub use hash::{ParseHashError, SongHash, SongHasher};
pub use id::{ParseSongIdError, SongId};
pub use status::{FailureReason, IllegalTransition, Status, StatusKind, Transition, UnknownStatus};
pub(crate) use title::is_invisible;
pub use title::{Title, TitleError};
