//! Checks for every [`BlobStore`](vocalizer_core::ports::BlobStore).

mod checking;
mod deleting;
mod place;
mod reading;
mod writing;

pub use checking::{reader_has_bytes_written_so_far, reader_survives_sweep};
pub use deleting::{
    deletion_is_idempotent, deletion_removes_blobs_of_one_hash, derived_blobs_are_listed_with_size,
    hashes_are_listed_once, single_blob_is_deleted, sweep_keeps_blobs_being_written,
    sweep_removes_leftovers_of_dead_writers,
};
pub use place::BlobsPlace;
pub use reading::{
    blob_has_concurrent_readers, dropped_chunk_call_loses_no_bytes, open_reader_survives_deletion_and_replacement,
    range_outside_blob_is_an_error, range_returns_its_bytes, tag_changes_with_bytes,
};
pub use writing::{
    blob_round_trips, concurrent_commits_store_one_blob, dropped_commit_is_atomic, dropped_writer_leaves_nothing,
    keys_are_independent, reader_never_sees_partial_blob, second_commit_replaces_blob, uncommitted_blob_is_invisible,
};
