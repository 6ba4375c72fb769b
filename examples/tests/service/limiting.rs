//! Registration policy, invites, quotas and rate limits.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use vocalizer::service::Policy;
use vocalizer_core::account::Registration;
use vocalizer_core::quota::Quota;

use super::server::{Server, admin};
use super::support::{Answer, Browser, Service, Settings, id, song, wav};

const PASSWORD: &str = "correct horse";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

async fn with(policy: Policy) -> Service {
    let trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    Service::with(Settings { workers: 0, policy, trusted_proxies, ..Settings::default() }).await
}

/// Uploads from an address, behind a trusted proxy.
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
async fn closed_registration_rejects_everyone() {
    let service = with(Policy { registration: Registration::Closed, ..Policy::default() }).await;
    let client = Browser::new(&service);
    register(&client, "ada", None).await.refused(403, "registration_closed");
    register(&client, "ada", Some("vci_0")).await.refused(403, "registration_closed");
    assert_eq!(client.get("/limits").await.data()["limits"]["registration"], "closed");
    client.upload("anonymous uploads still work", &song(1)).await;
}

#[tokio::test]
async fn invite_registers_one_user() {
    let service = with(Policy { registration: Registration::Invite, ..Policy::default() }).await;
    let client = Browser::new(&service);
    assert_eq!(client.get("/limits").await.data()["limits"]["registration"], "invite");
    register(&client, "ada", None).await.refused_field(403, "invite_required", "invite");
    register(&client, "ada", Some(" ")).await.refused_field(403, "invite_required", "invite");
    register(&client, "ada", Some("vci_0")).await.refused_field(403, "invite_invalid", "invite");
    let invite = service.accounts.invite(DAY).await.unwrap();
    // An invalid name does not use up the invite.
    register(&client, "a b", Some(invite.expose())).await.refused_field(422, "invalid", "username");
    register(&client, "ada", Some(&format!(" {}\n", invite.expose()))).await.data();
    assert_eq!(client.get("/auth/me").await.data()["user"]["username"], "ada");
    let other = Browser::new(&service);
    register(&other, "bob", Some(invite.expose())).await.refused_field(403, "invite_invalid", "invite");
    let second = service.accounts.invite(DAY).await.unwrap();
    register(&other, "ada", Some(second.expose())).await.refused_field(409, "conflict", "username");
    register(&other, "bob", Some(second.expose())).await.data();
    let expired = service.accounts.invite(Duration::ZERO).await.unwrap();
    register(&other, "carol", Some(expired.expose())).await.refused_field(403, "invite_invalid", "invite");
}

#[tokio::test]
async fn concurrent_uses_of_one_invite_register_one_user() {
    let service = with(Policy { registration: Registration::Invite, ..Policy::default() }).await;
    let invite = service.accounts.invite(DAY).await.unwrap();
    let registrations = (0..8).map(|number| {
        let browser = Browser::new(&service);
        let invite = invite.expose().clone();
        async move { register(&browser, &format!("user{number}"), Some(&invite)).await.status }
    });
    let statuses = join_all(registrations).await;
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 403].contains(status)), "{statuses:?}");
}

#[tokio::test]
async fn invites_can_be_made_while_server_runs() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start_with(&data, &[("REGISTRATION", "invite")]);
    let made = admin(&data, &["invite", "--days", "1", "--count", "2"]);
    assert!(made.status.success(), "{made:?}");
    let codes = String::from_utf8(made.stdout).unwrap();
    let codes: Vec<_> = codes.lines().collect();
    assert!(codes.len() == 2 && codes.iter().all(|code| code.starts_with("vci_")), "{codes:?}");
    register(&server.browser(), "ada", Some(codes[0])).await.data();
    register(&server.browser(), "bob", Some(codes[0])).await.refused(403, "invite_invalid");
    let revoked = admin(&data, &["invite", "--revoke-all"]);
    assert_eq!(String::from_utf8(revoked.stdout).unwrap(), "1 invites revoked\n");
    register(&server.browser(), "bob", Some(codes[1])).await.refused(403, "invite_invalid");
    let nowhere = admin(&dir.path().join("nowhere"), &["invite"]);
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(String::from_utf8(nowhere.stderr).unwrap().contains("not found: "));
    assert!(!dir.path().join("nowhere").exists());
}

#[test]
fn invalid_settings_are_rejected_at_startup() {
    let dir = tempfile::tempdir().unwrap();
    for (name, value, expected) in [
        ("REGISTRATION", "sometimes", "REGISTRATION"),
        ("ANONYMOUS_UPLOADS", "maybe", "expected on or off"),
        ("USER_MAX_SONGS", "0", "USER_MAX_SONGS"),
        ("RETENTION_DAYS", "0", "RETENTION_DAYS"),
        ("RETENTION_DAYS", "-1", "RETENTION_DAYS"),
        ("ADDRESS_KEY", "short", "at least 16 characters"),
    ] {
        let mut server = Command::new(env!("CARGO_BIN_EXE_vocalizer"));
        let output =
            server.args(["serve", "--check-config", "--data-dir"]).arg(dir.path()).env(name, value).output().unwrap();
        let output_text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{name}={value}: {output_text}");
        // clap names the flag; our errors name both.
        assert!(
            output_text.contains(expected) || output_text.contains(&name.to_lowercase().replace('_', "-")),
            "{name}={value}: {output_text}"
        );
    }
    let mut server = Command::new(env!("CARGO_BIN_EXE_vocalizer"));
    server
        .args(["admin", "check-config", "--anonymous-uploads", "off", "--user-max-songs", "5"])
        .env("REGISTRATION", "closed");
    let output = server.arg("--data-dir").arg(dir.path()).env("ADDRESS_KEY", "a secret that is long").output().unwrap();
    let output_text = String::from_utf8(output.stdout).unwrap();
    for line in ["ANONYMOUS_UPLOADS=false", "REGISTRATION=closed", "USER_MAX_SONGS=5", "ADDRESS_KEY=(hidden)"] {
        assert!(output_text.lines().any(|shown| shown == line), "{line}: {output_text}");
    }
    assert!(!output_text.contains("a secret"), "{output_text}");
}

#[tokio::test]
async fn anonymous_uploads_can_be_disabled() {
    let service = with(Policy { anonymous_uploads: false, ..Policy::default() }).await;
    let client = Browser::new(&service);
    assert_eq!(client.get("/limits").await.data()["limits"]["anonymous_uploads"], false);
    client.try_upload("x", song(1)).await.refused(401, "unauthenticated");
    assert_eq!(service.stored(0).await, Vec::<std::path::PathBuf>::new());
    client.register("ada", PASSWORD).await.data();
    client.upload("x", &song(1)).await;
}

#[tokio::test]
async fn limits_endpoint_reports_policy() {
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
async fn user_quota_applies_per_user() {
    let per_user = Quota { max_songs: Some(2), ..Quota::default() };
    let service = with(Policy { per_user, ..Policy::default() }).await;
    let (ada, bob) = (Browser::registered(&service, "ada").await, Browser::registered(&service, "bob").await);
    let first = ada.upload("x", &song(1)).await;
    ada.upload("x", &song(1)).await;
    let message = ada.try_upload("x", song(2)).await.refused(403, "quota_exceeded");
    assert!(message.contains("at most 2 songs"), "{message}");
    service.stored(1).await;
    bob.upload("x", &song(1)).await;
    Browser::new(&service).upload("x", &song(1)).await;
    ada.delete(&format!("/songs/{}", id(&first))).await.data();
    ada.upload("x", &song(2)).await;
}

#[tokio::test]
async fn concurrent_uploads_cannot_exceed_quota() {
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
    // Rejected uploads leave no files.
    let list = ada.get("/songs/").await.data();
    let hashes: BTreeSet<_> = list["songs"].as_array().unwrap().iter().map(|song| song["hash"].to_string()).collect();
    service.stored(hashes.len()).await;
}

#[tokio::test]
async fn address_quota_applies_only_to_anonymous_uploads() {
    let per_address = Quota { max_songs: Some(1), ..Quota::default() };
    let service = with(Policy { per_address, ..Policy::default() }).await;
    let anonymous = Browser::new(&service);
    upload_from(&anonymous, "192.0.2.1", song(1)).await.data();
    upload_from(&anonymous, "192.0.2.1", song(2)).await.refused(403, "quota_exceeded");
    upload_from(&anonymous, "192.0.2.2", song(2)).await.data();
    // All addresses of an IPv6 /64 share one quota.
    upload_from(&anonymous, "2001:db8::1", song(3)).await.data();
    upload_from(&anonymous, "2001:db8::2", song(4)).await.refused(403, "quota_exceeded");
    upload_from(&anonymous, "2001:db8:0:1::1", song(4)).await.data();
    let ada = Browser::registered(&service, "ada").await;
    for number in 5..8 {
        upload_from(&ada, "192.0.2.1", song(number)).await.data();
    }
    // Addresses are not stored in plain text.
    let dir = service.stop().await;
    for file in super::support::files_below(&dir.path().join("data")) {
        // The database removes its log when its last connection closes.
        let bytes = match std::fs::read(&file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            bytes => bytes.unwrap(),
        };
        let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(!has("192.0.2.1") && !has("2001:db8"), "{}", file.display());
    }
}

#[tokio::test]
async fn repeated_uploads_are_rate_limited() {
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
    // Failed uploads count too: they cost as much.
    let anonymous = Browser::new(&service);
    for _ in 0..3 {
        upload_from(&anonymous, "192.0.2.9", b"not a song".to_vec()).await.refused(422, "invalid");
    }
    upload_from(&anonymous, "192.0.2.9", song(1)).await.refused(429, "rate_limited");
}

#[tokio::test]
async fn daily_audio_quota_is_enforced() {
    let per_address = Quota { max_audio_per_day: Some(Duration::from_secs(60)), ..Quota::default() };
    let service = with(Policy { per_address, ..Policy::default() }).await;
    let anonymous = Browser::new(&service);
    // Half a second each.
    let short = |number| wav(number, 22_050);
    let long = Quota { max_audio_per_day: Some(Duration::from_millis(1200)), ..Quota::default() };
    let tight = with(Policy { per_address: long, ..Policy::default() }).await;
    let other = Browser::new(&tight);
    upload_from(&other, "192.0.2.1", short(1)).await.data();
    upload_from(&other, "192.0.2.1", short(2)).await.data();
    let refused = upload_from(&other, "192.0.2.1", short(3)).await;
    refused.refused(429, "rate_limited");
    // 0.3 s of 1.2 s per day is a quarter of a day.
    assert!((6 * 3600 - 60..=6 * 3600).contains(&retry_after(&refused)), "{refused:?}");
    upload_from(&other, "192.0.2.1", wav(4, 88_200)).await.refused(403, "quota_exceeded");
    tight.stored(2).await;
    for number in 0..5 {
        upload_from(&anonymous, "192.0.2.1", short(number)).await.data();
    }
}
