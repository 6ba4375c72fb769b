//! Password guessing throttles the guesser, not the account's owner.

use std::time::Duration;

use reqwest::Method;

use super::support::{Answer, Browser, Service, Settings};

const GOOD: &str = "correct horse";

/// A service that trusts `X-Forwarded-For` from the tests.
async fn service() -> Service {
    let trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    // Longer than the test takes on any machine.
    let first_delay = Duration::from_secs(10 * 60);
    Service::with(Settings { workers: 0, trusted_proxies, first_delay, ..Settings::default() }).await
}

async fn login(browser: &Browser, from: &str, name: &str, password: &str) -> Answer {
    let request = browser.request(Method::POST, "/auth/login").header("x-forwarded-for", from);
    Browser::send(request.form(&[("username", name), ("password", password)])).await
}

/// Guesses until throttled.
async fn guess(service: &Service, from: &str, name: &str) {
    let guesser = Browser::new(service);
    for _ in 0..10 {
        let answer = login(&guesser, from, name, "wrong horse").await;
        if answer.status == 429 {
            return;
        }
        answer.refused(401, "unauthenticated");
    }
    panic!("guessing is not throttled");
}

#[tokio::test]
async fn guesses_from_other_addresses_do_not_lock_out_owner() {
    let service = service().await;
    Browser::registered(&service, "ada").await;
    for from in ["203.0.113.1", "203.0.113.2", "2001:db8::1"] {
        guess(&service, from, "ada").await;
        login(&Browser::new(&service), from, "ada", GOOD).await.refused(429, "rate_limited");
    }
    login(&Browser::new(&service), "203.0.113.3", "ada", GOOD).await.data();
    // A successful login of the owner does not reset the guesser's delay.
    login(&Browser::new(&service), "203.0.113.1", "ada", GOOD).await.refused(429, "rate_limited");
}

#[tokio::test]
async fn known_browser_can_log_in_during_guessing() {
    let service = service().await;
    let (ada, bob) = (Browser::registered(&service, "ada").await, Browser::registered(&service, "bob").await);
    for browser in [&ada, &bob] {
        browser.post("/auth/logout", &[]).await.data();
    }
    // All from one address, as behind an untrusted proxy.
    guess(&service, "203.0.113.1", "ada").await;
    login(&Browser::new(&service), "203.0.113.1", "ada", GOOD).await.refused(429, "rate_limited");
    login(&bob, "203.0.113.1", "ada", GOOD).await.refused(429, "rate_limited");
    for forged in ["0".repeat(128), "f".repeat(64), "x".repeat(128), String::new()] {
        let request =
            Browser::new(&service).request(Method::POST, "/auth/login").header("x-forwarded-for", "203.0.113.1");
        let request = request.header("cookie", format!("device={forged}"));
        let answer = Browser::send(request.form(&[("username", "ada"), ("password", GOOD)])).await;
        answer.refused(429, "rate_limited");
    }
    login(&ada, "203.0.113.1", "ada", GOOD).await.data();
    // A known browser is throttled too.
    let mut statuses = Vec::new();
    for _ in 0..8 {
        statuses.push(login(&ada, "203.0.113.9", "ada", "wrong horse").await.status);
    }
    assert_eq!((statuses[0], statuses[7]), (401, 429), "{statuses:?}");
}

#[tokio::test]
async fn device_cookie_is_http_only_and_ends_with_password_change() {
    let service = service().await;
    let ada = Browser::new(&service);
    let registered = ada.register("ada", GOOD).await;
    let cookies: Vec<_> =
        registered.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).collect();
    assert_eq!(cookies.len(), 2, "{cookies:?}");
    let device = cookies.iter().find(|cookie| cookie.starts_with("device=")).unwrap();
    assert!(device.contains("HttpOnly") && device.contains("SameSite=Lax"), "{device}");
    let fields = [("old_password", GOOD), ("password1", "battery staple"), ("password2", "battery staple")];
    ada.post("/auth/password", &fields).await.data();
    guess(&service, "203.0.113.1", "ada").await;
    login(&ada, "203.0.113.1", "ada", "battery staple").await.refused(429, "rate_limited");
}

#[tokio::test]
async fn forwarded_port_does_not_change_client_address() {
    let service = service().await;
    Browser::registered(&service, "ada").await;
    for (one, same, other) in [
        ("198.51.100.1:1111", "198.51.100.1:2222", "198.51.100.2:1111"),
        ("[2001:db8::1]:1111", "2001:db8::1", "[2001:db8:1::1]"),
    ] {
        guess(&service, one, "ada").await;
        login(&Browser::new(&service), same, "ada", GOOD).await.refused(429, "rate_limited");
        login(&Browser::new(&service), other, "ada", "wrong horse").await.refused(401, "unauthenticated");
    }
}
