use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection as _, Row as _, query};
use time::OffsetDateTime;
use vocalizer_core::account::{
    Account, Identity, PasswordHash, Session, SessionDigest, ShareId, ShareLink, TokenId, TokenName, UserId, Viewer,
};
use vocalizer_core::api::id::UploadId;
use vocalizer_core::api::{Provenance, ShareMix, WebhookEvent};
use vocalizer_core::dedupe::Advance;
use vocalizer_core::part::{Stem, StemFormats};
use vocalizer_core::ports::{
    AccountRepository, Action, Administration as _, AuditEntry, AuditLog as _, AuditSearch, JobLine,
    LabelRepository as _, LibraryQuery, LibraryRepository as _, MarkerRepository as _, PartialUpload, RepositoryError,
    ShareRepository as _, SongFilter, SongRepository, SortKey, UploadBounds, UploadRepository as _, UploadTotals,
    Whose,
};
use vocalizer_core::quota::{Limit, Quota, QuotaChange, Uploader};
use vocalizer_core::secret::Secret;
use vocalizer_core::song::{
    FailureReason, Label, LabelChange, Marker, MarkerId, Song, SongHash, SongId, Status, StemsInfo, Title,
};
use vocalizer_core::webhook::{Delivery, Health, Webhook, WebhookId};
use vocalizer_store::postgres::{Copied, CopyError, copy_from_sqlite};
use vocalizer_store::sqlite::SqliteStore;

use super::support::TestDatabase;
use crate::sqlite::support::TestFile;

const LONG_AGO: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

async fn registered(store: &SqliteStore, name: &str, at: OffsetDateTime) -> Account {
    let account = Account {
        id: UserId::random(),
        username: name.parse().unwrap(),
        password_hash: PasswordHash::new(format!("$argon2id$v=19$m=19456$„{name}“")),
        registered_at: at,
    };
    store.insert(&account).await.unwrap();
    account
}

async fn session(store: &SqliteStore, user: UserId, secret: &str, lasts: Option<Duration>, token: bool) -> Session {
    let session = Session {
        digest: SessionDigest::of(&Secret::new(secret.to_owned())),
        user,
        created_at: LONG_AGO - Duration::from_micros(1),
        expires_at: lasts.map(|lasts| LONG_AGO + lasts),
        token: token.then(|| TokenName { id: TokenId::random(), name: format!("'); DROP TABLE {secret} 🎧 --") }),
    };
    store.open_session(&session).await.unwrap();
    session
}

async fn admitted(store: &SqliteStore, title: &str, bytes: &str, uploader: Option<UserId>, at_us: i64) -> Song {
    let at = LONG_AGO + time::Duration::microseconds(at_us);
    let title = Title::parse(title, usize::MAX).unwrap();
    let mut song = Song::begin(SongId::random(), title, SongHash::of(bytes.as_bytes()), uploader, at);
    song.finish_upload().unwrap();
    store.admit(&song).await.unwrap()
}

fn parts(account: Option<Account>) -> Option<(UserId, String, String, OffsetDateTime)> {
    account.map(|it| (it.id, it.username.to_string(), it.password_hash.expose().to_owned(), it.registered_at))
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_keeps_everything_except_leases() {
    let (file, place) = (TestFile::new(), TestDatabase::new().await);
    let (from, to) = (file.open().await, place.open().await);
    let users = [
        registered(&from, "Straße.Öl+x@例え", LONG_AGO - Duration::from_micros(7)).await,
        registered(&from, "ΣΊΣΥΦΟΣ", LONG_AGO + Duration::from_micros(1_700_000_000_123_456)).await,
        registered(&from, "no-uploads", LONG_AGO).await,
    ];
    let [one, two, _] = users.each_ref().map(|user| user.id);
    let sessions = [
        session(&from, one, "open", Some(Duration::from_secs(u64::from(u32::MAX))), false).await,
        session(&from, one, "expired", Some(Duration::ZERO), false).await,
        session(&from, two, "unlimited", None, true).await,
        session(&from, two, "temporary", Some(Duration::from_secs(9)), true).await,
    ];
    let identity = Identity { issuer: "https://id.example.org".to_owned(), subject: "„17“".to_owned() };
    from.link_identity(two, &identity).await.unwrap();
    let songs = [
        admitted(&from, "¡Olé! „Lied“ 🎵 \u{1F468}\u{200D}\u{1F469} עברית", "waits", None, 5).await,
        admitted(&from, &"long ".repeat(2_000), "leased", Some(one), -3).await,
        admitted(&from, "leased, too", "leased", Some(two), i64::from(i32::MAX) * 1_000_000).await,
        admitted(&from, "' OR 1 = 1; --", "split", Some(one), 5).await,
        admitted(&from, "\\x00 NULL %s $1 ?", "failed", None, 5).await,
        admitted(&from, "asked for, and published", "published", None, 6).await,
    ];
    from.advance(songs[1].hash(), &Advance::Begin).await.unwrap();
    let mut provenance = Provenance::new("htdemucs „fine“");
    provenance.measure(Duration::from_secs(240), Duration::from_millis(12_345));
    let stems = StemsInfo { formats: StemFormats::Flac, provenance: Some(provenance), ..StemsInfo::MP3 };
    from.advance(songs[3].hash(), &Advance::Finish(stems)).await.unwrap();
    let reason = FailureReason::new("it is „not“ a song 🙁");
    from.advance(songs[4].hash(), &Advance::Fail(reason)).await.unwrap();
    from.set_priority(one, -7).await.unwrap();
    let stray = SongHash::of(b"stray");
    from.request(&stray).await.unwrap();
    for entry in from.pending(10).await.unwrap() {
        if [songs[1].hash(), songs[5].hash()].contains(&&entry.hash) {
            from.published(entry.number).await.unwrap();
        }
    }
    let mix = ShareMix::default().with_level(Stem::BASS, 0.3).with_loop_ms(5, 7);
    for (song, expires_at, mix) in [
        (&songs[0], None, None),
        (&songs[1], Some(LONG_AGO + Duration::from_micros(9)), Some(mix)),
        (&songs[1], None, None),
    ] {
        let id = ShareId::random();
        let digest = SessionDigest::of(&Secret::new(id.to_string()));
        let link = ShareLink { id, digest, song: song.id(), created_at: LONG_AGO, expires_at, mix };
        assert!(from.insert_share(&link, 2, LONG_AGO).await.unwrap());
    }
    let marker =
        Marker { id: MarkerId::random(), at_ms: 61_500, name: Title::parse("„Refrain“ 🎵", 100).unwrap() };
    assert!(from.insert_marker(songs[1].id(), &marker, 1).await.unwrap());
    let label = Label::parse("„Live“ 🎵").unwrap();
    from.relabel(songs[1].id(), &LabelChange::Add(label.clone())).await.unwrap().unwrap();
    let uploads = [(Some(one), None, 7), (None, Some(songs[0].id()), 10)].map(|(owner, song, received_bytes)| {
        let uploader = Uploader::User(one).to_string();
        let fields = [("title".to_owned(), "„Lied“ 🎵".to_owned())].into();
        let (id, expires_at) = (UploadId::random(), LONG_AGO + Duration::from_micros(9));
        PartialUpload { id, owner, uploader, size_bytes: 10, received_bytes, fields, song, expires_at }
    });
    for upload in &uploads {
        let most = UploadTotals { uploads: 10, bytes: 100 };
        let bounds = UploadBounds { per_uploader: most, total: most, quota: Quota::default() };
        assert!(from.create_upload(upload, &Uploader::User(one), &bounds).await.unwrap());
    }
    let webhook = Webhook {
        id: WebhookId::random(),
        user: two,
        url: Secret::new("https://two.example.org".to_owned()),
        secret: Secret::new("whsec_00ff".to_owned()),
        events: vec![WebhookEvent::Deleted, WebhookEvent::Failed],
        created_at: LONG_AGO,
        health: Health { failing_since: Some(LONG_AGO), given_up: 2, disabled_at: None },
    };
    from.webhooks().unwrap().insert_webhook(&webhook, 1).await.unwrap();
    let waits = admitted(&from, "deleted", "deleted", Some(two), 0).await;
    from.remove(waits.id()).await.unwrap();
    let failed = Delivery::new(webhook.id, WebhookEvent::Ping, None, LONG_AGO).after(LONG_AGO, Ok(410));
    from.webhooks().unwrap().insert_delivery(&failed).await.unwrap();
    // More than one page.
    for at in 0..1_100 {
        admitted(&from, "one of many", "waits", Some(two), at).await;
    }

    let quota = QuotaChange { max_songs: Some(Limit::At(7)), ..QuotaChange::default() };
    from.set_quota(one, &quota).await.unwrap();
    from.set_administrator(two, Some(LONG_AGO)).await.unwrap();
    // Without its sessions, which the test needs.
    from.disable(users[2].id, LONG_AGO).await.unwrap();
    from.record(&AuditEntry::new(LONG_AGO, "Straße", Action::SignIn)).await.unwrap();

    let copied = copy_from_sqlite(&from, &to).await.unwrap();
    assert_eq!(to.quota_of(one).await.unwrap(), quota);
    assert!(to.is_administrator(two).await.unwrap() && !to.is_administrator(one).await.unwrap());
    assert!(to.is_disabled(users[2].id).await.unwrap() && !to.is_disabled(one).await.unwrap());
    let search = AuditSearch { since: LONG_AGO, limit: 10 };
    assert_eq!(to.entries(&search).await.unwrap(), from.entries(&search).await.unwrap());
    assert_eq!(copied, Copied { users: 3, sessions: 4, songs: 1_106, outbox_entries: 4 });
    for user in users {
        let found = AccountRepository::find(&to, user.id).await.unwrap();
        assert_eq!(parts(found), parts(Some(user.clone())));
        assert_eq!(parts(to.find_by_username(&user.username).await.unwrap()), parts(Some(user)));
    }
    for session in sessions {
        let before = LONG_AGO - Duration::from_secs(1);
        assert_eq!(to.session(session.digest, before).await.unwrap(), Some(session));
    }
    assert_eq!(to.find_by_identity(&identity).await.unwrap().map(|user| user.id), Some(two));
    assert_eq!(to.tokens(two).await.unwrap(), from.tokens(two).await.unwrap());
    for viewer in [Viewer::Anonymous, Viewer::User(one), Viewer::User(two)] {
        let mut there = from.list(&SongFilter::all_of(viewer)).await.unwrap();
        for song in there.iter_mut().filter(|song| song.status() == &Status::Splitting) {
            song.hand_back().unwrap();
        }
        assert_eq!(to.list(&SongFilter::all_of(viewer)).await.unwrap(), there);
    }
    let lines = to.lines(songs[1].hash()).await.unwrap();
    assert_eq!(lines[1], JobLine { owner: Some(one), priority: -7 });
    for (song, links) in songs.iter().zip([1, 2, 0]) {
        let copied = to.shares(song.id()).await.unwrap();
        assert_eq!((copied.len(), &copied), (links, &from.shares(song.id()).await.unwrap()));
    }
    assert_eq!(to.markers(songs[1].id()).await.unwrap(), [marker]);
    let labelled = LibraryQuery {
        viewer: songs[1].uploader().map_or(Viewer::Anonymous, Viewer::User),
        whose: Whose::All,
        status: None,
        words: Vec::new(),
        label: Some(label),
        sort: SortKey::Added,
        descending: true,
        after: None,
        limit: 10,
    };
    let found = to.list_sorted(&labelled).await.unwrap();
    assert_eq!(found.iter().map(|(song, _)| song.id()).collect::<Vec<_>>(), [songs[1].id()]);
    for upload in uploads {
        assert_eq!(to.find_upload(upload.id).await.unwrap(), Some(upload));
    }
    let copied = to.webhooks().unwrap().webhooks_of(two).await.unwrap().remove(0);
    assert_eq!((copied.url.expose(), copied.secret.expose()), (webhook.url.expose(), webhook.secret.expose()));
    assert_eq!((copied.events, copied.health), (webhook.events, webhook.health));
    let deliveries = to.webhooks().unwrap().deliveries(webhook.id, 9).await.unwrap();
    assert_eq!(deliveries, from.webhooks().unwrap().deliveries(webhook.id, 9).await.unwrap());
    assert_eq!(deliveries.len(), 2);
    let entries: Vec<_> = to.pending(10).await.unwrap().iter().map(|entry| entry.hash).collect();
    assert_eq!(
        entries,
        [*songs[0].hash(), stray, *songs[1].hash(), *songs[5].hash()],
        "existing entries must come first"
    );
    assert_eq!(from.count().await.unwrap()[2], 2, "the file must not change");

    let again = copy_from_sqlite(&from, &to).await.unwrap_err();
    assert!(matches!(again, CopyError::NotEmpty { users: 3, songs: 1_106 }), "{again:?}");
    assert!(again.to_string().contains("3 users and 1106 songs"), "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_rejects_a_database_with_a_song_or_a_user() {
    let file = TestFile::new();
    let from = file.open().await;
    for with_song in [true, false] {
        let place = TestDatabase::new().await;
        let to = place.open().await;
        if with_song {
            to.admit(&crate::sqlite::support::song("a", None, LONG_AGO)).await.unwrap();
        } else {
            crate::sqlite::support::user(&to).await;
        }
        assert!(matches!(copy_from_sqlite(&from, &to).await, Err(CopyError::NotEmpty { .. })));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_copy_leaves_the_database_empty() {
    let (file, place) = (TestFile::new(), TestDatabase::new().await);
    let (from, to) = (file.open().await, place.open().await);
    registered(&from, "ada", LONG_AGO).await;
    admitted(&from, "first", "a", None, 0).await;
    admitted(&from, "last", "b", None, 1).await;
    let mut raw = SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(file.path())).await.unwrap();
    query("UPDATE songs SET title = ' ' WHERE title = 'last'").execute(&mut raw).await.unwrap();
    let error = copy_from_sqlite(&from, &to).await.unwrap_err();
    assert!(matches!(error, CopyError::Source(RepositoryError::Corrupt(_))), "{error:?}");
    let counted = "SELECT (SELECT count(*) FROM users) + (SELECT count(*) FROM songs) + (SELECT count(*) FROM outbox)";
    let rows = query(counted).fetch_one(&mut place.connect().await).await.unwrap();
    assert_eq!(rows.get::<i64, _>(0), 0);

    query("UPDATE songs SET title = 'repaired' WHERE title = ' '").execute(&mut raw).await.unwrap();
    assert_eq!(copy_from_sqlite(&from, &to).await.unwrap().songs, 2);
}
