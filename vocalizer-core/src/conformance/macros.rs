//! Suites to tests.

/// Writes the tests of a suite out.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance {
    (#[$test:meta] $place:expr; $suite:path; $($promise:ident)+) => {
        $(
            #[$test]
            async fn $promise() {
                use $suite as suite;
                suite::$promise(&$place).await;
            }
        )+
    };
}

/// A test per promise of [`JobQueue`](crate::ports::JobQueue): an attribute, then an expression that makes a fresh
/// [`QueuePlace`](crate::conformance::queue::QueuePlace).
#[macro_export]
macro_rules! queue_conformance {
    (#[$test:meta] $place:expr) => {
        $crate::__conformance! {
            #[$test] $place; $crate::conformance::queue;
            a_job_says_which_song_it_is_for
            an_acknowledged_job_never_comes_again
            a_repeat_does_no_harm
            jobs_published_at_once_all_come
            a_dropped_publication_harms_no_other
            nobody_else_gets_a_leased_job
            a_lease_says_how_long_it_holds
            a_lease_that_runs_out_gives_its_job_to_the_next
            a_lost_lease_changes_nothing
            a_lease_holds_while_it_is_extended
            a_dropped_lease_gives_its_job_back
            a_dropped_call_for_a_job_loses_none
            workers_that_wait_wake_when_jobs_come
            workers_that_ask_at_once_get_jobs_of_their_own
            a_job_that_failed_comes_again_after_its_delay
            a_job_put_off_does_not_count_and_lets_others_by
            a_job_given_up_is_a_dead_letter_and_never_comes_again
            dead_letters_come_newest_first_and_no_more_than_asked_for
            a_dead_letter_that_is_published_again_is_a_fresh_job
            a_job_that_the_queue_gives_up_is_told_until_it_is_filed
            a_settlement_that_was_never_begun_is_a_dropped_lease
            state_says_where_a_job_is
            depth_counts_what_waits_is_leased_and_was_set_aside
            a_granted_lease_holds_while_it_is_extended_by_its_identifier
            a_granted_lease_that_nobody_extends_was_no_attempt
            a_granted_lease_ends_as_it_is_settled
            a_granted_lease_that_is_over_is_lost
            a_dropped_call_for_a_granted_lease_loses_no_job
        }
    };
}

/// A test per promise of [`SongRepository`](crate::ports::SongRepository): an attribute, then an expression that makes
/// a fresh [`SongsPlace`](crate::conformance::songs::SongsPlace).
#[macro_export]
macro_rules! songs_conformance {
    (#[$test:meta] $place:expr) => {
        $crate::__conformance! {
            #[$test] $place; $crate::conformance::songs;
            a_song_is_found_as_it_was_admitted
            the_first_song_of_its_bytes_asks_for_a_job
            a_song_whose_bytes_wait_waits_for_the_same_job
            a_song_whose_bytes_are_being_split_is_splitting
            a_song_whose_stems_are_there_is_split
            a_failed_song_does_not_help_the_next
            admitting_a_song_again_changes_nothing
            another_song_with_the_same_identifier_is_refused
            songs_admitted_at_once_ask_for_one_job
            the_same_song_admitted_at_once_is_one_song
            a_dropped_admission_has_its_whole_effect_or_none
            a_failed_song_that_is_retried_waits_and_asks_for_a_job
            a_retry_joins_what_is_under_way
            only_failed_songs_are_retried
            a_song_retried_by_two_at_once_is_retried_by_one
            a_lease_marks_every_song_that_waits
            a_lease_given_back_leaves_songs_waiting
            a_result_reaches_every_song_of_its_bytes
            a_failure_reaches_every_song_that_waits
            a_failure_s_reason_is_kept_as_it_was
            only_results_and_failures_withdraw_wishes
            results_and_failures_at_once_leave_songs_of_one_mind
            songs_are_listed_newest_first
            songs_of_others_are_not_listed
            a_status_narrows_the_list
            a_page_goes_on_where_the_last_one_ended
            a_place_in_the_list_outlives_its_song
            songs_with_a_hash_are_listed_whoever_owns_them
            hashes_are_listed_once_by_status
            songs_are_counted_by_status
            a_removed_song_is_gone_and_said_to_be_the_last
            the_last_song_takes_its_wish_along
            a_song_removed_by_two_at_once_is_removed_by_one
            of_songs_removed_at_once_one_is_the_last
            a_song_gets_another_title
            wishes_come_oldest_first_and_no_more_than_asked_for
            a_hash_is_requested_where_it_is_not_there_yet
            an_old_number_crosses_off_no_newer_wish
            a_wish_made_anew_is_not_crossed_off_with_the_old_one
            a_number_is_never_used_twice
            a_claimed_wish_is_nobody_else_s
            wishes_claimed_at_once_are_claimed_by_one
            no_more_songs_are_admitted_than_a_quota_allows
            no_more_bytes_are_admitted_than_a_quota_allows
            songs_admitted_at_once_do_not_get_past_a_quota
            audio_comes_back_over_the_day
            uploads_come_back_over_the_minute
            uploaders_are_remembered_by_a_new_process
            uploaders_are_forgotten_when_no_limit_needs_them
            songs_expire_oldest_first_when_they_have_ended
            songs_age_no_faster_than_sweeps_allow
            a_song_uploaded_while_the_clock_was_behind_is_not_old_at_once
        }
    };
}

/// A test per promise of [`AccountRepository`](crate::ports::AccountRepository): an attribute, then an expression that
/// makes a fresh [`AccountsPlace`](crate::conformance::accounts::AccountsPlace).
#[macro_export]
macro_rules! accounts_conformance {
    (#[$test:meta] $place:expr) => {
        $crate::__conformance! {
            #[$test] $place; $crate::conformance::accounts;
            an_account_is_found_as_it_was_stored
            names_that_differ_in_case_are_one_name
            a_name_or_an_identifier_that_is_taken_is_refused
            of_two_who_register_a_name_at_once_one_gets_it
            another_password_closes_all_sessions_but_one_and_revokes_all_tokens
            closing_all_sessions_revokes_tokens_and_touches_no_other_user
            nobody_s_password_cannot_be_changed
            a_session_is_found_until_it_expires
            a_session_is_opened_once_and_for_somebody
            a_closed_session_is_gone
            tokens_are_listed_newest_first
            a_token_is_revoked_by_its_owner_alone
            what_is_expired_is_forgotten
            an_invite_lets_one_person_in
            an_invite_that_is_not_good_leaves_no_account
            of_two_who_come_with_one_invite_one_gets_in
        }
    };
}

/// A test per promise of [`Commons`](crate::ports::Commons): an attribute, then an expression that makes a fresh
/// [`CommonsPlace`](crate::conformance::commons::CommonsPlace).
#[macro_export]
macro_rules! commons_conformance {
    (#[$test:meta] $place:expr) => {
        $crate::__conformance! {
            #[$test] $place; $crate::conformance::commons;
            one_at_a_time_is_at_the_bytes_of_a_hash
            many_who_wait_all_get_their_turn
            a_wait_that_was_given_up_holds_nothing
            one_at_a_time_sweeps
            what_was_heard_last_counts
            the_last_song_s_end_is_remembered
        }
    };
}

/// A test per promise of [`Attempts`](crate::ports::Attempts): an attribute, then an expression that makes a fresh
/// [`AttemptsPlace`](crate::conformance::attempts::AttemptsPlace).
#[macro_export]
macro_rules! attempts_conformance {
    (#[$test:meta] $place:expr) => {
        $crate::__conformance! {
            #[$test] $place; $crate::conformance::attempts;
            some_attempts_are_free_and_then_each_doubles_the_delay
            attempts_that_cost_nothing_wait_for_no_clock
            one_who_waits_does_not_count_as_trying
            the_right_password_and_time_both_forget
            a_clock_that_goes_back_keeps_nobody_waiting
            others_are_not_slowed_down
            what_was_taken_back_does_not_count
            of_many_at_once_no_more_slip_through
        }
    };
}

/// A test per promise of [`BlobStore`](crate::ports::BlobStore): an attribute, then an expression that makes a fresh
/// [`BlobsPlace`](crate::conformance::blobs::BlobsPlace).
#[macro_export]
macro_rules! blobs_conformance {
    (#[$test:meta] $place:expr) => {
        $crate::__conformance! {
            #[$test] $place; $crate::conformance::blobs;
            a_blob_is_read_back_as_it_was_written
            keys_do_not_get_in_each_other_s_way
            nothing_is_there_before_it_is_committed
            a_dropped_writer_leaves_nothing
            a_blob_committed_again_is_replaced
            a_blob_committed_by_two_at_once_is_one_of_theirs
            nobody_meets_half_of_a_blob
            a_dropped_commit_is_the_whole_blob_or_nothing
            a_range_gives_its_bytes
            a_range_outside_the_blob_is_an_error
            a_reader_keeps_its_blob_when_it_is_deleted_or_replaced
            a_tag_changes_when_the_bytes_do
            many_read_one_blob_at_once
            a_dropped_call_for_a_chunk_loses_no_bytes
            deleted_blobs_are_gone_and_those_of_other_hashes_are_not
            deleting_twice_or_nothing_is_a_success
            what_was_made_is_listed_with_its_size
            one_blob_is_deleted_and_no_other
            hashes_are_listed_once
            a_sweep_leaves_what_is_being_written
            what_dead_writers_left_is_swept_up
        }
    };
}

/// A test per promise of [`BlobWriter::local_file`](crate::ports::BlobWriter::local_file): an attribute, then an
/// expression that makes a fresh [`BlobsPlace`](crate::conformance::blobs::BlobsPlace).
#[macro_export]
macro_rules! local_blobs_conformance {
    (#[$test:meta] $place:expr) => {
        $crate::__conformance! {
            #[$test] $place; $crate::conformance::blobs;
            a_local_file_has_what_was_written_so_far
            a_local_file_goes_with_its_writer
        }
    };
}
