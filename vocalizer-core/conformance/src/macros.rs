//! Macros that generate the tests of a suite.

/// Generates one test per check of a suite.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance {
    (#[$test:meta] $place:expr; $suite:path; $($check:ident)+) => {
        $(
            #[$test]
            async fn $check() {
                use $suite as suite;
                suite::$check(&$place).await;
            }
        )+
    };
}

/// Generates the tests for [`JobQueue`](vocalizer_core::ports::JobQueue). Takes a test attribute and an expression that creates
/// a new [`QueuePlace`](crate::queue::QueuePlace).
#[macro_export]
macro_rules! queue_conformance {
    (#[$test:meta] $place:expr) => {
        $crate::__conformance! {
            #[$test] $place; $crate::queue;
            job_carries_hash_and_payload
            acknowledged_job_is_not_redelivered
            repeated_publish_is_harmless
            concurrently_published_jobs_are_all_delivered
            dropped_publish_does_not_affect_other_jobs
            leased_job_is_exclusive
            lease_reports_its_visibility
            expired_lease_requeues_job
            lost_lease_has_no_effect
            extended_lease_stays_valid
            dropped_lease_requeues_job
            dropped_lease_call_loses_no_job
            waiting_workers_wake_on_new_jobs
            concurrent_workers_get_distinct_jobs
            failed_job_is_redelivered_after_its_delay
            postponed_job_counts_no_attempt_and_does_not_block_others
            job_given_up_becomes_dead_letter
            dead_letters_are_newest_first_and_limited
            republished_dead_letter_is_a_new_job
            job_given_up_by_queue_is_reported_until_filed
            unpolled_settlement_is_a_dropped_lease
            state_reports_waiting_leased_and_absent
            depth_counts_waiting_leased_and_dead_jobs
            granted_lease_stays_valid_while_extended_by_id
            granted_lease_without_extension_counts_no_attempt
            granted_lease_is_settled_by_id
            expired_granted_lease_is_lost
            dropped_grant_call_loses_no_job
            job_of_a_further_model_waits_for_its_worker
            granted_lease_names_the_model
            job_keeps_its_trace
            jobs_ahead_are_counted_by_model
            owners_take_turns
            newcomer_waits_for_one_job_of_each_owner
            higher_priority_is_first
            shared_job_belongs_to_the_owner_who_is_first
            withdrawn_job_leaves_the_queue
            positions_agree_with_deliveries
        }
    };
}

/// Generates the tests for [`SongRepository`](vocalizer_core::ports::SongRepository),
/// [`LibraryRepository`](vocalizer_core::ports::LibraryRepository), [`LabelRepository`](vocalizer_core::ports::LabelRepository),
/// [`ShareRepository`](vocalizer_core::ports::ShareRepository), [`MarkerRepository`](vocalizer_core::ports::MarkerRepository),
/// [`TrashRepository`](vocalizer_core::ports::TrashRepository) and
/// [`UploadRepository`](vocalizer_core::ports::UploadRepository). Takes a test attribute and an expression that creates a new [`SongsPlace`](crate::songs::SongsPlace).
#[macro_export]
macro_rules! songs_conformance {
    (#[$test:meta] $place:expr) => {
        $crate::__conformance! {
            #[$test] $place; $crate::songs;
            admitted_song_is_found_unchanged
            first_song_with_hash_requests_job
            song_with_waiting_hash_shares_job
            song_with_splitting_hash_is_splitting
            song_with_existing_stems_is_split
            song_after_failed_one_requests_job
            repeated_admission_changes_nothing
            duplicate_song_id_is_rejected
            concurrently_admitted_songs_request_one_job
            concurrent_admissions_store_one_song
            dropped_admission_is_atomic
            retried_song_waits_and_requests_job
            retry_joins_existing_job
            cancelled_song_fails_and_leaves_the_outbox
            cancelling_one_of_two_songs_keeps_the_job
            only_waiting_songs_are_cancelled
            cancellation_and_result_exclude_each_other
            only_waiting_songs_have_lines
            only_failed_songs_are_retried
            concurrent_retries_succeed_once
            lease_marks_all_waiting_songs
            returned_lease_leaves_songs_waiting
            result_finishes_all_songs_with_hash
            result_is_stored_with_formats_and_provenance
            failure_marks_all_waiting_songs
            failure_reason_is_stored_unchanged
            only_results_and_failures_clear_outbox
            concurrent_result_and_failure_leave_same_status
            songs_are_listed_newest_first
            songs_of_other_users_are_not_listed
            list_filters_by_status
            pages_are_contiguous
            cursor_outlives_its_song
            songs_with_hash_include_all_owners
            hashes_are_listed_once_by_status
            songs_are_counted_by_status
            removal_reports_remaining_songs_with_hash
            removing_last_song_clears_outbox
            concurrent_removals_succeed_once
            concurrent_removals_report_one_last_song
            song_is_renamed
            outbox_is_oldest_first_and_limited
            hash_is_requested_once
            stale_number_removes_no_newer_entry
            new_song_replaces_outbox_entry
            outbox_number_is_never_reused
            outbox_keeps_the_trace
            census_counts_what_waits_and_is_shared
            claimed_entry_is_exclusive_until_expiry
            concurrent_claims_are_disjoint
            song_quota_is_enforced
            byte_quota_is_enforced
            concurrent_admissions_do_not_exceed_quota
            audio_quota_recovers_over_a_day
            upload_rate_recovers_over_a_minute
            quota_usage_survives_restart
            unneeded_uploaders_are_deleted
            ended_songs_expire_oldest_first
            retention_time_limits_clock_jumps
            song_uploaded_with_slow_clock_is_not_old
            song_in_the_trash_is_hidden_but_its_bytes_are_needed
            restored_song_is_as_before
            trashing_cancels_a_waiting_song
            song_in_the_trash_takes_no_part_in_work
            removed_song_leaves_the_trash
            trash_is_listed_by_owner_latest_first
            trash_ages_by_the_retention_time
            trash_gives_way_to_the_quota
            facts_of_a_song_are_stored_unchanged
            songs_are_sorted_by_each_key
            sorted_pages_are_contiguous
            place_outlives_its_song
            search_ignores_case_and_accents
            renamed_song_is_found_by_its_new_title
            sorted_list_filters_by_status
            labels_are_stored_as_written_and_ignore_case
            labels_of_a_song_are_limited
            labels_are_counted_by_viewer
            sorted_list_filters_by_label
            song_in_the_trash_keeps_its_labels
            stored_share_is_found_unchanged
            share_is_found_until_it_expires
            shares_are_listed_by_song_newest_first
            share_needs_existing_song_and_unused_secret
            shares_of_a_song_are_limited
            revoked_share_is_not_found
            removed_song_has_no_shares
            expired_shares_are_deleted
            markers_are_listed_by_time
            marker_needs_existing_song_and_unused_id
            markers_of_a_song_are_limited
            marker_changes_what_is_given
            removed_marker_and_markers_of_removed_song_are_gone
            song_split_again_keeps_its_stems_until_the_new_ones_are_stored
            song_with_stored_results_changes_to_them_without_a_job
            equal_requests_for_a_further_model_share_one_job
            removing_last_song_removes_all_results
            failed_further_model_leaves_the_stems
            lines_and_cancelling_concern_the_model_of_a_song
            created_upload_is_found_unchanged
            upload_advances_only_from_its_offset
            finished_upload_does_not_count
            unfinished_uploads_are_bounded
            concurrent_uploads_do_not_exceed_bounds
            upload_counts_towards_quota
            upload_is_removed_once
            expired_uploads_are_listed_oldest_first
        }
    };
}

/// Generates the tests for [`WebhookRepository`](vocalizer_core::ports::WebhookRepository), if the repository of songs has
/// webhooks. Takes a test attribute and an expression that creates a new [`SongsPlace`](crate::songs::SongsPlace).
#[macro_export]
macro_rules! webhooks_conformance {
    (#[$test:meta] $place:expr) => {
        $crate::__conformance! {
            #[$test] $place; $crate::webhooks;
            stored_webhook_is_found_unchanged
            webhooks_of_a_user_are_limited
            changes_of_songs_become_deliveries
            retried_song_becomes_a_delivery_when_it_is_split
            song_split_again_becomes_a_delivery
            delivery_is_claimed_once_until_its_claim_expires
            webhooks_take_turns
            attempt_is_recorded_once
            disabled_webhook_gets_nothing_until_it_is_enabled
            deleted_webhook_has_no_deliveries
            trashed_song_tells_webhooks_once
            old_deliveries_are_deleted
            backlog_is_what_is_left_to_deliver
        }
    };
}

/// Generates the tests for [`AccountRepository`](vocalizer_core::ports::AccountRepository). Takes a test attribute and an
/// expression that creates a new [`AccountsPlace`](crate::accounts::AccountsPlace).
#[macro_export]
macro_rules! accounts_conformance {
    (#[$test:meta] $place:expr) => {
        $crate::__conformance! {
            #[$test] $place; $crate::accounts;
            stored_account_is_found_unchanged
            usernames_are_case_insensitive
            duplicate_name_or_id_is_rejected
            concurrent_registration_of_name_succeeds_once
            password_change_closes_other_sessions_and_revokes_tokens
            closing_all_sessions_revokes_tokens_of_one_user
            password_of_unknown_user_is_not_changed
            session_is_found_until_it_expires
            session_needs_unused_digest_and_existing_user
            closed_session_is_not_found
            tokens_are_listed_newest_first
            only_owner_revokes_token
            expired_sessions_and_tokens_are_deleted
            invite_registers_one_user
            invalid_invite_stores_no_account
            concurrent_use_of_invite_succeeds_once
            identity_leads_to_its_account
            identity_belongs_to_one_account
            concurrent_accounts_of_identity_become_one
        }
    };
}

/// Generates the tests for [`Administration`](vocalizer_core::ports::Administration) and
/// [`AuditLog`](vocalizer_core::ports::AuditLog). Takes a test attribute and an expression that creates a new
/// [`AdministrationPlace`](crate::administration::AdministrationPlace).
#[macro_export]
macro_rules! administration_conformance {
    (#[$test:meta] $place:expr) => {
        $crate::__conformance! {
            #[$test] $place; $crate::administration;
            users_are_listed_by_name_with_what_they_have
            users_are_found_by_a_part_of_the_name
            administrators_are_marked_until_revoked_or_disabled
            disabled_user_has_no_sessions_until_enabled
            webhooks_of_disabled_user_wait_until_enabled
            password_is_set_without_closing_sessions
            quota_of_a_user_is_stored_unchanged
            songs_of_all_users_are_listed_newest_first
            erasures_and_the_hold_reach_other_processes
            audit_log_returns_newest_first_and_forgets_old_entries
        }
    };
}

/// Generates the tests for [`Coordination`](vocalizer_core::ports::Coordination). Takes a test attribute and an expression that creates a
/// new [`CoordinationPlace`](crate::coordination::CoordinationPlace).
#[macro_export]
macro_rules! coordination_conformance {
    (#[$test:meta] $place:expr) => {
        $crate::__conformance! {
            #[$test] $place; $crate::coordination;
            hash_lock_is_exclusive
            all_waiters_get_hash_lock
            dropped_wait_holds_no_lock
            released_sweep_lock_is_available
            last_progress_report_is_returned
            deletion_of_last_song_is_recorded
        }
    };
}

/// Generates the tests for [`Attempts`](vocalizer_core::ports::Attempts). Takes a test attribute and an expression that creates
/// a new [`AttemptsPlace`](crate::attempts::AttemptsPlace).
#[macro_export]
macro_rules! attempts_conformance {
    (#[$test:meta] $place:expr) => {
        $crate::__conformance! {
            #[$test] $place; $crate::attempts;
            delay_doubles_after_free_attempts
            free_attempts_ignore_clock_skew
            delayed_attempt_does_not_count
            success_and_time_reset_count
            clock_set_back_causes_no_long_delay
            other_keys_are_not_delayed
            attempts_taken_back_do_not_count
            concurrent_attempts_do_not_bypass_limit
        }
    };
}

/// Generates the tests for [`BlobStore`](vocalizer_core::ports::BlobStore). Takes a test attribute and an expression that
/// creates a new [`BlobsPlace`](crate::blobs::BlobsPlace).
#[macro_export]
macro_rules! blobs_conformance {
    (#[$test:meta] $place:expr) => {
        $crate::__conformance! {
            #[$test] $place; $crate::blobs;
            blob_round_trips
            keys_are_independent
            uncommitted_blob_is_invisible
            dropped_writer_leaves_nothing
            second_commit_replaces_blob
            concurrent_commits_store_one_blob
            reader_never_sees_partial_blob
            dropped_commit_is_atomic
            reader_has_bytes_written_so_far
            reader_survives_sweep
            range_returns_its_bytes
            range_outside_blob_is_an_error
            open_reader_survives_deletion_and_replacement
            tag_changes_with_bytes
            blob_has_concurrent_readers
            dropped_chunk_call_loses_no_bytes
            deletion_removes_blobs_of_one_hash
            deletion_is_idempotent
            derived_blobs_are_listed_with_size
            single_blob_is_deleted
            hashes_are_listed_once
            sweep_keeps_blobs_being_written
            sweep_removes_leftovers_of_dead_writers
        }
    };
}

/// Generates the tests for [`Backend`](vocalizer_core::ports::Backend). Takes a test attribute and an expression that creates a
/// new [`BackendPlace`](crate::backend::BackendPlace).
#[macro_export]
macro_rules! backend_conformance {
    (#[$test:meta] $place:expr) => {
        $crate::__conformance! {
            #[$test] $place; $crate::backend;
            begun_song_is_splitting
            source_has_uploaded_bytes
            delivery_splits_every_song_with_the_hash
            lossless_delivery_is_stored_with_its_provenance
            delivery_of_mp3_is_known_as_such
            invalid_provenance_is_refused
            repeated_delivery_changes_nothing
            late_failure_does_not_affect_split_songs
            unknown_and_deleted_songs_are_gone
            song_handed_back_waits_again
            failure_fails_every_song_with_the_hash
            incomplete_delivery_stores_nothing
            dropped_delivery_is_atomic
        }
    };
}

/// Generates the tests for [`ResultWriter`](vocalizer_core::ports::ResultWriter) and
/// [`ResultReader`](vocalizer_core::ports::ResultReader). Takes a test attribute and an expression that creates a new
/// [`ResultsPlace`](crate::results::ResultsPlace).
#[macro_export]
macro_rules! results_conformance {
    (#[$test:meta] $place:expr) => {
        $crate::__conformance! {
            #[$test] $place; $crate::results;
            archive_returns_all_stems
            archive_returns_all_formats_and_provenance
            same_stems_give_same_archive
            incomplete_archive_is_rejected
            interrupted_archive_is_rejected
            garbage_is_rejected
            too_large_stem_is_rejected
            unreadable_stem_is_an_error
        }
    };
}

/// Generates the tests for [`Separator`](vocalizer_core::ports::Separator). Takes a test attribute and an expression that creates
/// a new [`SeparatorPlace`](crate::separator::SeparatorPlace).
#[macro_export]
macro_rules! separator_conformance {
    (#[$test:meta] $place:expr) => {
        $crate::__conformance! {
            #[$test] $place; $crate::separator;
            song_has_four_stems
            every_announced_format_can_be_opened
            stems_can_be_read_repeatedly
            progress_never_decreases
            bytes_that_are_no_song_fail_permanently
            dropped_separation_does_not_affect_the_next
            songs_are_split_concurrently
        }
    };
}

/// Generates the tests for [`Renderer`](vocalizer_core::ports::Renderer). Takes a test attribute and an expression that creates
/// a new [`RendererPlace`](crate::renderer::RendererPlace).
#[macro_export]
macro_rules! renderer_conformance {
    (#[$test:meta] $place:expr) => {
        $crate::__conformance! {
            #[$test] $place; $crate::renderer;
            files_are_rendered_in_each_format
            gains_are_accepted
            previews_are_not_larger_than_files_at_full_quality
            peaks_are_limited
            analysis_is_within_bounds_or_unsupported
            file_without_tags_has_neither_cover_nor_lyrics
            files_that_are_no_audio_are_rejected
            dropped_rendering_does_not_affect_the_next
            files_are_rendered_concurrently
        }
    };
}
