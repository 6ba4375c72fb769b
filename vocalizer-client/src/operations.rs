//! What a server tells its operators: whether it works, its metrics, and the description of its API.

use std::collections::BTreeMap;

use reqwest::{Method, StatusCode};
use serde::Deserialize;

use crate::{Client, Error, answer};

/// Whether a server can work.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Readiness {
    /// Whether all checks passed.
    pub ready: bool,
    /// The result of each check by its name: `ok`, or what is wrong.
    pub checks: BTreeMap<String, String>,
}

impl Client {
    /// Checks that the server responds. It does not check what the server depends on; [`readiness`](Self::readiness) does.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), vocalizer_client::Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// client.check_live().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The errors of every call; see [`Client`].
    pub async fn check_live(&self) -> Result<(), Error> {
        self.read_text("livez", &["text/plain"]).await.map(drop)
    }

    /// Returns whether the server can work, and which of its dependencies cannot. The call is not retried.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), vocalizer_client::Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// for (name, result) in client.readiness().await?.checks.iter().filter(|(_, result)| *result != "ok") {
    ///     println!("{name}: {result}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The errors of every call; see [`Client`]. A server that is not ready is none.
    pub async fn readiness(&self) -> Result<Readiness, Error> {
        let request = self.request(Method::GET, "readyz")?.timeout(self.settings.timeout);
        let statuses = [StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE];
        answer::json(self.exchange(request).await?, &statuses, self.settings.max_answer_bytes).await
    }

    /// Returns the server's metrics in the text format of Prometheus.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), vocalizer_client::Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// let metrics = client.metrics().await?;
    /// for line in metrics.lines().filter(|line| line.starts_with("vocalizer_songs")) {
    ///     println!("{line}");
    /// }
    /// # assert!(metrics.contains("vocalizer_"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The errors of every call; see [`Client`].
    pub async fn metrics(&self) -> Result<String, Error> {
        self.read_text("metrics", &["application/openmetrics-text", "text/plain"]).await
    }

    /// Returns the OpenAPI document of the server, as JSON.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), vocalizer_client::Error> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// assert!(client.openapi().await?.contains("\"openapi\""));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The errors of every call; see [`Client`].
    pub async fn openapi(&self) -> Result<String, Error> {
        self.read_text("openapi.json", &["application/json"]).await
    }

    /// Reads a text, with retries.
    async fn read_text(&self, path: &str, kinds: &[&'static str]) -> Result<String, Error> {
        self.retrying(|| async {
            let request = self.request(Method::GET, path)?.timeout(self.settings.timeout);
            answer::text(self.exchange(request).await?, kinds, self.settings.max_answer_bytes).await
        })
        .await
    }
}
