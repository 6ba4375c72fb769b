//! What every [`SongRepository`](crate::ports::SongRepository) promises.

mod admitting;
mod advancing;
mod listing;
mod outbox;
mod place;
mod quotas;
mod removing;
mod retention;
mod retrying;

pub use admitting::{
    a_dropped_admission_has_its_whole_effect_or_none, a_failed_song_does_not_help_the_next,
    a_song_is_found_as_it_was_admitted, a_song_whose_bytes_are_being_split_is_splitting,
    a_song_whose_bytes_wait_waits_for_the_same_job, a_song_whose_stems_are_there_is_split,
    admitting_a_song_again_changes_nothing, another_song_with_the_same_identifier_is_refused,
    songs_admitted_at_once_ask_for_one_job, the_first_song_of_its_bytes_asks_for_a_job,
    the_same_song_admitted_at_once_is_one_song,
};
pub use advancing::{
    a_failure_reaches_every_song_that_waits, a_failure_s_reason_is_kept_as_it_was,
    a_lease_given_back_leaves_songs_waiting, a_lease_marks_every_song_that_waits,
    a_result_reaches_every_song_of_its_bytes, only_results_and_failures_withdraw_wishes,
    results_and_failures_at_once_leave_songs_of_one_mind,
};
pub use listing::{
    a_page_goes_on_where_the_last_one_ended, a_place_in_the_list_outlives_its_song, a_status_narrows_the_list,
    hashes_are_listed_once_by_status, songs_are_counted_by_status, songs_are_listed_newest_first,
    songs_of_others_are_not_listed, songs_with_a_hash_are_listed_whoever_owns_them,
};
pub use outbox::{
    a_claimed_wish_is_nobody_else_s, a_hash_is_requested_where_it_is_not_there_yet, a_number_is_never_used_twice,
    a_wish_made_anew_is_not_crossed_off_with_the_old_one, an_old_number_crosses_off_no_newer_wish,
    wishes_claimed_at_once_are_claimed_by_one, wishes_come_oldest_first_and_no_more_than_asked_for,
};
pub use place::SongsPlace;
pub use quotas::{
    audio_comes_back_over_the_day, no_more_bytes_are_admitted_than_a_quota_allows,
    no_more_songs_are_admitted_than_a_quota_allows, songs_admitted_at_once_do_not_get_past_a_quota,
    uploaders_are_forgotten_when_no_limit_needs_them, uploaders_are_remembered_by_a_new_process,
    uploads_come_back_over_the_minute,
};
pub use removing::{
    a_removed_song_is_gone_and_said_to_be_the_last, a_song_gets_another_title,
    a_song_removed_by_two_at_once_is_removed_by_one, of_songs_removed_at_once_one_is_the_last,
    the_last_song_takes_its_wish_along,
};
pub use retention::{
    a_song_uploaded_while_the_clock_was_behind_is_not_old_at_once, songs_age_no_faster_than_sweeps_allow,
    songs_expire_oldest_first_when_they_have_ended,
};
pub use retrying::{
    a_failed_song_that_is_retried_waits_and_asks_for_a_job, a_retry_joins_what_is_under_way,
    a_song_retried_by_two_at_once_is_retried_by_one, only_failed_songs_are_retried,
};
