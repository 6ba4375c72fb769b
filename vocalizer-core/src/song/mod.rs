//! A song: its identity, its title, the hash of its bytes and its life from upload to stems.

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
