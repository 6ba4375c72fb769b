//! Strategies for random songs and their fields.

use proptest::prelude::*;
use time::OffsetDateTime;
use vocalizer_core::account::UserId;
use vocalizer_core::api::Provenance;
use vocalizer_core::part::StemFormats;
use vocalizer_core::song::{
    FailureReason, Song, SongFacts, SongHash, SongId, Status, StemsInfo, StoredSong, Target, Title, Transition,
};

/// Few different users, so that random ones are often equal.
pub(crate) fn user() -> impl Strategy<Value = UserId> {
    (0_u8..4).prop_map(|n| UserId::from_bytes([n; 16]))
}

pub(crate) fn hash() -> impl Strategy<Value = SongHash> {
    (0_u8..3).prop_map(|n| SongHash::of(&[n]))
}

pub(crate) fn reason() -> impl Strategy<Value = FailureReason> {
    ".{0,40}".prop_map(|text| FailureReason::new(&text))
}

pub(crate) fn status() -> impl Strategy<Value = Status> {
    prop_oneof![
        Just(Status::Uploading),
        Just(Status::Uploaded),
        Just(Status::Splitting),
        Just(Status::Split),
        reason().prop_map(|reason| Status::Failed { reason }),
    ]
}

pub(crate) fn transition() -> impl Strategy<Value = Transition> {
    prop_oneof![
        Just(Transition::FinishUpload),
        Just(Transition::BeginSplitting),
        Just(Transition::HandBack),
        Just(Transition::AcceptStems),
        reason().prop_map(Transition::Fail),
        Just(Transition::Cancel),
        Just(Transition::Retry),
        Just(Transition::ReuseStems),
        Just(Transition::SplitAgain),
    ]
}

pub(crate) fn song() -> impl Strategy<Value = Song> {
    let title = "[a-zA-Zäß音 ]{0,10}x".prop_map(|text| Title::parse(&text, 20).expect("a title"));
    let times = (0_i64..4_000_000_000).prop_map(|s| OffsetDateTime::from_unix_timestamp(s).expect("a time"));
    let fields = (any::<[u8; 16]>(), title, hash(), proptest::option::of(user()), times, status());
    fields.prop_map(|(id, title, hash, uploader, uploaded_at, status)| {
        let stems =
            StemsInfo { formats: StemFormats::Both, provenance: Some(Provenance::new("htdemucs")), ..StemsInfo::MP3 };
        StoredSong {
            id: SongId::from_bytes(id),
            title,
            hash,
            uploader,
            uploaded_at,
            status,
            target: Target::default_of(hash),
            facts: SongFacts::UNKNOWN,
            stems,
            labels: Vec::new(),
        }
        .into()
    })
}
