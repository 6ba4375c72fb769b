//! What every [`JobQueue`](crate::ports::JobQueue) promises.

mod granting;
mod leasing;
mod place;
mod publishing;
mod settling;
mod state;

pub use granting::{
    a_dropped_call_for_a_granted_lease_loses_no_job, a_granted_lease_ends_as_it_is_settled,
    a_granted_lease_holds_while_it_is_extended_by_its_identifier, a_granted_lease_that_is_over_is_lost,
    a_granted_lease_that_nobody_extends_was_no_attempt,
};
pub use leasing::{
    a_dropped_call_for_a_job_loses_none, a_dropped_lease_gives_its_job_back, a_lease_holds_while_it_is_extended,
    a_lease_says_how_long_it_holds, a_lease_that_runs_out_gives_its_job_to_the_next, a_lost_lease_changes_nothing,
    nobody_else_gets_a_leased_job, workers_that_ask_at_once_get_jobs_of_their_own,
    workers_that_wait_wake_when_jobs_come,
};
pub use place::QueuePlace;
pub use publishing::{
    a_dropped_publication_harms_no_other, a_job_says_which_song_it_is_for, a_repeat_does_no_harm,
    an_acknowledged_job_never_comes_again, jobs_published_at_once_all_come,
};
pub use settling::{
    a_dead_letter_that_is_published_again_is_a_fresh_job, a_job_given_up_is_a_dead_letter_and_never_comes_again,
    a_job_put_off_does_not_count_and_lets_others_by, a_job_that_failed_comes_again_after_its_delay,
    a_job_that_the_queue_gives_up_is_told_until_it_is_filed, a_settlement_that_was_never_begun_is_a_dropped_lease,
    dead_letters_come_newest_first_and_no_more_than_asked_for,
};
pub use state::{depth_counts_what_waits_is_leased_and_was_set_aside, state_says_where_a_job_is};
