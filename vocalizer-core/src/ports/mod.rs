//! One small trait per outside thing, with its promises written down.
//!
//! An adapter fills a trait in; the rules of Vocalizer are written against the trait. Each method says what is durable
//! once it returns `Ok`, what calling it again does, and whether its future may be dropped half-way. Where nothing else
//! is said, an `Err` means that the effect may or may not have happened, and that calling again is safe.
//!
//! Delivery is at least once everywhere, so effects are idempotent; nothing here ever happens "exactly once".

mod accounts;
mod attempts;
mod audio;
mod backend;
mod blob;
mod blobs;
mod clock;
mod commons;
mod error;
mod leases;
mod passwords;
mod peaks;
mod queue;
mod results;
mod songs;

pub use accounts::AccountRepository;
pub use attempts::{Attempts, ThrottleSettings, Tries};
pub use audio::{AudioError, AudioFacts, AudioProbe, Progress, Renderer, Separator, StemSet, Stems, Track};
pub use backend::{Backend, BackendError, Wanted};
pub use blob::{Blob, BlobStream};
pub use blobs::{BlobError, BlobKey, BlobStore, BlobWriter, MadeBlob, Space};
pub use clock::Clock;
pub use commons::{Commons, Heard, Held};
pub use error::{BoxError, RepositoryError};
pub use leases::{DurableLeases, LeaseId, LeasedJob, ParseLeaseIdError};
pub use passwords::{PasswordError, PasswordHasher};
pub use peaks::Peaks;
pub use queue::{DeadLetter, Depth, Failure, GivenUp, Job, JobPayload, JobQueue, JobState, Lease, QueueError};
pub use results::{Received, ResultError, ResultReader, ResultWriter};
pub use songs::{Charge, Cursor, Expiry, Pending, Removed, SongCounts, SongQuery, SongRepository};
