//! Checks for every [`AccountRepository`].

#![expect(missing_docs, reason = "each check is named after the guarantee it tests")]

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::join;
use time::OffsetDateTime;

use super::support::at_us;
use vocalizer_core::account::{
    Account, ApiToken, Identity, Invite, PasswordHash, Session, SessionDigest, TokenId, TokenName, UserId,
};
use vocalizer_core::ports::{AccountRepository, RepositoryError};
use vocalizer_core::secret::Secret;

/// A separate repository for one test.
#[async_trait]
pub trait AccountsPlace: Send + Sync {
    /// Opens the repository: empty the first time, and later as after a restart of the process.
    async fn accounts(&self) -> Arc<dyn AccountRepository>;
}

fn account(name: &str) -> Account {
    Account {
        id: UserId::random(),
        username: name.parse().unwrap(),
        password_hash: PasswordHash::new(format!("hash of {name}")),
        registered_at: at_us(123_456),
    }
}

async fn register(accounts: &Arc<dyn AccountRepository>, name: &str) -> UserId {
    let account = account(name);
    accounts.insert(&account).await.unwrap();
    account.id
}

fn digest(secret: &str) -> SessionDigest {
    SessionDigest::of(&Secret::new(secret.to_owned()))
}

fn session(user: UserId, secret: &str, expires_at: Option<OffsetDateTime>) -> Session {
    Session { digest: digest(secret), user, created_at: at_us(0), expires_at, token: None }
}

fn token(user: UserId, secret: &str, created_at: OffsetDateTime) -> Session {
    let token = TokenName { id: TokenId::random(), name: format!("„{secret}“") };
    Session { digest: digest(secret), user, created_at, expires_at: None, token: Some(token) }
}

async fn open(accounts: &Arc<dyn AccountRepository>, session: Session) -> Session {
    accounts.open_session(&session).await.unwrap();
    session
}

async fn is_open(accounts: &Arc<dyn AccountRepository>, session: &Session) -> bool {
    accounts.session(session.digest, at_us(1)).await.unwrap().is_some()
}

fn assert_same(found: Option<Account>, expected: &Account) {
    let found = found.expect("account not found");
    let parts = |account: &Account| {
        let password_hash = account.password_hash.expose().to_owned();
        (account.id, account.username.clone(), password_hash, account.registered_at)
    };
    assert_eq!(parts(&found), parts(expected));
}

pub async fn stored_account_is_found_unchanged(place: &impl AccountsPlace) {
    let accounts = place.accounts().await;
    let ada = account("Ada.Löwe+x@example.org");
    accounts.insert(&ada).await.unwrap();
    for accounts in [accounts, place.accounts().await] {
        assert_same(accounts.find(ada.id).await.unwrap(), &ada);
        assert_same(accounts.find_by_username(&ada.username).await.unwrap(), &ada);
        assert!(accounts.find(UserId::random()).await.unwrap().is_none());
        assert!(accounts.find_by_username(&"unknown".parse().unwrap()).await.unwrap().is_none());
    }
}

pub async fn usernames_are_case_insensitive(place: &impl AccountsPlace) {
    let accounts = place.accounts().await;
    for (name, variant) in [("ada", "ADA"), ("Straße", "STRASSE"), ("ΣΊΣΥΦΟΣ", "σίσυφος")] {
        let first = account(name);
        accounts.insert(&first).await.unwrap();
        assert!(matches!(accounts.insert(&account(variant)).await, Err(RepositoryError::Conflict)), "{variant}");
        assert_same(accounts.find_by_username(&variant.parse().unwrap()).await.unwrap(), &first);
    }
}

pub async fn duplicate_name_or_id_is_rejected(place: &impl AccountsPlace) {
    let accounts = place.accounts().await;
    let ada = account("ada");
    accounts.insert(&ada).await.unwrap();
    let same_id = Account { id: ada.id, ..account("grace") };
    for taken in [&ada, &account("ada"), &same_id] {
        assert!(matches!(accounts.insert(taken).await, Err(RepositoryError::Conflict)));
    }
    assert_same(accounts.find(ada.id).await.unwrap(), &ada);
    assert!(accounts.find_by_username(&"grace".parse().unwrap()).await.unwrap().is_none());
}

pub async fn concurrent_registration_of_name_succeeds_once(place: &impl AccountsPlace) {
    let (one, other) = (place.accounts().await, place.accounts().await);
    for number in 0..8 {
        let (lower, upper) = (account(&format!("ada{number}")), account(&format!("ADA{number}")));
        let outcome = join(one.insert(&lower), other.insert(&upper)).await;
        let winner = match outcome {
            (Ok(()), Err(RepositoryError::Conflict)) => &lower,
            (Err(RepositoryError::Conflict), Ok(())) => &upper,
            _ => panic!("exactly one registration must succeed: {outcome:?}"),
        };
        assert_same(one.find_by_username(&lower.username).await.unwrap(), winner);
    }
}

pub async fn password_change_closes_other_sessions_and_revokes_tokens(place: &impl AccountsPlace) {
    let accounts = place.accounts().await;
    let (ada, grace) = (register(&accounts, "ada").await, register(&accounts, "grace").await);
    let kept = open(&accounts, session(ada, "kept", None)).await;
    let closed = open(&accounts, session(ada, "closed", Some(at_us(100)))).await;
    let api = open(&accounts, token(ada, "token", at_us(0))).await;
    let other_user = open(&accounts, session(grace, "other user", None)).await;

    accounts.change_password(ada, &PasswordHash::new("new".to_owned()), Some(kept.digest)).await.unwrap();
    let accounts = place.accounts().await;
    assert_eq!(accounts.find(ada).await.unwrap().unwrap().password_hash.expose(), "new");
    assert_eq!(accounts.find(grace).await.unwrap().unwrap().password_hash.expose(), "hash of grace");
    assert!(is_open(&accounts, &kept).await && !is_open(&accounts, &closed).await);
    assert!(!is_open(&accounts, &api).await && is_open(&accounts, &other_user).await);

    accounts.change_password(ada, &PasswordHash::new("newer".to_owned()), None).await.unwrap();
    assert!(!is_open(&accounts, &kept).await && is_open(&accounts, &other_user).await);
}

pub async fn closing_all_sessions_revokes_tokens_of_one_user(place: &impl AccountsPlace) {
    let accounts = place.accounts().await;
    let (ada, grace) = (register(&accounts, "ada").await, register(&accounts, "grace").await);
    let one = open(&accounts, session(ada, "one", None)).await;
    let other = open(&accounts, session(ada, "other", Some(at_us(100)))).await;
    let api = open(&accounts, token(ada, "token", at_us(0))).await;
    let other_user = open(&accounts, session(grace, "other user", None)).await;
    assert_eq!(accounts.close_sessions(ada).await.unwrap(), 3);
    assert_eq!(accounts.close_sessions(ada).await.unwrap(), 0, "a repeat");
    let accounts = place.accounts().await;
    for closed in [&one, &other, &api] {
        assert!(!is_open(&accounts, closed).await);
    }
    assert!(is_open(&accounts, &other_user).await);
    assert!(accounts.find(ada).await.unwrap().is_some());
}

pub async fn password_of_unknown_user_is_not_changed(place: &impl AccountsPlace) {
    let accounts = place.accounts().await;
    let changed = accounts.change_password(UserId::random(), &PasswordHash::new("new".to_owned()), None).await;
    assert!(matches!(changed, Err(RepositoryError::Conflict)));
}

pub async fn session_is_found_until_it_expires(place: &impl AccountsPlace) {
    let accounts = place.accounts().await;
    let ada = register(&accounts, "ada").await;
    let ending = open(&accounts, session(ada, "ending", Some(at_us(50)))).await;
    let endless = open(&accounts, session(ada, "endless", None)).await;
    let accounts = place.accounts().await;
    for (at, expected) in [(0, Some(ending.clone())), (49, Some(ending.clone())), (50, None), (51, None)] {
        assert_eq!(accounts.session(ending.digest, at_us(at)).await.unwrap(), expected, "at {at}");
        assert_eq!(accounts.session(endless.digest, at_us(at)).await.unwrap(), Some(endless.clone()), "at {at}");
    }
    assert_eq!(accounts.session(digest("unknown"), at_us(0)).await.unwrap(), None);
}

pub async fn session_needs_unused_digest_and_existing_user(place: &impl AccountsPlace) {
    let accounts = place.accounts().await;
    let (ada, grace) = (register(&accounts, "ada").await, register(&accounts, "grace").await);
    let first = open(&accounts, session(ada, "secret", None)).await;
    for taken in [first.clone(), session(grace, "secret", None), session(UserId::random(), "another", None)] {
        assert!(matches!(accounts.open_session(&taken).await, Err(RepositoryError::Conflict)));
    }
    assert_eq!(accounts.session(first.digest, at_us(0)).await.unwrap(), Some(first));
    assert_eq!(accounts.session(digest("another"), at_us(0)).await.unwrap(), None);
}

pub async fn closed_session_is_not_found(place: &impl AccountsPlace) {
    let accounts = place.accounts().await;
    let ada = register(&accounts, "ada").await;
    let (one, other) = (session(ada, "one", None), session(ada, "other", None));
    for session in [&one, &other] {
        accounts.open_session(session).await.unwrap();
    }
    // Closing a closed or unknown session succeeds without effect.
    for secret in ["one", "one", "unknown"] {
        accounts.close_session(digest(secret)).await.unwrap();
    }
    let accounts = place.accounts().await;
    assert!(!is_open(&accounts, &one).await && is_open(&accounts, &other).await);
}

pub async fn tokens_are_listed_newest_first(place: &impl AccountsPlace) {
    let accounts = place.accounts().await;
    let (ada, grace) = (register(&accounts, "ada").await, register(&accounts, "grace").await);
    open(&accounts, session(ada, "a session", None)).await;
    open(&accounts, token(grace, "other user", at_us(0))).await;
    let mut expected = Vec::new();
    for (secret, at) in [("second", 2), ("first", 1), ("third", 3)] {
        let session = Session { expires_at: Some(at_us(100 + at)), ..token(ada, secret, at_us(at)) };
        accounts.open_session(&session).await.unwrap();
        assert_eq!(accounts.session(session.digest, at_us(0)).await.unwrap(), Some(session.clone()));
        let TokenName { id, name } = session.token.unwrap();
        expected.push(ApiToken { id, name, created_at: session.created_at, expires_at: session.expires_at });
    }
    expected.sort_by_key(|token| std::cmp::Reverse(token.created_at));
    assert_eq!(place.accounts().await.tokens(ada).await.unwrap(), expected);
    assert_eq!(accounts.tokens(UserId::random()).await.unwrap(), []);
}

pub async fn only_owner_revokes_token(place: &impl AccountsPlace) {
    let accounts = place.accounts().await;
    let (ada, grace) = (register(&accounts, "ada").await, register(&accounts, "grace").await);
    let session = open(&accounts, token(ada, "secret", at_us(0))).await;
    let other = open(&accounts, token(ada, "other", at_us(0))).await;
    let id = session.token.as_ref().unwrap().id;
    assert!(!accounts.revoke_token(grace, id).await.unwrap(), "a token of another user was revoked");
    assert!(!accounts.revoke_token(ada, TokenId::random()).await.unwrap());
    assert!(is_open(&accounts, &session).await);
    assert!(accounts.revoke_token(ada, id).await.unwrap());
    assert!(!accounts.revoke_token(ada, id).await.unwrap(), "a repeat");
    let accounts = place.accounts().await;
    assert!(!is_open(&accounts, &session).await && is_open(&accounts, &other).await);
    assert_eq!(accounts.tokens(ada).await.unwrap().len(), 1);
}

pub async fn expired_sessions_and_tokens_are_deleted(place: &impl AccountsPlace) {
    let accounts = place.accounts().await;
    let ada = register(&accounts, "ada").await;
    for (secret, end) in [("a", Some(10)), ("b", Some(20)), ("c", Some(21)), ("d", None)] {
        open(&accounts, session(ada, secret, end.map(at_us))).await;
    }
    open(&accounts, Session { expires_at: Some(at_us(5)), ..token(ada, "e", at_us(0)) }).await;
    assert_eq!(accounts.forget_expired(at_us(20)).await.unwrap(), 3);
    assert_eq!(accounts.forget_expired(at_us(20)).await.unwrap(), 0, "a repeat");
    let accounts = place.accounts().await;
    for (secret, there) in [("a", false), ("b", false), ("c", true), ("d", true), ("e", false)] {
        let found = accounts.session(digest(secret), at_us(0)).await.unwrap();
        assert_eq!(found.is_some(), there, "{secret}");
    }
}

fn invite(code: &str, expires_at: OffsetDateTime) -> Invite {
    Invite { digest: digest(code), expires_at }
}

pub async fn invite_registers_one_user(place: &impl AccountsPlace) {
    let accounts = place.accounts().await;
    accounts.invite(&invite("code", at_us(10))).await.unwrap();
    assert!(matches!(accounts.invite(&invite("code", at_us(10))).await, Err(RepositoryError::Conflict)));
    let accounts = place.accounts().await;
    assert!(accounts.is_invited(digest("code"), at_us(9)).await.unwrap());
    // A taken name does not consume the invite.
    register(&accounts, "ada").await;
    let taken = accounts.insert_invited(&account("ADA"), digest("code"), at_us(9)).await;
    assert!(matches!(taken, Err(RepositoryError::Conflict)), "{taken:?}");
    let bob = account("bob");
    assert!(accounts.insert_invited(&bob, digest("code"), at_us(9)).await.unwrap());
    assert_same(accounts.find(bob.id).await.unwrap(), &bob);
    assert!(!accounts.is_invited(digest("code"), at_us(9)).await.unwrap());
    assert!(!accounts.insert_invited(&account("carol"), digest("code"), at_us(9)).await.unwrap());
}

pub async fn invalid_invite_stores_no_account(place: &impl AccountsPlace) {
    let accounts = place.accounts().await;
    accounts.invite(&invite("expired", at_us(10))).await.unwrap();
    accounts.invite(&invite("revoked", at_us(99))).await.unwrap();
    assert!(accounts.is_invited(digest("revoked"), at_us(10)).await.unwrap());
    assert_eq!(accounts.forget_expired(at_us(10)).await.unwrap(), 0, "no session was open");
    assert_eq!(accounts.revoke_invites().await.unwrap(), 1, "the expired invite was already deleted");
    accounts.invite(&invite("expires", at_us(10))).await.unwrap();
    for code in ["expired", "revoked", "expires", "unknown"] {
        let rejected = account("rejected");
        assert!(!accounts.is_invited(digest(code), at_us(10)).await.unwrap(), "{code}");
        assert!(!accounts.insert_invited(&rejected, digest(code), at_us(10)).await.unwrap(), "{code}");
        assert!(accounts.find(rejected.id).await.unwrap().is_none(), "{code}");
    }
}

pub async fn concurrent_use_of_invite_succeeds_once(place: &impl AccountsPlace) {
    let accounts = place.accounts().await;
    for round in 0..10 {
        let code = format!("code {round}");
        accounts.invite(&invite(&code, at_us(10))).await.unwrap();
        let (one, other) = (account(&format!("one{round}")), account(&format!("other{round}")));
        let (first, second) = join(
            accounts.insert_invited(&one, digest(&code), at_us(0)),
            accounts.insert_invited(&other, digest(&code), at_us(0)),
        )
        .await;
        assert!(first.unwrap() ^ second.unwrap(), "round {round}");
    }
}

fn identity(subject: &str) -> Identity {
    Identity { issuer: "https://id.example.org".to_owned(), subject: subject.to_owned() }
}

pub async fn identity_leads_to_its_account(place: &impl AccountsPlace) {
    let accounts = place.accounts().await;
    let (ada, grace) = (account("ada"), register(&accounts, "grace").await);
    accounts.insert_identified(&ada, &identity("17")).await.unwrap();
    accounts.link_identity(grace, &identity("Ada")).await.unwrap();
    let elsewhere = Identity { issuer: "https://id.example.org/".to_owned(), ..identity("17") };
    accounts.link_identity(grace, &elsewhere).await.unwrap();
    let accounts = place.accounts().await;
    assert_same(accounts.find_by_identity(&identity("17")).await.unwrap(), &ada);
    for linked in [&identity("Ada"), &elsewhere] {
        assert_eq!(accounts.find_by_identity(linked).await.unwrap().unwrap().id, grace);
    }
    // Neither a name nor another spelling is an identity.
    for unknown in ["ada", "ADA", "017", "17 ", ""] {
        assert!(accounts.find_by_identity(&identity(unknown)).await.unwrap().is_none(), "{unknown:?}");
    }
    assert_eq!(accounts.identities(ada.id).await.unwrap(), [identity("17")]);
    assert_eq!(accounts.identities(grace).await.unwrap(), [identity("Ada"), elsewhere.clone()]);
    assert_eq!(accounts.identities(UserId::random()).await.unwrap(), []);

    assert_eq!(accounts.unlink_identities(grace).await.unwrap(), 2);
    assert_eq!(accounts.unlink_identities(grace).await.unwrap(), 0);
    assert!(accounts.find_by_identity(&elsewhere).await.unwrap().is_none());
    assert_eq!(accounts.find_by_identity(&identity("17")).await.unwrap().unwrap().id, ada.id);
}

pub async fn identity_belongs_to_one_account(place: &impl AccountsPlace) {
    let accounts = place.accounts().await;
    let (ada, grace) = (account("ada"), register(&accounts, "grace").await);
    accounts.insert_identified(&ada, &identity("17")).await.unwrap();
    // A repeat has no effect.
    accounts.link_identity(ada.id, &identity("17")).await.unwrap();
    assert!(matches!(accounts.link_identity(grace, &identity("17")).await, Err(RepositoryError::Conflict)));
    let unknown = accounts.link_identity(UserId::random(), &identity("18")).await;
    assert!(matches!(unknown, Err(RepositoryError::Conflict)), "{unknown:?}");
    // Neither the account nor the identity is stored if the other is taken.
    let other = account("other");
    assert!(matches!(accounts.insert_identified(&other, &identity("17")).await, Err(RepositoryError::Conflict)));
    assert!(accounts.find(other.id).await.unwrap().is_none());
    let taken = accounts.insert_identified(&account("GRACE"), &identity("18")).await;
    assert!(matches!(taken, Err(RepositoryError::Conflict)), "{taken:?}");
    assert!(accounts.find_by_identity(&identity("18")).await.unwrap().is_none());
    assert_same(accounts.find_by_identity(&identity("17")).await.unwrap(), &ada);
}

pub async fn concurrent_accounts_of_identity_become_one(place: &impl AccountsPlace) {
    let (one, other) = (place.accounts().await, place.accounts().await);
    for round in 0..8 {
        let identity = identity(&round.to_string());
        let (first, second) = (account(&format!("one{round}")), account(&format!("other{round}")));
        let outcome = join(one.insert_identified(&first, &identity), other.insert_identified(&second, &identity)).await;
        let winner = match outcome {
            (Ok(()), Err(RepositoryError::Conflict)) => &first,
            (Err(RepositoryError::Conflict), Ok(())) => &second,
            _ => panic!("exactly one account must be stored: {outcome:?}"),
        };
        assert_same(other.find_by_identity(&identity).await.unwrap(), winner);
    }
}
