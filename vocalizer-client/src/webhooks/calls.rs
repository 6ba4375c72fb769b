//! Managing the webhooks of a user.

use reqwest::Method;
use serde::de::IgnoredAny;
use serde_json::json;
use vocalizer_api::id::WebhookId;
use vocalizer_api::secret::Secret;
use vocalizer_api::{
    DeliveriesData, DeliveryData, DeliveryView, NewWebhookData, WebhookData, WebhookEvent, WebhookView, WebhooksData,
};

use crate::{Client, Error};

/// A new webhook.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NewWebhook {
    /// The webhook.
    pub webhook: WebhookView,
    /// The secret that signs its deliveries, for [`verify`](super::verify). The server returns it only once.
    pub secret: Secret<String>,
}

impl Client {
    /// Creates a webhook of the user: the server tells the address what happens to the user's songs. Without events, all
    /// of [`WebhookEvent::SONG`] are told.
    ///
    /// ```
    /// # use vocalizer_client::{Secret, WebhookEvent};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # client.register("ada", &Secret::new("correct horse".to_owned())).await?;
    /// let address = "https://ada.example.org/vocalizer";
    /// let created = client.create_webhook(address, &[WebhookEvent::Split, WebhookEvent::Failed]).await?;
    /// // Needed to verify deliveries.
    /// let secret = created.secret;
    /// # assert!(secret.expose().starts_with("whsec_"));
    /// # assert_eq!(client.webhooks().await?, [created.webhook]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] without a login, or if the server refuses the address; with
    /// [`ErrorCode::Conflict`](crate::ErrorCode::Conflict) if the user has too many webhooks, or the server has none.
    pub async fn create_webhook(&self, url: &str, events: &[WebhookEvent]) -> Result<NewWebhook, Error> {
        let names: Vec<_> = events.iter().map(|event| event.name()).collect();
        let form = json!({"url": url, "events": names.join(",")});
        let NewWebhookData { webhook, secret } = self.send(Method::POST, "webhooks", &form).await?;
        Ok(NewWebhook { webhook, secret: secret.into() })
    }

    /// Returns the user's webhooks, newest first.
    ///
    /// ```
    /// # use vocalizer_client::Secret;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # client.register("ada", &Secret::new("correct horse".to_owned())).await?;
    /// # client.create_webhook("https://ada.example.org/vocalizer", &[]).await?;
    /// for webhook in client.webhooks().await?.iter().filter(|webhook| webhook.disabled_at.is_some()) {
    ///     println!("{} was disabled: it has failed since {:?}", webhook.url, webhook.failing_since);
    /// }
    /// # assert_eq!(client.webhooks().await?[0].events.len(), 3);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] without a login.
    pub async fn webhooks(&self) -> Result<Vec<WebhookView>, Error> {
        self.read::<WebhooksData>("webhooks").await.map(|data| data.webhooks)
    }

    /// Returns the newest deliveries of a webhook, newest first: at most 100.
    ///
    /// ```
    /// # use vocalizer_client::Secret;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # client.register("ada", &Secret::new("correct horse".to_owned())).await?;
    /// # let webhook = client.create_webhook("https://ada.example.org/vocalizer", &[]).await?.webhook;
    /// for delivery in client.webhook_deliveries(webhook.id).await? {
    ///     println!("{}: {:?} {:?}", delivery.event, delivery.status_code, delivery.error);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] with [`ErrorCode::NotFound`](crate::ErrorCode::NotFound) if the user has no such webhook.
    pub async fn webhook_deliveries(&self, id: WebhookId) -> Result<Vec<DeliveryView>, Error> {
        self.read::<DeliveriesData>(&format!("webhooks/{id}/deliveries")).await.map(|data| data.deliveries)
    }

    /// Has the server send a ping to a webhook soon, and returns its delivery.
    ///
    /// ```
    /// # use vocalizer_client::{Secret, WebhookEvent};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # client.register("ada", &Secret::new("correct horse".to_owned())).await?;
    /// # // Nothing listens there.
    /// # let webhook = client.create_webhook("http://127.0.0.1:9/", &[]).await?.webhook;
    /// let ping = client.test_webhook(webhook.id).await?;
    /// assert_eq!(ping.event, WebhookEvent::Ping);
    /// # assert_eq!(client.webhook_deliveries(webhook.id).await?[0].id, ping.id);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] as for [`Self::webhook_deliveries`]; with [`ErrorCode::Conflict`](crate::ErrorCode::Conflict) if the
    /// webhook is disabled or a ping is pending.
    pub async fn test_webhook(&self, id: WebhookId) -> Result<DeliveryView, Error> {
        let request = self.request(Method::POST, &format!("webhooks/{id}/test"))?;
        self.call::<DeliveryData>(request).await.map(|data| data.delivery)
    }

    /// Enables a webhook that the server disabled after repeated failure. Events that happened meanwhile are not told.
    ///
    /// ```
    /// # use vocalizer_client::Secret;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # client.register("ada", &Secret::new("correct horse".to_owned())).await?;
    /// # let webhook = client.create_webhook("https://ada.example.org/vocalizer", &[]).await?.webhook;
    /// let webhook = client.enable_webhook(webhook.id).await?;
    /// assert_eq!(webhook.disabled_at, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] as for [`Self::webhook_deliveries`].
    pub async fn enable_webhook(&self, id: WebhookId) -> Result<WebhookView, Error> {
        let request = self.request(Method::POST, &format!("webhooks/{id}/enable"))?;
        self.call::<WebhookData>(request).await.map(|data| data.webhook)
    }

    /// Deletes a webhook with its deliveries.
    ///
    /// ```
    /// # use vocalizer_client::Secret;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = vocalizer_testing::TestServer::start().await;
    /// # let client = server.client();
    /// # client.register("ada", &Secret::new("correct horse".to_owned())).await?;
    /// # let webhook = client.create_webhook("https://ada.example.org/vocalizer", &[]).await?.webhook;
    /// client.delete_webhook(webhook.id).await?;
    /// assert_eq!(client.webhooks().await?, []);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Api`] as for [`Self::webhook_deliveries`].
    pub async fn delete_webhook(&self, id: WebhookId) -> Result<(), Error> {
        let request = self.request(Method::DELETE, &format!("webhooks/{id}"))?;
        self.call::<IgnoredAny>(request).await.map(drop)
    }
}
