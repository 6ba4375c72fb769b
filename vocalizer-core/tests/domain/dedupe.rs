//! Deduplication by hash: no song waits without a job, no stems are lost, nothing is split twice needlessly.

use proptest::collection::vec;
use proptest::prelude::*;
use vocalizer_core::dedupe::{Advance, BlobFate, UploadPlan, on_delete, on_failure, on_result, on_upload};
use vocalizer_core::song::{FailureReason, Status, StatusKind, Transition};

use super::songs::{reason, status};

/// Applies transitions, which must all be allowed.
fn apply_all(status: &Status, transitions: impl IntoIterator<Item = Transition>) -> Status {
    transitions
        .into_iter()
        .fold(status.clone(), |status, transition| status.after(transition).expect("an allowed transition"))
}

/// Songs with one hash, and the number of jobs for it on the queue.
#[derive(Debug, Clone, Default)]
struct World {
    songs: Vec<Status>,
    jobs: usize,
    stems: bool,
}

/// An event that affects them.
#[derive(Debug, Clone)]
enum Event {
    Upload,
    Retry(prop::sample::Index),
    Lease,
    Expire,
    Result,
    Failure(FailureReason),
    Cancel(prop::sample::Index),
    Delete(prop::sample::Index),
}

fn event() -> impl Strategy<Value = Event> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        Just(Event::Upload),
        index().prop_map(Event::Retry),
        Just(Event::Lease),
        Just(Event::Expire),
        Just(Event::Result),
        reason().prop_map(Event::Failure),
        index().prop_map(Event::Cancel),
        index().prop_map(Event::Delete),
    ]
}

impl World {
    fn arrive(&mut self, song: Status) {
        let plan = on_upload(&self.songs);
        self.songs.push(apply_all(&song, plan.transitions().iter().cloned()));
        self.jobs += usize::from(plan == UploadPlan::Enqueue);
    }

    fn advance(&mut self, advance: &Advance) {
        self.songs.iter_mut().for_each(|song| *song = apply_all(song, advance.transitions(song)));
    }

    /// Handles an event like the service: a job covers all songs with the hash, and a lease marks all waiting ones.
    fn handle(&mut self, event: &Event) {
        let splitting = self.songs.contains(&Status::Splitting);
        match event {
            Event::Upload => self.arrive(apply_all(&Status::Uploading, [Transition::FinishUpload])),
            Event::Retry(index) if !self.songs.is_empty() => {
                let at = index.index(self.songs.len());
                if self.songs[at].kind() == StatusKind::Failed {
                    let song = self.songs.remove(at);
                    self.arrive(apply_all(&song, [Transition::Retry]));
                }
            }
            Event::Lease if self.jobs > 0 => self.advance(&Advance::Begin),
            Event::Expire => self.advance(&Advance::HandBack),
            Event::Result if self.jobs > 0 => {
                self.advance(&Advance::FINISH_MP3);
                (self.jobs, self.stems) = (self.jobs - 1, !self.songs.is_empty());
            }
            Event::Failure(reason) if self.jobs > 0 && splitting => {
                self.advance(&Advance::Fail(reason.clone()));
                self.jobs -= 1;
            }
            Event::Cancel(index) if !self.songs.is_empty() => {
                let at = index.index(self.songs.len());
                if let Ok(cancelled) = self.songs[at].after(Transition::Cancel) {
                    self.songs[at] = cancelled;
                }
            }
            Event::Delete(index) if !self.songs.is_empty() => {
                self.songs.remove(index.index(self.songs.len()));
                self.stems &= on_delete(self.songs.len() as u64) == BlobFate::Keep;
            }
            _ => {}
        }
        // A job without a waiting song is withdrawn.
        if !self.songs.iter().any(Status::is_waiting) {
            self.jobs = 0;
        }
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let has = |kind| self.songs.iter().any(|song| song.kind() == kind);
        if has(StatusKind::Uploaded) || has(StatusKind::Splitting) {
            prop_assert!(self.jobs > 0, "a song waits without a job: {:?}", self);
        }
        if has(StatusKind::Split) {
            prop_assert!(self.stems, "a split song has no stems: {:?}", self);
            prop_assert!(!has(StatusKind::Uploaded), "a song waits although there are stems: {:?}", self);
        }
        let both = has(StatusKind::Uploaded) && has(StatusKind::Splitting);
        prop_assert!(!both, "a song waits while another with the same bytes is being split: {:?}", self);
        prop_assert!(self.jobs <= 1, "there are two jobs for the same bytes: {:?}", self);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_waiting_song_has_a_job(events in vec(event(), 0..40)) {
        let mut world = World::default();
        for event in &events {
            world.handle(event);
            world.check()?;
        }
    }

    #[test]
    fn upload_plan_follows_other_songs(others in vec(status(), 0..6)) {
        let has = |kind| others.iter().any(|other| other.kind() == kind);
        let plan = on_upload(&others);
        if has(StatusKind::Split) {
            prop_assert_eq!(plan, UploadPlan::ReuseStems);
        } else if has(StatusKind::Splitting) {
            prop_assert_eq!(plan, UploadPlan::JoinWork);
        } else if has(StatusKind::Uploaded) {
            prop_assert_eq!(plan, UploadPlan::AwaitOther);
        } else {
            prop_assert_eq!(plan, UploadPlan::Enqueue, "unfinished uploads and failures bring no stems");
        }
        let mut reversed = others.clone();
        reversed.reverse();
        prop_assert_eq!(on_upload(&reversed), plan, "the order of the other songs does not matter");
    }

    #[test]
    fn result_reaches_all_songs_and_is_idempotent(status in status()) {
        let after = apply_all(&status, on_result(&status).iter().cloned());
        let expected = if status == Status::Uploading { StatusKind::Uploading } else { StatusKind::Split };
        prop_assert_eq!(after.kind(), expected);
        prop_assert_eq!(on_result(&after), &[][..]);
    }

    #[test]
    fn failure_reaches_all_waiting_songs(status in status(), reason in reason()) {
        let after = apply_all(&status, on_failure(&status, &reason));
        match status.kind() {
            StatusKind::Uploaded | StatusKind::Splitting => prop_assert_eq!(after.failure(), Some(&reason)),
            StatusKind::Uploading | StatusKind::Split | StatusKind::Failed => prop_assert_eq!(after, status),
        }
    }

    #[test]
    fn only_a_retry_changes_a_cancelled_song(reason in reason()) {
        for status in [Status::Uploaded, Status::Splitting] {
            let cancelled = status.after(Transition::Cancel).expect("an allowed transition");
            for advance in [Advance::Begin, Advance::HandBack, Advance::FINISH_MP3, Advance::Fail(reason.clone())] {
                prop_assert_eq!(advance.transitions(&cancelled), []);
            }
            prop_assert_eq!(on_upload([&cancelled]), UploadPlan::Enqueue);
            prop_assert_eq!(cancelled.after(Transition::Retry), Ok(Status::Uploaded));
        }
    }

    #[test]
    fn blobs_are_deleted_with_the_last_song(others: u64) {
        prop_assert_eq!(on_delete(others) == BlobFate::Delete, others == 0);
    }
}
