//! What every [`BlobStore`](crate::ports::BlobStore) promises.

mod deleting;
mod local;
mod place;
mod reading;
mod writing;

pub use deleting::{
    a_sweep_leaves_what_is_being_written, deleted_blobs_are_gone_and_those_of_other_hashes_are_not,
    deleting_twice_or_nothing_is_a_success, hashes_are_listed_once, one_blob_is_deleted_and_no_other,
    what_dead_writers_left_is_swept_up, what_was_made_is_listed_with_its_size,
};
pub use local::{a_local_file_goes_with_its_writer, a_local_file_has_what_was_written_so_far};
pub use place::BlobsPlace;
pub use reading::{
    a_dropped_call_for_a_chunk_loses_no_bytes, a_range_gives_its_bytes, a_range_outside_the_blob_is_an_error,
    a_reader_keeps_its_blob_when_it_is_deleted_or_replaced, a_tag_changes_when_the_bytes_do,
    many_read_one_blob_at_once,
};
pub use writing::{
    a_blob_committed_again_is_replaced, a_blob_committed_by_two_at_once_is_one_of_theirs,
    a_blob_is_read_back_as_it_was_written, a_dropped_commit_is_the_whole_blob_or_nothing,
    a_dropped_writer_leaves_nothing, keys_do_not_get_in_each_other_s_way, nobody_meets_half_of_a_blob,
    nothing_is_there_before_it_is_committed,
};
