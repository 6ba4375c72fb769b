//! Checks for every [`SongRepository`](vocalizer_core::ports::SongRepository).

mod admitting;
mod advancing;
mod cancelling;
mod census;
mod labelling;
mod listing;
mod marking;
mod outbox;
mod place;
mod quotas;
mod removing;
mod results;
mod retention;
mod retrying;
mod sharing;
mod sorting;
mod trash;
mod uploading;

pub use admitting::{
    admitted_song_is_found_unchanged, concurrent_admissions_store_one_song,
    concurrently_admitted_songs_request_one_job, dropped_admission_is_atomic, duplicate_song_id_is_rejected,
    first_song_with_hash_requests_job, repeated_admission_changes_nothing, song_after_failed_one_requests_job,
    song_with_existing_stems_is_split, song_with_splitting_hash_is_splitting, song_with_waiting_hash_shares_job,
};
pub use advancing::{
    concurrent_result_and_failure_leave_same_status, failure_marks_all_waiting_songs,
    failure_reason_is_stored_unchanged, lease_marks_all_waiting_songs, only_results_and_failures_clear_outbox,
    result_finishes_all_songs_with_hash, result_is_stored_with_formats_and_provenance,
    returned_lease_leaves_songs_waiting,
};
pub use cancelling::{
    cancellation_and_result_exclude_each_other, cancelled_song_fails_and_leaves_the_outbox,
    cancelling_one_of_two_songs_keeps_the_job, only_waiting_songs_are_cancelled, only_waiting_songs_have_lines,
};
pub use census::census_counts_what_waits_and_is_shared;
pub use labelling::{
    labels_are_counted_by_viewer, labels_are_stored_as_written_and_ignore_case, labels_of_a_song_are_limited,
    song_in_the_trash_keeps_its_labels, sorted_list_filters_by_label,
};
pub use listing::{
    cursor_outlives_its_song, hashes_are_listed_once_by_status, list_filters_by_status, pages_are_contiguous,
    songs_are_counted_by_status, songs_are_listed_newest_first, songs_of_other_users_are_not_listed,
    songs_with_hash_include_all_owners,
};
pub use marking::{
    marker_changes_what_is_given, marker_needs_existing_song_and_unused_id, markers_are_listed_by_time,
    markers_of_a_song_are_limited, removed_marker_and_markers_of_removed_song_are_gone,
};
pub use outbox::{
    claimed_entry_is_exclusive_until_expiry, concurrent_claims_are_disjoint, hash_is_requested_once,
    new_song_replaces_outbox_entry, outbox_is_oldest_first_and_limited, outbox_keeps_the_trace,
    outbox_number_is_never_reused, stale_number_removes_no_newer_entry,
};
pub use place::SongsPlace;
pub use quotas::{
    audio_quota_recovers_over_a_day, byte_quota_is_enforced, concurrent_admissions_do_not_exceed_quota,
    quota_usage_survives_restart, song_quota_is_enforced, unneeded_uploaders_are_deleted,
    upload_rate_recovers_over_a_minute,
};
pub use removing::{
    concurrent_removals_report_one_last_song, concurrent_removals_succeed_once,
    removal_reports_remaining_songs_with_hash, removing_last_song_clears_outbox, song_is_renamed,
};
pub use results::{
    equal_requests_for_a_further_model_share_one_job, failed_further_model_leaves_the_stems,
    lines_and_cancelling_concern_the_model_of_a_song, removing_last_song_removes_all_results,
    song_split_again_keeps_its_stems_until_the_new_ones_are_stored,
    song_with_stored_results_changes_to_them_without_a_job,
};
pub use retention::{
    ended_songs_expire_oldest_first, retention_time_limits_clock_jumps, song_uploaded_with_slow_clock_is_not_old,
};
pub use retrying::{
    concurrent_retries_succeed_once, only_failed_songs_are_retried, retried_song_waits_and_requests_job,
    retry_joins_existing_job,
};
pub use sharing::{
    expired_shares_are_deleted, removed_song_has_no_shares, revoked_share_is_not_found,
    share_is_found_until_it_expires, share_needs_existing_song_and_unused_secret,
    shares_are_listed_by_song_newest_first, shares_of_a_song_are_limited, stored_share_is_found_unchanged,
};
pub use sorting::{
    facts_of_a_song_are_stored_unchanged, place_outlives_its_song, renamed_song_is_found_by_its_new_title,
    search_ignores_case_and_accents, songs_are_sorted_by_each_key, sorted_list_filters_by_status,
    sorted_pages_are_contiguous,
};
pub use trash::{
    removed_song_leaves_the_trash, restored_song_is_as_before, song_in_the_trash_is_hidden_but_its_bytes_are_needed,
    song_in_the_trash_takes_no_part_in_work, trash_ages_by_the_retention_time, trash_gives_way_to_the_quota,
    trash_is_listed_by_owner_latest_first, trashing_cancels_a_waiting_song,
};
pub use uploading::{
    concurrent_uploads_do_not_exceed_bounds, created_upload_is_found_unchanged,
    expired_uploads_are_listed_oldest_first, finished_upload_does_not_count, unfinished_uploads_are_bounded,
    upload_advances_only_from_its_offset, upload_counts_towards_quota, upload_is_removed_once,
};
