//! The store and a model of it must agree after any sequence of operations.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use proptest::prelude::*;
use time::{Duration, OffsetDateTime};
use vocalizer_conformance::songs::SongsPlace;
use vocalizer_core::account::{UserId, Viewer};
use vocalizer_core::api::Provenance;
use vocalizer_core::dedupe::{Advance, UploadPlan, on_upload};
use vocalizer_core::part::StemFormats;
use vocalizer_core::ports::{Cursor, RepositoryError, SongFilter, SongRepository};
use vocalizer_core::song::{FailureReason, Song, SongHash, SongId, StatusKind, StemsInfo, Title};

use crate::sqlite::support::song;

/// An operation on a store. Few bytes, songs and users are used, so that operations interact.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "a test has few steps")]
pub(crate) enum Step {
    Admit { bytes: u8, uploader: u8, at: i64 },
    AdmitAgain(usize),
    Retry(usize),
    Advance(u8, Advance),
    Rename(usize, String),
    Remove(usize),
    Request(u8),
    Publish(usize),
    Reopen,
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let advance = prop_oneof![
        Just(Advance::Begin),
        Just(Advance::HandBack),
        Just(Advance::FINISH_MP3),
        Just(Advance::Finish(StemsInfo {
            formats: StemFormats::Both,
            provenance: Some(Provenance::new("a model")),
            ..StemsInfo::MP3
        })),
        "[a-zö ]{0,20}".prop_map(|text| Advance::Fail(FailureReason::new(&text))),
    ];
    prop_oneof![
        4 => (0_u8..3, 0_u8..3, 0_i64..4).prop_map(|(bytes, uploader, at)| Step::Admit { bytes, uploader, at }),
        1 => (0_usize..8).prop_map(Step::AdmitAgain),
        2 => (0_usize..8).prop_map(Step::Retry),
        4 => (0_u8..3, advance).prop_map(|(bytes, advance)| Step::Advance(bytes, advance)),
        1 => (0_usize..8, "[a-zäöü]{1,9}").prop_map(|(song, title)| Step::Rename(song, title)),
        2 => (0_usize..8).prop_map(Step::Remove),
        1 => (0_u8..3).prop_map(Step::Request),
        2 => (0_usize..4).prop_map(Step::Publish),
        1 => Just(Step::Reopen),
    ]
}

/// The content of the store in its simplest form.
#[derive(Default)]
struct Model {
    songs: BTreeMap<SongId, Song>,
    /// All songs ever admitted, in order.
    known: Vec<Song>,
    /// Oldest first.
    outbox: Vec<SongHash>,
}

impl Model {
    fn settle(&mut self, mut song: Song) -> Song {
        let (hash, id) = (*song.hash(), song.id());
        let others = || self.songs.values().filter(move |other| other.hash() == &hash && other.id() != id);
        let plan = on_upload(others().map(Song::status));
        plan.apply(&mut song, others()).unwrap();
        if plan == UploadPlan::Enqueue {
            self.outbox.retain(|hash| hash != song.hash());
            self.outbox.push(*song.hash());
        }
        self.songs.insert(song.id(), song.clone());
        song
    }

    fn pick(&self, at: usize) -> Option<Song> {
        self.known.get(at).cloned()
    }

    fn list(&self, query: &SongFilter) -> Vec<Song> {
        let place = |song: &Song| (Reverse(Cursor::of(song).uploaded_at_us), song.id());
        let after = query.after.map(|cursor| (Reverse(cursor.uploaded_at_us), cursor.id));
        let mut songs: Vec<_> = self.songs.values().filter(|song| query.viewer.may_see(song)).cloned().collect();
        songs.retain(|song| query.status.is_none_or(|kind| song.status().kind() == kind));
        songs.retain(|song| after.is_none_or(|after| place(song) > after));
        songs.sort_by_key(place);
        songs.truncate(query.limit.map_or(usize::MAX, |limit| limit as usize));
        songs
    }
}

fn hash(bytes: u8) -> SongHash {
    SongHash::of(bytes.to_string().as_bytes())
}

async fn apply(step: Step, model: &mut Model, store: &dyn SongRepository, users: &[Option<UserId>]) {
    match step {
        Step::Admit { bytes, uploader, at } => {
            let uploaded_at = OffsetDateTime::UNIX_EPOCH + Duration::microseconds(at);
            let new = song(&bytes.to_string(), users[usize::from(uploader)], uploaded_at);
            model.known.push(new.clone());
            let expected = model.settle(new.clone());
            assert_eq!(store.admit(&new).await.unwrap(), expected);
        }
        Step::AdmitAgain(at) => {
            let Some(known) = model.pick(at) else { return };
            let expected = match model.songs.get(&known.id()) {
                Some(song) => song.clone(),
                None => model.settle(known.clone()),
            };
            assert_eq!(store.admit(&known).await.unwrap(), expected);
        }
        Step::Retry(at) => {
            let Some(known) = model.pick(at) else { return };
            let found = store.retry(known.id()).await;
            match model.songs.get(&known.id()).cloned() {
                None => assert_eq!(found.unwrap(), None),
                Some(mut song) => match song.retry() {
                    Ok(()) => assert_eq!(found.unwrap(), Some(model.settle(song))),
                    Err(_) => assert!(matches!(found, Err(RepositoryError::Conflict))),
                },
            }
        }
        Step::Advance(bytes, advance) => {
            let mut expected = BTreeMap::new();
            for song in model.songs.values_mut().filter(|song| song.hash() == &hash(bytes)) {
                let before = song.clone();
                if advance.apply(song).unwrap() {
                    assert_ne!(*song, before);
                    expected.insert(song.id(), song.clone());
                }
            }
            if matches!(advance, Advance::Finish(_) | Advance::Fail(_)) {
                model.outbox.retain(|entry| entry != &hash(bytes));
            }
            let changed = store.advance(&hash(bytes), &advance).await.unwrap();
            assert_eq!(changed.len(), expected.len());
            assert_eq!(changed.into_iter().map(|song| (song.id(), song)).collect::<BTreeMap<_, _>>(), expected);
        }
        Step::Rename(at, title) => {
            let Some(known) = model.pick(at) else { return };
            let title = Title::parse(&title, 20).unwrap();
            let expected = model.songs.get_mut(&known.id()).map(|song| {
                song.rename(title.clone());
                song.clone()
            });
            assert_eq!(store.rename(known.id(), &title).await.unwrap(), expected);
        }
        Step::Remove(at) => {
            let Some(known) = model.pick(at) else { return };
            let expected = model.songs.remove(&known.id());
            let others = model.songs.values().filter(|other| other.hash() == known.hash()).count();
            if expected.is_some() && others == 0 {
                model.outbox.retain(|entry| entry != known.hash());
            }
            let removed = store.remove(known.id()).await.unwrap();
            assert_eq!(
                removed.as_ref().map(|removed| removed.others_with_hash),
                expected.as_ref().map(|_| others as u64)
            );
            assert_eq!(removed.map(|removed| removed.song), expected);
        }
        Step::Request(bytes) => {
            if !model.outbox.contains(&hash(bytes)) {
                model.outbox.push(hash(bytes));
            }
            store.request(&hash(bytes)).await.unwrap();
        }
        Step::Publish(at) => {
            let Some(entry) = store.pending(u32::MAX).await.unwrap().get(at).copied() else { return };
            model.outbox.retain(|hash| *hash != entry.hash);
            store.published(entry.number).await.unwrap();
        }
        Step::Reopen => {}
    }
}

/// Compares the results of all queries.
async fn compare(model: &Model, store: &dyn SongRepository, users: &[Option<UserId>]) {
    for known in &model.known {
        assert_eq!(store.find(known.id()).await.unwrap().as_ref(), model.songs.get(&known.id()));
    }
    for &user in users {
        let viewer = user.map_or(Viewer::Anonymous, Viewer::User);
        let all = SongFilter::all_of(viewer);
        for status in StatusKind::ALL.into_iter().map(Some).chain([None]) {
            for after in model.known.iter().map(|song| Some(Cursor::of(song))).chain([None]) {
                let query = SongFilter { status, after, limit: after.map(|_| 2), ..all };
                assert_eq!(store.list(&query).await.unwrap(), model.list(&query));
            }
        }
    }
    let entries: Vec<_> = store.pending(u32::MAX).await.unwrap().iter().map(|entry| entry.hash).collect();
    assert_eq!(entries, model.outbox);
    let counted = StatusKind::ALL.map(|kind| model.songs.values().filter(|song| song.status().kind() == kind).count());
    assert_eq!(store.count().await.unwrap(), counted.map(|count| count as u64));
}

/// Applies the operations to both and compares them.
pub(crate) async fn assert_agreement(steps: Vec<Step>, place: &impl SongsPlace) {
    let mut store = place.songs().await;
    let users = [None, Some(place.user().await), Some(place.user().await)];
    let mut model = Model::default();
    for step in steps {
        if matches!(step, Step::Reopen) {
            store = place.songs().await;
        }
        apply(step, &mut model, &*store, &users).await;
    }
    compare(&model, &*store, &users).await;
}
