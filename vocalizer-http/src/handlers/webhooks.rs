//! Webhooks.

use std::sync::Arc;

use vocalizer_core::api::{DeliveriesData, DeliveryData, NewWebhookData, WebhookData, WebhookEvent, WebhooksData};
use vocalizer_core::service::IssuedWebhook;

use super::{Answer, success};
use crate::app::App;
use crate::failure::Failure;
use crate::fields;
use crate::request::Request;

pub(crate) async fn list(app: &Arc<App>, request: Request) -> Answer {
    let webhooks = app.songs.webhooks(request.viewer()).await?;
    success(&WebhooksData { webhooks })
}

pub(crate) async fn create(app: &Arc<App>, request: Request) -> Answer {
    let viewer = request.viewer();
    let mut form = request.form().await?;
    let (url, events) = (form.take(&fields::URL), form.take(&fields::EVENTS));
    let events = parse(events.expose())?;
    let IssuedWebhook { webhook, secret } = app.songs.create_webhook(viewer, url.expose(), &events).await?;
    success(&NewWebhookData { webhook, secret: secret.into_exposed() })
}

pub(crate) async fn delete(app: &Arc<App>, request: Request) -> Answer {
    app.songs.delete_webhook(request.viewer(), request.param("webhook_id")?).await?;
    success(&())
}

pub(crate) async fn deliveries(app: &Arc<App>, request: Request) -> Answer {
    let deliveries = app.songs.deliveries(request.viewer(), request.param("webhook_id")?).await?;
    success(&DeliveriesData { deliveries })
}

pub(crate) async fn test(app: &Arc<App>, request: Request) -> Answer {
    let delivery = app.songs.test_webhook(request.viewer(), request.param("webhook_id")?).await?;
    success(&DeliveryData { delivery })
}

pub(crate) async fn enable(app: &Arc<App>, request: Request) -> Answer {
    let webhook = app.songs.enable_webhook(request.viewer(), request.param("webhook_id")?).await?;
    success(&WebhookData { webhook })
}

/// Parses events that are separated by commas.
fn parse(text: &str) -> Result<Vec<WebhookEvent>, Failure> {
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.map(|name| name.parse().map_err(|error| Failure::field(fields::EVENTS.name, format!("{error}")))).collect()
}
