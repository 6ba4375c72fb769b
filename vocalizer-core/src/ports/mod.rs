//! Ports: one small trait per external system, with its contract.
//!
//! An adapter implements a trait; Vocalizer's logic is written against the trait. Each method documents what is durable
//! once it returns `Ok`, what a repeated call does, and whether it is cancel-safe. Unless documented otherwise, after
//! an `Err` the effect may or may not have happened, and calling again is safe.
//!
//! Delivery is at least once everywhere, so effects are idempotent; nothing here happens "exactly once".

mod accounts;
mod administration;
mod attempts;
mod audio;
mod backend;
mod blob;
mod blobs;
mod clock;
mod coordination;
mod error;
mod identity;
mod job;
mod labels;
mod leases;
mod library;
mod markers;
mod passwords;
mod peaks;
mod queue;
mod results;
mod shares;
mod songs;
mod stored_results;
mod trash;
mod uploads;
mod webhooks;

pub use accounts::AccountRepository;
pub use administration::{
    Action, Administration, AuditEntry, AuditLog, AuditSearch, KEEP_AUDIT, SongRecord, SongSearch, UserRecord,
    UserSearch,
};
pub use attempts::{Attempts, ThrottleSettings, Tries};
pub use audio::{
    AudioError, AudioFacts, AudioProbe, COVER_PIXELS, Progress, Renderer, Separator, StemSet, Stems, Track,
};
pub use backend::{Backend, BackendError};
pub use blob::{Blob, BlobStream};
pub use blobs::{BlobKey, BlobStore, BlobWriter, LocalRead, MadeBlob, Space};
pub use clock::Clock;
pub use coordination::{Coordination, HashLocks, Held, ProgressReport, ProgressStore, Tombstones};
pub use error::{BlobError, BoxError, QueueError, RepositoryError};
pub use identity::{IdentityError, IdentityProvider, ProviderUser, SignInAttempt};
pub use job::{InvalidJobTrace, Job, JobLine, JobPayload, JobTrace};
pub use labels::{LabelCount, LabelRepository};
pub use leases::{DurableLeases, Failure, Lease, LeasedJob};
pub use library::{LibraryQuery, LibraryRepository, Place, PlaceValue, SortKey, Whose};
pub use markers::MarkerRepository;
pub use passwords::{PasswordError, PasswordHasher};
pub use peaks::{Peaks, PeaksSection};
pub use queue::{DeadLetter, Depth, GivenUp, JobQueue, JobState, JobsAhead};
pub use results::{Received, ResultError, ResultReader, ResultWriter, StemFile};
pub use shares::ShareRepository;
pub use songs::{Cancelled, Census, Charge, Cursor, Expiry, Pending, Removed, SongCounts, SongFilter, SongRepository};
pub use stored_results::ResultRepository;
pub use trash::{TrashFilter, TrashRepository, Trashed, TrashedSong};
pub use uploads::{PartialUpload, UploadBounds, UploadRepository, UploadTotals};
pub use vocalizer_api::Wanted;
pub use vocalizer_api::id::{LeaseId, ParseLeaseIdError};
pub use webhooks::{Backlog, ClaimedDelivery, WebhookRepository, WebhookRequest, WebhookSender};
