//! A real OpenID Connect provider in a process of its own: `oidc-provider-mock` on authlib. It signs with RS256, accepts every
//! client, and signs in the user that the form names.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use vocalizer::service::Oidc;
use vocalizer_client::oidc::OidcSettings;
use vocalizer_core::secret::Secret;
use vocalizer_core::service::ProviderSettings;

use crate::support::no_tls;

/// What the provider knows as this server's address. Nothing listens there: the tests take browsers back themselves.
pub(super) const PUBLIC_URL: &str = "https://songs.example.org";

pub(super) struct Provider {
    child: Child,
    pub(super) issuer: String,
    http: reqwest::Client,
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Provider {
    /// Starts a provider. Returns `None` without a network, if it is not installed.
    pub(super) async fn start() -> Option<Self> {
        let program = tokio::task::spawn_blocking(installed).await.unwrap()?;
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new(program)
            .args(["--require-nonce", "--port", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .tls_backend_preconfigured(no_tls())
            .build()
            .unwrap();
        let provider = Self { child, issuer: format!("http://127.0.0.1:{port}"), http };
        for _ in 0..3000 {
            if provider.http.get(format!("{}/jwks", provider.issuer)).send().await.is_ok() {
                return Some(provider);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the provider does not respond");
    }

    /// Ends the process.
    pub(super) fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(super) fn settings(&self) -> OidcSettings {
        let mut settings = OidcSettings::new(&self.issuer, "vocalizer", &format!("{PUBLIC_URL}/auth/oidc/callback"));
        settings.client_secret = Some(Secret::new("a secret: 100 %".to_owned()));
        settings
    }

    pub(super) fn oidc(&self, creates_users: bool) -> Oidc {
        let usage = ProviderSettings { name: "Example".to_owned(), creates_users };
        Oidc { settings: self.settings(), usage }
    }

    /// Sets the claims of a user.
    pub(super) async fn set_claims(&self, subject: &str, claims: &Value) {
        let request = self.http.put(format!("{}/users/{subject}", self.issuer)).json(claims);
        assert!(request.send().await.unwrap().status().is_success());
    }

    /// Signs in at the address to which a browser was sent, and returns the path and the query with which it is sent back.
    pub(super) async fn sign_in(&self, url: &str, subject: &str) -> String {
        let response = self.http.post(url).form(&[("sub", subject)]).send().await.unwrap();
        let location = response.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
        let back = location.unwrap_or_else(|| panic!("no redirect: {}", response.status()));
        back.strip_prefix(PUBLIC_URL).unwrap_or_else(|| panic!("elsewhere: {back}")).to_owned()
    }
}

/// Installs the provider and returns its program.
fn installed() -> Option<PathBuf> {
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.ci/venv");
    let output = Command::new(venv).args(["oidc", "oidc-provider-mock==0.3.4"]).output().unwrap();
    if !output.status.success() && std::env::var_os("VOCALIZER_OFFLINE").is_some() {
        eprintln!("skipped: the provider is not installed");
        return None;
    }
    assert!(output.status.success(), "{output:?}");
    Some(Path::new(String::from_utf8(output.stdout).unwrap().trim()).join("oidc-provider-mock"))
}
