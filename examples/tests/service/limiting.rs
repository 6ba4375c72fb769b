//! Who may register and upload, and how much.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use vocalizer_core::account::Registration;
use vocalizer_core::quota::Quota;
use vocalizer_examples::service::Policy;

use super::server::{Server, command_line};
use super::support::{Answer, Browser, Service, Settings, id, song, wav};

const PASSWORD: &str = "correct horse";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

async fn with(policy: Policy) -> Service {
    let trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    Service::with(Settings { workers: 0, policy, trusted_proxies, ..Settings::default() }).await
}

/// Uploads as somebody at an address, behind a proxy that is believed.
async fn upload_from(browser: &Browser, address: &str, bytes: Vec<u8>) -> Answer {
    let form = Form::new().text("title", "x").part("file", Part::bytes(bytes).file_name("song.wav"));
    let request = browser.request(Method::POST, "/songs/upload").header("X-Forwarded-For", address);
    Browser::send(request.multipart(form)).await
}

async fn register(browser: &Browser, name: &str, invite: Option<&str>) -> Answer {
    let mut fields = vec![("username", name), ("password1", PASSWORD), ("password2", PASSWORD)];
    fields.extend(invite.map(|invite| ("invite", invite)));
    browser.post("/auth/register", &fields).await
}

fn retry_after(answer: &Answer) -> u64 {
    answer.header("retry-after").parse().unwrap()
}

#[tokio::test]
async fn nobody_registers_where_registration_is_closed() {
    let service = with(Policy { registration: Registration::Closed, ..Policy::default() }).await;
    let somebody = Browser::new(&service);
    register(&somebody, "ada", None).await.refused(403, "registration_closed");
    register(&somebody, "ada", Some("vci_0")).await.refused(403, "registration_closed");
    assert_eq!(somebody.get("/limits").await.data()["limits"]["registration"], "closed");
    somebody.upload("whoever is here may do what they could", &song(1)).await;
}

#[tokio::test]
async fn an_invite_lets_one_person_register() {
    let service = with(Policy { registration: Registration::Invite, ..Policy::default() }).await;
    let somebody = Browser::new(&service);
    assert_eq!(somebody.get("/limits").await.data()["limits"]["registration"], "invite");
    register(&somebody, "ada", None).await.refused_field(403, "invite_required", "invite");
    register(&somebody, "ada", Some(" ")).await.refused_field(403, "invite_required", "invite");
    register(&somebody, "ada", Some("vci_0")).await.refused_field(403, "invite_invalid", "invite");
    let invite = service.accounts.invite(DAY).await.unwrap();
    // What is wrong with a name costs no invite.
    register(&somebody, "a b", Some(invite.expose())).await.refused_field(422, "invalid", "username");
    register(&somebody, "ada", Some(&format!(" {}\n", invite.expose()))).await.data();
    assert_eq!(somebody.get("/auth/me").await.data()["user"]["username"], "ada");
    let other = Browser::new(&service);
    register(&other, "bob", Some(invite.expose())).await.refused_field(403, "invite_invalid", "invite");
    let second = service.accounts.invite(DAY).await.unwrap();
    register(&other, "ada", Some(second.expose())).await.refused_field(409, "conflict", "username");
    register(&other, "bob", Some(second.expose())).await.data();
    let expired = service.accounts.invite(Duration::ZERO).await.unwrap();
    register(&other, "carol", Some(expired.expose())).await.refused_field(403, "invite_invalid", "invite");
}

#[tokio::test]
async fn of_many_who_come_with_one_invite_at_once_one_gets_in() {
    let service = with(Policy { registration: Registration::Invite, ..Policy::default() }).await;
    let invite = service.accounts.invite(DAY).await.unwrap();
    let come = (0..8).map(|number| {
        let browser = Browser::new(&service);
        let invite = invite.expose().clone();
        async move { register(&browser, &format!("user{number}"), Some(&invite)).await.status }
    });
    let statuses = join_all(come).await;
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 403].contains(status)), "{statuses:?}");
}

#[tokio::test]
async fn the_operator_makes_invites_while_the_server_runs() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start_with(&data, &[("REGISTRATION", "invite")]);
    let made = command_line(&data, &["invite", "--days", "1", "--count", "2"]);
    assert!(made.status.success(), "{made:?}");
    let codes = String::from_utf8(made.stdout).unwrap();
    let codes: Vec<_> = codes.lines().collect();
    assert!(codes.len() == 2 && codes.iter().all(|code| code.starts_with("vci_")), "{codes:?}");
    register(&server.browser(), "ada", Some(codes[0])).await.data();
    register(&server.browser(), "bob", Some(codes[0])).await.refused(403, "invite_invalid");
    let revoked = command_line(&data, &["invite", "--revoke-all"]);
    assert_eq!(String::from_utf8(revoked.stdout).unwrap(), "1 invites revoked\n");
    register(&server.browser(), "bob", Some(codes[1])).await.refused(403, "invite_invalid");
    let nowhere = command_line(&dir.path().join("nowhere"), &["invite"]);
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(String::from_utf8(nowhere.stderr).unwrap().contains("not found: "));
    assert!(!dir.path().join("nowhere").exists());
}

#[test]
fn settings_that_cannot_be_are_refused_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    for (name, value, said) in [
        ("REGISTRATION", "sometimes", "REGISTRATION"),
        ("ANONYMOUS_UPLOADS", "maybe", "expected on or off"),
        ("USER_MAX_SONGS", "0", "USER_MAX_SONGS"),
        ("RETENTION_DAYS", "0", "RETENTION_DAYS"),
        ("RETENTION_DAYS", "-1", "RETENTION_DAYS"),
        ("ADDRESS_KEY", "short", "at least 16 characters"),
    ] {
        let mut server = Command::new(env!("CARGO_BIN_EXE_server"));
        let output = server.arg("--data").arg(dir.path()).arg("--check-config").env(name, value).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{name}={value}: {told}");
        // clap names the flag, and we both.
        assert!(told.contains(said) || told.contains(&name.to_lowercase().replace('_', "-")), "{name}={value}: {told}");
    }
    let mut server = Command::new(env!("CARGO_BIN_EXE_server"));
    server
        .args(["--check-config", "--anonymous-uploads", "off", "--user-max-songs", "5"])
        .env("REGISTRATION", "closed");
    let output = server.arg("--data").arg(dir.path()).env("ADDRESS_KEY", "a secret that is long").output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    for line in ["ANONYMOUS_UPLOADS=false", "REGISTRATION=closed", "USER_MAX_SONGS=5", "ADDRESS_KEY=(hidden)"] {
        assert!(told.lines().any(|told| told == line), "{line}: {told}");
    }
    assert!(!told.contains("a secret"), "{told}");
}

#[tokio::test]
async fn songs_are_taken_from_users_alone_where_the_operator_says_so() {
    let service = with(Policy { anonymous_uploads: false, ..Policy::default() }).await;
    let somebody = Browser::new(&service);
    assert_eq!(somebody.get("/limits").await.data()["limits"]["anonymous_uploads"], false);
    somebody.try_upload("x", song(1)).await.refused(401, "unauthenticated");
    assert_eq!(service.stored(0).await, Vec::<std::path::PathBuf>::new());
    somebody.register("ada", PASSWORD).await.data();
    somebody.upload("x", &song(1)).await;
}

#[tokio::test]
async fn limits_are_told() {
    let per_user = Quota {
        max_songs: Some(10),
        max_bytes: Some(1000),
        max_audio_per_day: Some(Duration::from_secs(7200)),
        max_uploads_per_minute: Some(3),
    };
    let mut policy = Policy { per_user, ..Policy::default() };
    policy.retention.all = Some(30 * DAY);
    policy.retention.anonymous = Some(2 * DAY);
    let service = with(policy).await;
    let limits = Browser::new(&service).get("/limits").await.data()["limits"].clone();
    let user =
        json!({"max_songs": 10, "max_bytes": 1000, "max_audio_minutes_per_day": 120, "max_uploads_per_minute": 3});
    assert_eq!(limits["user_quota"], user);
    let none: Value = json!({"max_songs": null, "max_bytes": null, "max_audio_minutes_per_day": null, "max_uploads_per_minute": null});
    assert_eq!(limits["anonymous_quota"], none);
    assert_eq!((&limits["retention_days"], &limits["anonymous_retention_days"]), (&json!(30), &json!(2)));
    assert_eq!(limits["max_page"], 1000);
}

#[tokio::test]
async fn one_user_s_songs_are_limited_and_nobody_else_s() {
    let per_user = Quota { max_songs: Some(2), ..Quota::default() };
    let service = with(Policy { per_user, ..Policy::default() }).await;
    let (ada, bob) = (Browser::registered(&service, "ada").await, Browser::registered(&service, "bob").await);
    let first = ada.upload("x", &song(1)).await;
    ada.upload("x", &song(1)).await;
    let said = ada.try_upload("x", song(2)).await.refused(403, "quota_exceeded");
    assert!(said.contains("at most 2 songs"), "{said}");
    service.stored(1).await;
    bob.upload("x", &song(1)).await;
    Browser::new(&service).upload("x", &song(1)).await;
    ada.delete(&format!("/songs/{}", id(&first))).await.data();
    ada.upload("x", &song(2)).await;
}

#[tokio::test]
async fn uploads_at_once_do_not_get_past_a_limit() {
    let per_user = Quota { max_songs: Some(3), ..Quota::default() };
    let per_address = Quota { max_bytes: Some(3 * song(0).len() as u64), ..Quota::default() };
    let service = with(Policy { per_user, per_address, ..Policy::default() }).await;
    let ada = Browser::registered(&service, "ada").await;
    for (browser, address) in [(&ada, "192.0.2.1"), (&Browser::new(&service), "192.0.2.2")] {
        let uploads = join_all((0..12).map(|number| upload_from(browser, address, song(number)))).await;
        let statuses: Vec<_> = uploads.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 3, "{statuses:?}");
        assert!(statuses.iter().all(|status| [200, 403].contains(status)), "{statuses:?}");
    }
    // What was refused has left nothing.
    let list = ada.get("/songs/").await.data();
    let hashes: BTreeSet<_> = list["songs"].as_array().unwrap().iter().map(|song| song["hash"].to_string()).collect();
    service.stored(hashes.len()).await;
}

#[tokio::test]
async fn an_address_is_limited_by_itself_and_a_user_is_not_by_theirs() {
    let per_address = Quota { max_songs: Some(1), ..Quota::default() };
    let service = with(Policy { per_address, ..Policy::default() }).await;
    let nobody = Browser::new(&service);
    upload_from(&nobody, "192.0.2.1", song(1)).await.data();
    upload_from(&nobody, "192.0.2.1", song(2)).await.refused(403, "quota_exceeded");
    upload_from(&nobody, "192.0.2.2", song(2)).await.data();
    // A /64 is one household.
    upload_from(&nobody, "2001:db8::1", song(3)).await.data();
    upload_from(&nobody, "2001:db8::2", song(4)).await.refused(403, "quota_exceeded");
    upload_from(&nobody, "2001:db8:0:1::1", song(4)).await.data();
    let ada = Browser::registered(&service, "ada").await;
    for number in 5..8 {
        upload_from(&ada, "192.0.2.1", song(number)).await.data();
    }
    // What is kept of an address is not the address.
    let dir = service.stop().await;
    for file in super::support::files_below(&dir.path().join("data")) {
        let bytes = std::fs::read(&file).unwrap();
        let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(!has("192.0.2.1") && !has("2001:db8"), "{}", file.display());
    }
}

#[tokio::test]
async fn one_client_cannot_store_one_file_again_and_again() {
    let quota = Quota { max_uploads_per_minute: Some(3), ..Quota::default() };
    let service = with(Policy { per_user: quota, per_address: quota, ..Policy::default() }).await;
    let ada = Browser::registered(&service, "ada").await;
    for (browser, address) in [(&ada, "192.0.2.1"), (&Browser::new(&service), "192.0.2.2")] {
        let uploads = join_all((0..20).map(|_| upload_from(browser, address, song(1)))).await;
        assert_eq!(uploads.iter().filter(|answer| answer.status == 200).count(), 3);
        for refused in uploads.iter().filter(|answer| answer.status != 200) {
            refused.refused(429, "rate_limited");
            assert!((1..=20).contains(&retry_after(refused)), "{refused:?}");
        }
    }
    // Those that end in an error count, too: they cost as much.
    let nobody = Browser::new(&service);
    for _ in 0..3 {
        upload_from(&nobody, "192.0.2.9", b"no song".to_vec()).await.refused(422, "invalid");
    }
    upload_from(&nobody, "192.0.2.9", song(1)).await.refused(429, "rate_limited");
}

#[tokio::test]
async fn so_much_audio_a_day_and_no_more() {
    let per_address = Quota { max_audio_per_day: Some(Duration::from_secs(60)), ..Quota::default() };
    let service = with(Policy { per_address, ..Policy::default() }).await;
    let nobody = Browser::new(&service);
    // Half a second each.
    let short = |number| wav(number, 22_050);
    let long = Quota { max_audio_per_day: Some(Duration::from_millis(1200)), ..Quota::default() };
    let tight = with(Policy { per_address: long, ..Policy::default() }).await;
    let other = Browser::new(&tight);
    upload_from(&other, "192.0.2.1", short(1)).await.data();
    upload_from(&other, "192.0.2.1", short(2)).await.data();
    let refused = upload_from(&other, "192.0.2.1", short(3)).await;
    refused.refused(429, "rate_limited");
    // 0.3 of 1.2 seconds are a quarter of the day.
    assert!((6 * 3600 - 60..=6 * 3600).contains(&retry_after(&refused)), "{refused:?}");
    upload_from(&other, "192.0.2.1", wav(4, 88_200)).await.refused(403, "quota_exceeded");
    tight.stored(2).await;
    for number in 0..5 {
        upload_from(&nobody, "192.0.2.1", short(number)).await.data();
    }
}
