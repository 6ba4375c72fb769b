//! Checks for every [`JobQueue`](vocalizer_core::ports::JobQueue).

mod fairness;
mod granting;
mod leasing;
mod models;
mod place;
mod publishing;
mod settling;
mod state;
mod traces;

pub use fairness::{
    higher_priority_is_first, jobs_ahead_are_counted_by_model, newcomer_waits_for_one_job_of_each_owner,
    owners_take_turns, positions_agree_with_deliveries, shared_job_belongs_to_the_owner_who_is_first,
    withdrawn_job_leaves_the_queue,
};
pub use granting::{
    dropped_grant_call_loses_no_job, expired_granted_lease_is_lost, granted_lease_is_settled_by_id,
    granted_lease_stays_valid_while_extended_by_id, granted_lease_without_extension_counts_no_attempt,
};
pub use leasing::{
    concurrent_workers_get_distinct_jobs, dropped_lease_call_loses_no_job, dropped_lease_requeues_job,
    expired_lease_requeues_job, extended_lease_stays_valid, lease_reports_its_visibility, leased_job_is_exclusive,
    lost_lease_has_no_effect, waiting_workers_wake_on_new_jobs,
};
pub use models::{granted_lease_names_the_model, job_of_a_further_model_waits_for_its_worker};
pub use place::QueuePlace;
pub use publishing::{
    acknowledged_job_is_not_redelivered, concurrently_published_jobs_are_all_delivered,
    dropped_publish_does_not_affect_other_jobs, job_carries_hash_and_payload, repeated_publish_is_harmless,
};
pub use settling::{
    dead_letters_are_newest_first_and_limited, failed_job_is_redelivered_after_its_delay,
    job_given_up_becomes_dead_letter, job_given_up_by_queue_is_reported_until_filed,
    postponed_job_counts_no_attempt_and_does_not_block_others, republished_dead_letter_is_a_new_job,
    unpolled_settlement_is_a_dropped_lease,
};
pub use state::{depth_counts_waiting_leased_and_dead_jobs, state_reports_waiting_leased_and_absent};
pub use traces::job_keeps_its_trace;
