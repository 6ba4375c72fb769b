//! What equal bytes share: no song is left waiting, no stems are lost, nothing is split twice without need.

use proptest::collection::vec;
use proptest::prelude::*;
use vocalizer_core::dedupe::{Advance, BlobFate, UploadPlan, on_delete, on_failure, on_result, on_upload};
use vocalizer_core::song::{FailureReason, Status, StatusKind, Transition};

use super::songs::{reason, status};

/// Applies transitions that must all be legal.
fn walk(status: &Status, transitions: impl IntoIterator<Item = Transition>) -> Status {
    transitions.into_iter().fold(status.clone(), |status, transition| status.after(transition).expect("a door"))
}

/// Songs with one hash, and how many jobs for it are on the queue.
#[derive(Debug, Clone, Default)]
struct World {
    songs: Vec<Status>,
    jobs: usize,
    stems: bool,
}

/// What can happen to them.
#[derive(Debug, Clone)]
enum Event {
    Upload,
    Retry(prop::sample::Index),
    Lease,
    Expire,
    Result,
    Failure(FailureReason),
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
        index().prop_map(Event::Delete),
    ]
}

impl World {
    fn arrive(&mut self, song: Status) {
        let plan = on_upload(&self.songs);
        self.songs.push(walk(&song, plan.transitions().iter().cloned()));
        self.jobs += usize::from(plan == UploadPlan::Enqueue);
    }

    fn advance(&mut self, advance: &Advance) {
        self.songs.iter_mut().for_each(|song| *song = walk(song, advance.transitions(song)));
    }

    /// As the service does it: a job stands for all songs with the hash, and a lease marks all that wait.
    fn happen(&mut self, event: &Event) {
        let splitting = self.songs.contains(&Status::Splitting);
        match event {
            Event::Upload => self.arrive(walk(&Status::Uploading, [Transition::FinishUpload])),
            Event::Retry(index) if !self.songs.is_empty() => {
                let at = index.index(self.songs.len());
                if self.songs[at].kind() == StatusKind::Failed {
                    let song = self.songs.remove(at);
                    self.arrive(walk(&song, [Transition::Retry]));
                }
            }
            Event::Lease if self.jobs > 0 => self.advance(&Advance::Begin),
            Event::Expire => self.advance(&Advance::HandBack),
            Event::Result if self.jobs > 0 => {
                self.advance(&Advance::Finish);
                (self.jobs, self.stems) = (self.jobs - 1, !self.songs.is_empty());
            }
            Event::Failure(reason) if self.jobs > 0 && splitting => {
                self.advance(&Advance::Fail(reason.clone()));
                self.jobs -= 1;
            }
            Event::Delete(index) if !self.songs.is_empty() => {
                self.songs.remove(index.index(self.songs.len()));
                self.stems &= on_delete(self.songs.len() as u64) == BlobFate::Keep;
                // A job that nobody waits for any more is withdrawn.
                if !self.songs.iter().any(|song| matches!(song, Status::Uploaded | Status::Splitting)) {
                    self.jobs = 0;
                }
            }
            _ => {}
        }
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let has = |kind| self.songs.iter().any(|song| song.kind() == kind);
        if has(StatusKind::Uploaded) || has(StatusKind::Splitting) {
            prop_assert!(self.jobs > 0, "somebody waits for a job that is not there: {:?}", self);
        }
        if has(StatusKind::Split) {
            prop_assert!(self.stems, "stems are promised and gone: {:?}", self);
            prop_assert!(!has(StatusKind::Uploaded), "somebody waits beside stems that are there: {:?}", self);
        }
        let waits = has(StatusKind::Uploaded) && has(StatusKind::Splitting);
        prop_assert!(!waits, "one waits while another with the same bytes is split: {:?}", self);
        prop_assert!(self.jobs <= 1, "the same bytes are to be split twice: {:?}", self);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_nobody_waits_in_vain(events in vec(event(), 0..40)) {
        let mut world = World::default();
        for event in &events {
            world.happen(event);
            world.check()?;
        }
    }

    #[test]
    fn an_upload_meets_what_the_others_have(others in vec(status(), 0..6)) {
        let has = |kind| others.iter().any(|other| other.kind() == kind);
        let plan = on_upload(&others);
        if has(StatusKind::Split) {
            prop_assert_eq!(plan, UploadPlan::ReuseStems);
        } else if has(StatusKind::Splitting) {
            prop_assert_eq!(plan, UploadPlan::JoinWork);
        } else if has(StatusKind::Uploaded) {
            prop_assert_eq!(plan, UploadPlan::AwaitOther);
        } else {
            prop_assert_eq!(plan, UploadPlan::Enqueue, "an upload that may never end, or a failure, brings no stems");
        }
        let mut turned = others.clone();
        turned.reverse();
        prop_assert_eq!(on_upload(&turned), plan, "the order of the others tells nothing");
    }

    #[test]
    fn a_result_reaches_every_song_and_a_repeat_changes_nothing(status in status()) {
        let after = walk(&status, on_result(&status).iter().cloned());
        let expected = if status == Status::Uploading { StatusKind::Uploading } else { StatusKind::Split };
        prop_assert_eq!(after.kind(), expected);
        prop_assert_eq!(on_result(&after), &[][..]);
    }

    #[test]
    fn a_failure_reaches_every_song_that_waits(status in status(), reason in reason()) {
        let after = walk(&status, on_failure(&status, &reason));
        match status.kind() {
            StatusKind::Uploaded | StatusKind::Splitting => prop_assert_eq!(after.failure(), Some(&reason)),
            StatusKind::Uploading | StatusKind::Split | StatusKind::Failed => prop_assert_eq!(after, status),
        }
    }

    #[test]
    fn bytes_go_with_the_last_song_and_not_before(others: u64) {
        prop_assert_eq!(on_delete(others) == BlobFate::Delete, others == 0);
    }
}
