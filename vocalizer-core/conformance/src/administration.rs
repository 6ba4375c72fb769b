//! Checks for every [`Administration`] and [`AuditLog`] over the same store as songs and accounts.

#![expect(missing_docs, reason = "each check is named after the guarantee it tests")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::support::{at_us, hash};
use vocalizer_core::account::{
    Account, Identity, PasswordHash, Session, SessionDigest, TokenId, TokenName, UserId, Username,
};
use vocalizer_core::api::WebhookEvent;
use vocalizer_core::ports::{
    AccountRepository, Action, Administration, AuditEntry, AuditLog, AuditSearch, Charge, Cursor, SongRepository,
    SongSearch, UserSearch,
};
use vocalizer_core::quota::{Limit, Quota, QuotaChange, Uploader, Weight};
use vocalizer_core::secret::Secret;
use vocalizer_core::song::{Song, SongId, StatusKind, Title};
use vocalizer_core::webhook::{Delivery, Health, Webhook, WebhookId};

/// A separate store for one test.
#[async_trait]
pub trait AdministrationPlace: Send + Sync {
    /// Opens the store: empty the first time, and later as another process does.
    async fn stores(&self) -> AdministeredStores;
}

/// One store, as its ports.
pub struct AdministeredStores {
    /// Songs.
    pub songs: Arc<dyn SongRepository>,
    /// Users.
    pub accounts: Arc<dyn AccountRepository>,
    /// What operators see and change.
    pub administration: Arc<dyn Administration>,
    /// The audit log.
    pub audit: Arc<dyn AuditLog>,
}

impl AdministeredStores {
    async fn register(&self, name: &str) -> UserId {
        let account = Account {
            id: UserId::random(),
            username: name.parse().unwrap(),
            password_hash: PasswordHash::new(format!("hash of {name}")),
            registered_at: at_us(7),
        };
        self.accounts.insert(&account).await.unwrap();
        account.id
    }

    async fn open(&self, user: UserId, secret: &str, is_token: bool) -> SessionDigest {
        let digest = SessionDigest::of(&Secret::new(secret.to_owned()));
        let token = is_token.then(|| TokenName { id: TokenId::random(), name: secret.to_owned() });
        let session = Session { digest, user, created_at: at_us(0), expires_at: None, token };
        self.accounts.open_session(&session).await.unwrap();
        digest
    }

    async fn admit(&self, user: Option<UserId>, bytes: &str, at: i64) -> Song {
        let title = Title::parse(bytes, usize::MAX).unwrap();
        let mut song = Song::begin(SongId::random(), title, hash(bytes), user, at_us(at));
        song.finish_upload().unwrap();
        let weight = Weight { size_bytes: 100, audio: Duration::ZERO };
        let uploader = user.map(Uploader::User);
        let charge = Charge { uploader, quota: Quota::default(), weight, now: at_us(at) };
        self.songs.admit_within(&song, &charge).await.unwrap()
    }

    async fn is_open(&self, digest: SessionDigest) -> bool {
        self.accounts.session(digest, at_us(1)).await.unwrap().is_some()
    }
}

fn users(containing: &str, after: Option<&Username>, limit: u32) -> UserSearch {
    let containing = (!containing.is_empty()).then(|| containing.to_owned());
    UserSearch { containing, after: after.cloned(), limit }
}

pub async fn users_are_listed_by_name_with_what_they_have(place: &impl AdministrationPlace) {
    let stores = place.stores().await;
    let (grace, ada) = (stores.register("grace").await, stores.register("Ada").await);
    stores.open(ada, "one", false).await;
    stores.open(ada, "two", true).await;
    stores.open(ada, "three", true).await;
    stores.admit(Some(ada), "a", 0).await;
    stores.admit(Some(ada), "b", 1).await;
    stores.admit(None, "c", 1).await;
    let identity = Identity { issuer: "https://id.example.org".to_owned(), subject: "17".to_owned() };
    stores.accounts.link_identity(ada, &identity).await.unwrap();
    let listed = stores.administration.users(&users("", None, 10)).await.unwrap();
    let shown: Vec<_> =
        listed.iter().map(|user| (user.id, user.songs, user.bytes, user.sessions, user.tokens)).collect();
    assert_eq!(shown, [(ada, 2, 200, 1, 2), (grace, 0, 0, 0, 0)]);
    assert_eq!(listed.iter().map(|user| user.is_linked).collect::<Vec<_>>(), [true, false]);
    assert_eq!(
        (listed[0].registered_at, listed[0].disabled_at, listed[0].quota, listed[0].is_administrator),
        (at_us(7), None, QuotaChange::default(), false)
    );
    let first = stores.administration.users(&users("", None, 1)).await.unwrap();
    let rest = stores.administration.users(&users("", Some(&first[0].username), 10)).await.unwrap();
    assert_eq!([&first[0], &rest[0]], [&listed[0], &listed[1]]);
    let last: Username = "zoe".parse().unwrap();
    assert!(stores.administration.users(&users("", Some(&last), 10)).await.unwrap().is_empty());
    assert_eq!(stores.administration.user(ada).await.unwrap(), Some(listed[0].clone()));
    assert_eq!(stores.administration.user(UserId::random()).await.unwrap(), None);
}

pub async fn users_are_found_by_a_part_of_the_name(place: &impl AdministrationPlace) {
    let stores = place.stores().await;
    for name in ["Ada", "ada.l", "a_da", "grace", "Ольга"] {
        stores.register(name).await;
    }
    let found = |part: &'static str, after: Option<&'static str>| {
        let (administration, after) = (Arc::clone(&stores.administration), after.map(|name| name.parse().unwrap()));
        async move {
            let found = administration.users(&users(part, after.as_ref(), 10)).await.unwrap();
            found.iter().map(|user| user.username.to_string()).collect::<Vec<_>>()
        }
    };
    assert_eq!(found("ADA", None).await, ["Ada", "ada.l"]);
    assert_eq!(found("ada", Some("ADA")).await, ["ada.l"]);
    assert_eq!(found("льг", None).await, ["Ольга"]);
    // What stores use as wildcards has no meaning.
    assert_eq!(found("_", None).await, ["a_da"]);
    for part in ["%", "a%", "\\", "a.a", "'", "*", "?"] {
        assert!(found(part, None).await.is_empty(), "{part}");
    }
}

pub async fn administrators_are_marked_until_revoked_or_disabled(place: &impl AdministrationPlace) {
    let stores = place.stores().await;
    let (ada, bob) = (stores.register("ada").await, stores.register("bob").await);
    for at in [3, 4] {
        assert!(stores.administration.set_administrator(ada, Some(at_us(at))).await.unwrap());
    }
    for stores in [&stores, &place.stores().await] {
        assert!(stores.accounts.is_administrator(ada).await.unwrap());
        assert!(!stores.accounts.is_administrator(bob).await.unwrap());
        assert!(!stores.accounts.is_administrator(UserId::random()).await.unwrap());
        let listed = stores.administration.users(&users("", None, 10)).await.unwrap();
        assert_eq!(listed.iter().map(|user| user.is_administrator).collect::<Vec<_>>(), [true, false]);
    }
    stores.administration.disable(ada, at_us(5)).await.unwrap();
    assert!(!stores.accounts.is_administrator(ada).await.unwrap());
    assert!(stores.administration.user(ada).await.unwrap().unwrap().is_administrator);
    stores.administration.enable(ada).await.unwrap();
    assert!(stores.accounts.is_administrator(ada).await.unwrap());
    assert!(stores.administration.set_administrator(ada, None).await.unwrap());
    assert!(!place.stores().await.accounts.is_administrator(ada).await.unwrap());
    assert!(!stores.administration.set_administrator(UserId::random(), Some(at_us(3))).await.unwrap());
}

pub async fn disabled_user_has_no_sessions_until_enabled(place: &impl AdministrationPlace) {
    let stores = place.stores().await;
    let (ada, bob) = (stores.register("ada").await, stores.register("bob").await);
    let (session, token) = (stores.open(ada, "session", false).await, stores.open(ada, "token", true).await);
    let other = stores.open(bob, "other", false).await;
    assert!(!stores.accounts.is_disabled(ada).await.unwrap());
    assert!(stores.administration.disable(ada, at_us(3)).await.unwrap());
    assert!(stores.administration.disable(ada, at_us(4)).await.unwrap());
    for stores in [&stores, &place.stores().await] {
        assert!(stores.accounts.is_disabled(ada).await.unwrap() && !stores.accounts.is_disabled(bob).await.unwrap());
        assert!(!stores.is_open(session).await && !stores.is_open(token).await && stores.is_open(other).await);
        let user = stores.administration.user(ada).await.unwrap().unwrap();
        assert_eq!((user.disabled_at, user.sessions, user.tokens), (Some(at_us(3)), 0, 0));
    }
    // A login that was under way.
    let late = stores.open(ada, "late", false).await;
    assert!(!stores.is_open(late).await);
    assert!(stores.administration.enable(ada).await.unwrap());
    assert!(!stores.accounts.is_disabled(ada).await.unwrap());
    assert!(!stores.is_open(session).await && !stores.is_open(token).await);
    assert!(!stores.administration.disable(UserId::random(), at_us(3)).await.unwrap());
    assert!(!stores.administration.enable(UserId::random()).await.unwrap());
}

pub async fn webhooks_of_disabled_user_wait_until_enabled(place: &impl AdministrationPlace) {
    let stores = place.stores().await;
    let (ada, bob) = (stores.register("ada").await, stores.register("bob").await);
    let webhooks = stores.songs.webhooks().expect("a repository with webhooks");
    let mut pings = Vec::new();
    for user in [ada, bob] {
        let webhook = Webhook {
            id: WebhookId::random(),
            user,
            url: Secret::new("https://ada.example.org/songs".to_owned()),
            secret: Secret::new("whsec_00ff".to_owned()),
            events: WebhookEvent::SONG.to_vec(),
            created_at: at_us(0),
            health: Health::default(),
        };
        assert!(webhooks.insert_webhook(&webhook, 100).await.unwrap());
        let ping = Delivery::new(webhook.id, WebhookEvent::Ping, None, at_us(if user == ada { 1 } else { 2 }));
        webhooks.insert_delivery(&ping).await.unwrap();
        pings.push(ping.id);
    }
    // Each claim is long enough ago for the next one.
    let claimed = |at: i64| async move {
        let claimed = webhooks.claim_deliveries(9, Duration::from_micros(1), at_us(at)).await.unwrap();
        claimed.into_iter().map(|one| one.delivery.id).collect::<Vec<_>>()
    };
    assert!(stores.administration.disable(ada, at_us(5)).await.unwrap());
    assert_eq!(claimed(10).await, [pings[1]]);
    let backlog = webhooks.backlog().await.unwrap();
    assert_eq!((backlog.pending, backlog.oldest, backlog.disabled), (1, Some(at_us(2)), 0));
    assert!(stores.administration.enable(ada).await.unwrap());
    let mut all = claimed(20).await;
    all.sort_unstable();
    pings.sort_unstable();
    assert_eq!(all, pings);
    assert_eq!(webhooks.backlog().await.unwrap().oldest, Some(at_us(1)));
}

pub async fn password_is_set_without_closing_sessions(place: &impl AdministrationPlace) {
    let stores = place.stores().await;
    let ada = stores.register("ada").await;
    let session = stores.open(ada, "session", false).await;
    let new = PasswordHash::new("new".to_owned());
    assert!(stores.administration.set_password(ada, &new).await.unwrap());
    assert_eq!(stores.accounts.find(ada).await.unwrap().unwrap().password_hash.expose(), "new");
    assert!(stores.is_open(session).await);
    assert!(!stores.administration.set_password(UserId::random(), &new).await.unwrap());
}

pub async fn quota_of_a_user_is_stored_unchanged(place: &impl AdministrationPlace) {
    let stores = place.stores().await;
    let (ada, bob) = (stores.register("ada").await, stores.register("bob").await);
    let quota = QuotaChange { max_songs: Some(Limit::At(3)), max_bytes: Some(Limit::None), ..QuotaChange::default() };
    assert!(stores.administration.set_quota(ada, &quota).await.unwrap());
    stores.administration.disable(ada, at_us(3)).await.unwrap();
    assert!(stores.administration.set_quota(ada, &quota).await.unwrap());
    for stores in [&stores, &place.stores().await] {
        assert_eq!(stores.songs.quota_of(ada).await.unwrap(), quota);
        let user = stores.administration.user(ada).await.unwrap().unwrap();
        assert_eq!((user.quota, user.disabled_at), (quota, Some(at_us(3))));
        assert_eq!(stores.songs.quota_of(bob).await.unwrap(), QuotaChange::default());
        assert_eq!(stores.songs.quota_of(UserId::random()).await.unwrap(), QuotaChange::default());
    }
    stores.administration.set_quota(ada, &QuotaChange::default()).await.unwrap();
    assert_eq!(stores.songs.quota_of(ada).await.unwrap(), QuotaChange::default());
    assert!(!stores.administration.set_quota(UserId::random(), &quota).await.unwrap());
}

pub async fn songs_of_all_users_are_listed_newest_first(place: &impl AdministrationPlace) {
    let stores = place.stores().await;
    let ada = stores.register("Ada").await;
    let (own, anonymous) = (stores.admit(Some(ada), "own", 1).await, stores.admit(None, "anonymous", 2).await);
    let published =
        stores.songs.pending(10).await.unwrap().into_iter().find(|entry| entry.hash == *own.hash()).unwrap();
    stores.songs.published(published.number).await.unwrap();
    let search = SongSearch { limit: 10, ..SongSearch::default() };
    let songs = stores.administration.songs(&search).await.unwrap();
    let shown: Vec<_> = songs
        .iter()
        .map(|song| {
            (song.song.clone(), song.uploader.as_ref().map(|name| name.as_str()), song.size_bytes, song.is_pending)
        })
        .collect();
    assert_eq!(shown, [(anonymous.clone(), None, Some(100), true), (own.clone(), Some("Ada"), Some(100), false)]);
    let ids = |search: SongSearch| {
        let administration = Arc::clone(&stores.administration);
        async move { administration.songs(&search).await.unwrap().iter().map(|song| song.song.id()).collect::<Vec<_>>() }
    };
    assert_eq!(ids(SongSearch { user: Some(ada), ..search }).await, [own.id()]);
    assert_eq!(ids(SongSearch { status: Some(StatusKind::Split), ..search }).await, []);
    assert_eq!(ids(SongSearch { status: Some(StatusKind::Uploaded), limit: 1, ..search }).await, [anonymous.id()]);
    assert_eq!(ids(SongSearch { after: Some(Cursor::of(&anonymous)), ..search }).await, [own.id()]);
}

pub async fn erasures_and_the_hold_reach_other_processes(place: &impl AdministrationPlace) {
    let (operator, server) = (place.stores().await, place.stores().await);
    assert!(server.songs.erasures(10).await.unwrap().is_empty() && !server.songs.is_holding().await.unwrap());
    for (bytes, at) in [("b", 1), ("a", 2), ("b", 3)] {
        operator.administration.request_erasure(&hash(bytes), at_us(at)).await.unwrap();
    }
    assert_eq!(server.songs.erasures(10).await.unwrap(), [hash("b"), hash("a")]);
    assert_eq!(server.songs.erasures(1).await.unwrap(), [hash("b")]);
    server.songs.erased(&hash("b")).await.unwrap();
    assert_eq!(server.songs.erasures(10).await.unwrap(), [hash("a")]);
    for _ in 0..2 {
        operator.administration.hold(true, at_us(1)).await.unwrap();
        assert!(server.songs.is_holding().await.unwrap());
    }
    for _ in 0..2 {
        operator.administration.hold(false, at_us(1)).await.unwrap();
        assert!(!server.songs.is_holding().await.unwrap());
    }
}

pub async fn audit_log_returns_newest_first_and_forgets_old_entries(place: &impl AdministrationPlace) {
    let audit = place.stores().await.audit;
    let entry = |at: i64, subject: &str| AuditEntry {
        subject: Some(subject.to_owned()),
        address: Some("192.0.2.1".to_owned()),
        details: Some("„fine“ '; DROP TABLE audit; --".to_owned()),
        ..AuditEntry::new(at_us(at), "Ada", Action::SignIn)
    };
    let entries =
        [entry(1, "one"), entry(2, "two"), entry(3, "three"), AuditEntry::new(at_us(2), "x", Action::JobsHeld)];
    for entry in &entries {
        audit.record(entry).await.unwrap();
    }
    let audit = place.stores().await.audit;
    let search = |since: i64, limit| AuditSearch { since: at_us(since), limit };
    let [one, two, three, four] = entries;
    let newest = [four.clone(), three.clone(), two.clone(), one];
    assert_eq!(audit.entries(&search(0, 10)).await.unwrap(), newest);
    assert_eq!(audit.entries(&search(2, 2)).await.unwrap(), [four.clone(), three.clone()]);
    audit.forget_entries(at_us(2), 10).await.unwrap();
    assert_eq!(audit.entries(&search(0, 10)).await.unwrap(), [four.clone(), three.clone(), two]);
    audit.forget_entries(at_us(0), 2).await.unwrap();
    assert_eq!(audit.entries(&search(0, 10)).await.unwrap(), [four, three]);
}
