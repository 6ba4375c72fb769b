//! Sign-in with an OpenID Connect provider.

mod provider;

use reqwest::Method;
use serde_json::{Value, json};
use vocalizer::service::{Oidc, Policy, SignIn};
use vocalizer_core::account::Registration;
use vocalizer_core::secret::Secret;

use self::provider::{PUBLIC_URL, Provider};
use super::server::admin;
use super::support::{Answer, Browser, Service, Settings};

async fn service(oidc: Oidc) -> Service {
    let sign_in = SignIn { oidc: Some(oidc), ..SignIn::default() };
    Service::with(Settings { workers: 0, sign_in, ..Settings::default() }).await
}

/// Begins a sign-in and returns the address at the provider.
async fn begin(browser: &Browser) -> String {
    let answer = browser.get("/auth/oidc").await;
    assert_eq!(answer.status, 303, "{answer:?}");
    let cookie = answer.header("set-cookie");
    assert!(
        cookie.starts_with("sign_in=") && cookie.ends_with("; Path=/; Max-Age=600; HttpOnly; SameSite=Lax"),
        "{cookie}"
    );
    answer.header("location").to_owned()
}

async fn sign_in(browser: &Browser, provider: &Provider, subject: &str) -> Answer {
    let back = provider.sign_in(&begin(browser).await, subject).await;
    browser.get(&back).await
}

#[track_caller]
fn signed_in(answer: &Answer) {
    assert_eq!((answer.status, answer.header("location")), (303, "../../#/"), "{answer:?}");
}

async fn me(browser: &Browser) -> Value {
    browser.get("/auth/me").await.data()["user"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn person_at_the_provider_is_one_user() {
    let Some(provider) = Provider::start().await else { return };
    provider.set_claims("17", &json!({"preferred_username": "Ada Lovelace"})).await;
    let service = service(provider.oidc(true)).await;
    let browser = Browser::new(&service);
    let options = browser.get("/auth/options").await.data();
    assert_eq!(options["sign_in"], json!({"password": true, "provider": {"name": "Example", "logout": false}}));

    let url = begin(&browser).await;
    let parameters: std::collections::BTreeMap<_, _> =
        url::Url::parse(&url).unwrap().query_pairs().into_owned().collect();
    let fixed = ["response_type", "client_id", "redirect_uri", "scope", "code_challenge_method"];
    let callback = format!("{PUBLIC_URL}/auth/oidc/callback");
    assert_eq!(
        fixed.map(|name| parameters[name].as_str()),
        ["code", "vocalizer", &callback, "openid profile email", "S256"]
    );
    for random in ["state", "nonce", "code_challenge"] {
        assert!(parameters[random].len() >= 43, "{url}");
    }
    signed_in(&browser.get(&provider.sign_in(&url, "17").await).await);
    let ada = me(&browser).await;
    assert_eq!(ada["username"], "Ada.Lovelace");
    // The same person, from another browser and with another name.
    provider.set_claims("17", &json!({"preferred_username": "countess"})).await;
    let other = Browser::new(&service);
    signed_in(&sign_in(&other, &provider, "17").await);
    assert_eq!(me(&other).await, ada);
    // Another person with the same name and the same address.
    let claims = json!({"preferred_username": "ada.lovelace", "email": "ada@example.org", "email_verified": true});
    provider.set_claims("17", &claims).await;
    provider.set_claims("18", &claims).await;
    signed_in(&sign_in(&other, &provider, "18").await);
    assert_eq!(me(&other).await["username"], "ada.lovelace-2");

    // A session as any other: it makes tokens, and signing out ends it.
    let token = browser.post("/auth/tokens", &[("name", "script")]).await.data()["secret"].as_str().unwrap().to_owned();
    browser.post("/auth/logout", &[]).await.data();
    assert_eq!(me(&browser).await, Value::Null);
    let by_token = Browser::send(browser.request(Method::GET, "/auth/me").bearer_auth(token)).await;
    assert_eq!(by_token.data()["user"], ada);
    browser.login("Ada.Lovelace", "").await.refused(401, "unauthenticated");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn state_is_good_once_and_in_one_browser() {
    let Some(provider) = Provider::start().await else { return };
    let service = service(provider.oidc(true)).await;
    let (browser, other) = (Browser::new(&service), Browser::new(&service));
    let back = provider.sign_in(&begin(&browser).await, "17").await;
    // A browser that began nothing, and one that began another sign-in.
    other.get(&back).await.refused(401, "unauthenticated");
    begin(&other).await;
    other.get(&back).await.refused(401, "unauthenticated");
    assert_eq!(me(&other).await, Value::Null);
    // Another state, and none.
    let state = back.split("state=").nth(1).unwrap().split('&').next().unwrap();
    for wrong in ["0".repeat(64), String::new()] {
        begin(&browser).await;
        browser.get(&back.replace(state, &wrong)).await.refused(401, "unauthenticated");
    }
    // A cookie that is stolen together with the address is good once, in either browser.
    let answer = browser.get("/auth/oidc").await;
    let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
    let back = provider.sign_in(answer.header("location"), "17").await;
    // A probe uses nothing up.
    let head = Browser::send(browser.request(Method::HEAD, &back)).await;
    assert_eq!(head.status, 405);
    signed_in(&browser.get(&back).await);
    browser.get(&back).await.refused(401, "unauthenticated");
    let stolen = other.new_client().request(Method::GET, &back).header("cookie", cookie);
    Browser::send(stolen).await.refused(401, "unauthenticated");
    // A person at the page is told there.
    let answer = Browser::send(browser.request(Method::GET, &back).header("accept", "text/html,*/*")).await;
    assert_eq!((answer.status, answer.header("location")), (303, "../../#/account?sign-in=unauthenticated"));
    // The redirect counts as refused.
    let metrics = String::from_utf8(browser.get("/metrics").await.bytes.to_vec()).unwrap();
    let count = |status: u16| {
        let line = format!("vocalizer_http_requests_total{{operation=\"finish_sign_in\",status=\"{status}\"}} ");
        metrics.lines().find_map(|found| found.strip_prefix(&line)?.parse::<u32>().ok()).unwrap_or(0)
    };
    assert_eq!((count(303), count(401)), (1, 7), "{metrics}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn code_of_another_sign_in_is_refused() {
    let Some(provider) = Provider::start().await else { return };
    let service = service(provider.oidc(true)).await;
    let (victim, attacker) = (Browser::new(&service), Browser::new(&service));
    let code = |back: &str| back.split("code=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    // The attacker's code in the victim's sign-in: its nonce and its verifier belong to another sign-in.
    let theirs = provider.sign_in(&begin(&attacker).await, "mallory").await;
    let ours = provider.sign_in(&begin(&victim).await, "17").await;
    let mixed = ours.replace(&code(&ours), &code(&theirs));
    victim.get(&mixed).await.refused(401, "unauthenticated");
    assert_eq!(me(&victim).await, Value::Null);
    // An invented code.
    let ours = provider.sign_in(&begin(&victim).await, "17").await;
    victim.get(&ours.replace(&code(&ours), "invented")).await.refused(401, "unauthenticated");
    // Another issuer.
    let ours = provider.sign_in(&begin(&victim).await, "17").await;
    victim.get(&format!("{ours}&iss=https%3A%2F%2Fid.example.net")).await.refused(401, "unauthenticated");
    // Cancelled by the person.
    let url = url::Url::parse(&begin(&victim).await).unwrap();
    let state = url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let back = format!("/auth/oidc/callback?error=access_denied&state={state}");
    assert_eq!(victim.get(&back).await.refused(401, "unauthenticated"), "the sign-in was cancelled");
    signed_in(&sign_in(&victim, &provider, "17").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn existing_account_is_connected_only_by_its_owner() {
    let Some(provider) = Provider::start().await else { return };
    let claims = json!({"preferred_username": "ada", "email": "ada@example.org", "email_verified": true});
    provider.set_claims("17", &claims).await;
    let service = service(provider.oidc(false)).await;
    let ada = Browser::registered(&service, "ada").await;
    let bob = Browser::registered(&service, "bob").await;
    // Neither the name nor the address leads to the account.
    let browser = Browser::new(&service);
    sign_in(&browser, &provider, "17").await.refused(403, "sign_in_refused");
    browser.post("/auth/oidc/link", &[]).await.refused(401, "unauthenticated");
    let cross_site = ada.request(Method::POST, "/auth/oidc/link").header("sec-fetch-site", "cross-site");
    Browser::send(cross_site).await.refused(403, "cross_site");

    assert_eq!(ada.get("/auth/oidc/link").await.data()["connected"], false);
    let url = ada.post("/auth/oidc/link", &[]).await.data()["url"].as_str().unwrap().to_owned();
    let back = provider.sign_in(&url, "17").await;
    bob.get(&back).await.refused(401, "unauthenticated");
    let answer = ada.get(&back).await;
    assert_eq!((answer.status, answer.header("location")), (303, "../../#/account?sign-in=connected"));
    assert_eq!(me(&ada).await["username"], "ada");
    assert_eq!(ada.get("/auth/oidc/link").await.data()["connected"], true);
    browser.get("/auth/oidc/link").await.refused(401, "unauthenticated");
    signed_in(&sign_in(&browser, &provider, "17").await);
    assert_eq!(me(&browser).await["username"], "ada");
    // It belongs to one account.
    let url = bob.post("/auth/oidc/link", &[]).await.data()["url"].as_str().unwrap().to_owned();
    bob.get(&provider.sign_in(&url, "17").await).await.refused(409, "conflict");
    // A session that ended meanwhile connects nothing.
    let url = bob.post("/auth/oidc/link", &[]).await.data()["url"].as_str().unwrap().to_owned();
    let back = provider.sign_in(&url, "18").await;
    bob.post("/auth/logout", &[]).await.data();
    bob.get(&back).await.refused(401, "unauthenticated");
    sign_in(&browser, &provider, "18").await.refused(403, "sign_in_refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disabled_user_is_refused() {
    let Some(provider) = Provider::start().await else { return };
    provider.set_claims("17", &json!({"preferred_username": "ada"})).await;
    let service = service(provider.oidc(true)).await;
    let browser = Browser::new(&service);
    signed_in(&sign_in(&browser, &provider, "17").await);
    let data = service.database().parent().unwrap().to_owned();
    let output = tokio::task::spawn_blocking(move || admin(&data, &["users", "disable", "ada"])).await.unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(me(&browser).await, Value::Null);
    sign_in(&browser, &provider, "17").await.refused(403, "account_disabled");
    assert_eq!(me(&browser).await, Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reset_password_disconnects_the_provider_unless_told_to_keep_sessions() {
    let Some(provider) = Provider::start().await else { return };
    let service = service(provider.oidc(false)).await;
    let (ada, thief) = (Browser::registered(&service, "ada").await, Browser::new(&service));
    let url = ada.post("/auth/oidc/link", &[]).await.data()["url"].as_str().unwrap().to_owned();
    ada.get(&provider.sign_in(&url, "thief").await).await;
    for (arguments, is_connected) in [(vec!["--keep-sessions"], true), (vec![], false)] {
        let data = service.database().parent().unwrap().to_owned();
        let all = [vec!["users", "reset-password", "ada"], arguments].concat();
        let output = tokio::task::spawn_blocking(move || admin(&data, &all)).await.unwrap();
        assert!(output.status.success(), "{output:?}");
        let answer = sign_in(&thief, &provider, "thief").await;
        if is_connected {
            signed_in(&answer);
        } else {
            answer.refused(403, "sign_in_refused");
        }
    }
    assert_eq!(me(&thief).await, Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn account_is_disconnected_by_its_user_or_an_operator() {
    let Some(provider) = Provider::start().await else { return };
    let service = service(provider.oidc(true)).await;
    let (ada, bob) = (Browser::registered(&service, "ada").await, Browser::new(&service));
    let url = ada.post("/auth/oidc/link", &[]).await.data()["url"].as_str().unwrap().to_owned();
    ada.get(&provider.sign_in(&url, "17").await).await;
    assert_eq!(ada.get("/auth/oidc/link").await.data()["connected"], true);
    let cross_site = ada.request(Method::DELETE, "/auth/oidc/link").header("sec-fetch-site", "cross-site");
    Browser::send(cross_site).await.refused(403, "cross_site");
    assert_eq!(ada.delete("/auth/oidc/link").await.data()["connected"], false);
    assert_eq!(ada.get("/auth/oidc/link").await.data()["connected"], false);
    ada.new_client().delete("/auth/oidc/link").await.refused(401, "unauthenticated");
    // The identity is free again, and its person a new user without a password.
    provider.set_claims("17", &json!({"preferred_username": "bob"})).await;
    signed_in(&sign_in(&bob, &provider, "17").await);
    assert_eq!(me(&bob).await["username"], "bob");
    let message = bob.delete("/auth/oidc/link").await.refused(409, "conflict");
    assert!(message.contains("no password"), "{message}");
    let data = service.database().parent().unwrap().to_owned();
    let run = |arguments: &'static [&'static str]| {
        let data = data.clone();
        async move {
            let output = tokio::task::spawn_blocking(move || admin(&data, arguments)).await.unwrap();
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).unwrap()
        }
    };
    let connected = |listed: String| -> Vec<bool> {
        let user = |line: &str| serde_json::from_str::<Value>(line).unwrap()["connected"].as_bool().unwrap();
        listed.lines().map(user).collect()
    };
    assert_eq!(connected(run(&["users", "list", "--json"]).await), [false, true]);
    run(&["users", "disconnect", "bob"]).await;
    assert_eq!(connected(run(&["users", "list", "--json"]).await), [false, false]);
    assert_eq!(me(&bob).await["username"], "bob", "the session stays");
    let log = run(&["audit", "--since", "1d"]).await;
    assert!(log.contains("identity_unlinked") && log.contains(&provider.issuer), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_site_begins_no_sign_in() {
    let Some(provider) = Provider::start().await else { return };
    let service = service(provider.oidc(true)).await;
    let browser = Browser::new(&service);
    let from = |site: &str| browser.request(Method::GET, "/auth/oidc").header("sec-fetch-site", site);
    for other in ["cross-site", "same-site"] {
        let refused = Browser::send(from(other)).await;
        refused.refused(403, "cross_site");
        assert!(refused.headers.get("set-cookie").is_none());
        let answer = Browser::send(from(other).header("accept", "text/html")).await;
        assert_eq!((answer.status, answer.header("location")), (303, "../#/account?sign-in=cross_site"));
    }
    for own in ["same-origin", "none"] {
        let answer = Browser::send(from(own)).await;
        assert!(answer.status == 303 && answer.header("location").starts_with(&provider.issuer), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signing_out_continues_at_the_provider_if_asked_for() {
    let Some(provider) = Provider::start().await else { return };
    let mut oidc = provider.oidc(true);
    let without = self::service(oidc.clone()).await;
    Browser::new(&without).get("/auth/oidc/logout").await.refused(404, "not_found");
    oidc.settings.logout_redirect_uri = Some(format!("{PUBLIC_URL}/"));
    let service = self::service(oidc).await;
    let browser = Browser::new(&service);
    assert_eq!(browser.get("/auth/options").await.data()["sign_in"]["provider"]["logout"], true);
    let answer = browser.get("/auth/oidc/logout").await;
    let there = answer.header("location");
    // The page, if the provider has no such address.
    assert!(answer.status == 303 && (there == "../../#/" || there.starts_with(&provider.issuer)), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_admitted_people_sign_in() {
    let Some(provider) = Provider::start().await else { return };
    for (subject, claims) in [
        ("in", json!({"email": "Ada@Example.org", "email_verified": true, "groups": ["staff", "musicians"]})),
        ("unverified", json!({"email": "bob@example.org", "email_verified": false, "groups": ["musicians"]})),
        ("elsewhere", json!({"email": "eve@example.org.example.net", "email_verified": true, "groups": "musicians"})),
        ("below", json!({"email": "eve@sub.example.org", "email_verified": true, "groups": "musicians"})),
        ("outside", json!({"email": "carol@example.org", "email_verified": true, "groups": ["staff", "musicians2"]})),
    ] {
        provider.set_claims(subject, &claims).await;
    }
    let mut oidc = provider.oidc(true);
    oidc.settings.allowed_domains = vec!["example.org".to_owned()];
    oidc.settings.claim_rule = Some("groups=musicians".parse().unwrap());
    let service = service(oidc).await;
    let browser = Browser::new(&service);
    signed_in(&sign_in(&browser, &provider, "in").await);
    assert_eq!(me(&browser).await["username"], "Ada");
    for refused in ["unverified", "elsewhere", "below", "outside", "unknown"] {
        let browser = browser.new_client();
        sign_in(&browser, &provider, refused).await.refused(403, "sign_in_refused");
        assert_eq!(me(&browser).await, Value::Null, "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_provider_is_told_and_passwords_work() {
    let Some(mut provider) = Provider::start().await else { return };
    let service = service(provider.oidc(true)).await;
    let browser = Browser::new(&service);
    let back = provider.sign_in(&begin(&browser).await, "17").await;
    provider.stop();
    let refused = browser.get(&back).await;
    refused.refused(503, "unavailable");
    assert!(!refused.header("retry-after").is_empty());
    let fresh = self::service(provider.oidc(true)).await;
    let browser = Browser::new(&fresh);
    let message = browser.get("/auth/oidc").await.refused(503, "unavailable");
    assert!(message.contains("sign-in provider"), "{message}");
    let answer = Browser::send(browser.request(Method::GET, "/auth/oidc").header("accept", "text/html")).await;
    assert_eq!((answer.status, answer.header("location")), (303, "../#/account?sign-in=unavailable"));
    browser.register("ada", "correct horse").await.data();
    browser.login("ada", "correct horse").await.data();
}

#[tokio::test]
async fn server_without_provider_has_no_such_sign_in() {
    let service = Service::idle().await;
    let browser = Browser::registered(&service, "ada").await;
    browser.get("/auth/oidc").await.refused(404, "not_found");
    browser.get("/auth/oidc/callback?state=a&code=b").await.refused(404, "not_found");
    browser.post("/auth/oidc/link", &[]).await.refused(404, "not_found");
    browser.delete("/auth/oidc/link").await.refused(404, "not_found");
    browser.get("/auth/oidc/logout").await.refused(404, "not_found");
    let options = browser.get("/auth/options").await.data();
    assert_eq!(options["sign_in"], json!({"password": true, "provider": null}));
}

#[tokio::test]
async fn passwords_can_be_turned_off() {
    let policy = Policy { registration: Registration::Closed, ..Policy::default() };
    let sign_in = SignIn { password: false, oidc: None };
    let service = Service::with(Settings { workers: 0, policy, sign_in, ..Settings::default() }).await;
    service.accounts.ensure_user("ada", &Secret::new("correct horse".to_owned())).await.unwrap();
    let browser = Browser::new(&service);
    browser.login("ada", "correct horse").await.refused(403, "sign_in_refused");
    browser.register("bob", "correct horse").await.refused(403, "sign_in_refused");
    assert_eq!(browser.get("/auth/options").await.data()["sign_in"]["password"], false);
}

#[test]
fn wrong_settings_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let check = |arguments: &[&str]| {
        let all: Vec<_> = std::iter::once("check-config").chain(arguments.iter().copied()).collect();
        let output = admin(dir.path(), &all);
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let right = [
        "--oidc-issuer",
        "https://id.example.org/realms/songs",
        "--oidc-client-id",
        "vocalizer",
        "--oidc-client-secret",
        "hunter2",
        "--public-url",
        "https://songs.example.org/vocalizer/",
    ];
    let (code, shown) = check(&right);
    assert_eq!(code, Some(0), "{shown}");
    assert!(!shown.contains("hunter2") && shown.contains("OIDC_CLIENT_SECRET=(hidden)"), "{shown}");
    assert!(shown.contains("redirect URI: https://songs.example.org/vocalizer/auth/oidc/callback\n"), "{shown}");
    assert!(shown.contains("OIDC_NAME=id.example.org\n"), "{shown}");
    assert!(shown.contains("SECURE_COOKIES=true\n") && shown.contains("OIDC_LOGOUT=false\n"), "{shown}");
    let (_, shown) = check(&[&right[..], &["--secure-cookies", "false", "--oidc-logout"]].concat());
    assert!(shown.contains("SECURE_COOKIES=false\n"), "an explicit setting wins: {shown}");
    assert!(shown.contains("post-logout redirect URI: https://songs.example.org/vocalizer/\n"), "{shown}");
    let (_, shown) = check(&["--public-url", "http://songs.example.org"]);
    assert!(shown.contains("SECURE_COOKIES=false\n"), "{shown}");
    for (at, value, name) in [
        (1, "http://id.example.org", "OIDC_ISSUER"),
        (1, "id.example.org", "OIDC_ISSUER"),
        (1, "https://id.example.org/?a=b", "OIDC_ISSUER"),
        (3, " ", "OIDC_CLIENT_ID"),
        (5, " ", "OIDC_CLIENT_SECRET"),
        (7, "http://songs.example.org", "PUBLIC_URL"),
        (7, "songs.example.org", "PUBLIC_URL"),
    ] {
        let mut wrong = right;
        wrong[at] = value;
        let (code, shown) = check(&wrong);
        assert!(code == Some(2) && shown.contains(name), "{wrong:?}: {shown}");
    }
    let more = |arguments: &[&'static str]| [&right[..], arguments].concat();
    for (wrong, name) in [
        (vec!["--oidc-client-id", "vocalizer"], "OIDC_ISSUER"),
        (right[..6].to_vec(), "PUBLIC_URL"),
        (vec!["--password-sign-in", "off"], "PASSWORD_SIGN_IN"),
        (more(&["--password-sign-in", "off"]), "REGISTRATION=closed"),
        (more(&["--oidc-required-claim", "musicians"]), "OIDC_REQUIRED_CLAIM"),
        (
            more(&[
                "--oidc-create",
                "--trusted-user-header",
                "x-user",
                "--trusted-proxies",
                "127.0.0.1",
                "--registration",
                "closed",
            ]),
            "OIDC_CREATE",
        ),
        (more(&["--oidc-allowed-domains", "ada@example.org"]), "OIDC_ALLOWED_DOMAINS"),
    ] {
        let (code, shown) = check(&wrong);
        assert!(code == Some(2) && shown.contains(name), "{wrong:?}: {shown}");
    }
}
