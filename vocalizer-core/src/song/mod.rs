//! Songs: ID, title, hash of the bytes, and status.

mod entity;
mod facts;
mod label;
mod marker;
mod search;
mod status;
mod target;
mod title;

pub use entity::{Song, StemsInfo, StoredSong};
pub use facts::SongFacts;
pub use label::{Label, LabelChange, TooManyLabels};
pub use marker::Marker;
pub use search::{MAX_WORDS, fold, sort_keys, words};
pub use status::{IllegalTransition, Status, StatusKind, Transition, UnknownStatus};
pub use target::Target;
pub use title::{Title, TitleError};
pub use vocalizer_api::FailureReason;
pub use vocalizer_api::hash::{ParseHashError, SongHash, SongHasher};
pub use vocalizer_api::id::{MarkerId, ParseMarkerIdError, ParseSongIdError, SongId};
