//! Webhooks.

use serde_json::json;
use vocalizer_client::{Client, DeliveryStatus, DeliveryView, WebhookView};

use super::args::WebhookCommand;
use super::failure::Failure;
use super::report::shown;
use crate::voice::Voice;

pub(super) async fn run(client: &Client, command: &WebhookCommand, voice: Voice) -> Result<(), Failure> {
    match command {
        WebhookCommand::Create { url, events } => {
            let created = client.create_webhook(url, events).await?;
            let (id, secret) = (created.webhook.id, created.secret.expose());
            let event = json!({"event": "webhook", "webhook": created.webhook, "secret": secret});
            voice.say(&event, &format!("{id}  {}", shown(secret)));
        }
        WebhookCommand::List => {
            for webhook in client.webhooks().await? {
                voice.say(&json!({"event": "webhook", "webhook": webhook}), &row(&webhook));
            }
        }
        WebhookCommand::Deliveries { id } => {
            for delivery in client.webhook_deliveries(*id).await? {
                voice.say(&json!({"event": "delivery", "delivery": delivery}), &delivery_row(&delivery));
            }
        }
        WebhookCommand::Test { id } => {
            let delivery = client.test_webhook(*id).await?;
            voice.say(&json!({"event": "delivery", "delivery": delivery}), &delivery_row(&delivery));
        }
        WebhookCommand::Enable { id } => {
            let webhook = client.enable_webhook(*id).await?;
            voice.say(&json!({"event": "webhook", "webhook": webhook}), &row(&webhook));
        }
        WebhookCommand::Delete { id } => {
            client.delete_webhook(*id).await?;
            voice.say(&json!({"event": "deleted", "id": id}), &format!("deleted {id}"));
        }
    }
    Ok(())
}

fn row(webhook: &WebhookView) -> String {
    let events: Vec<_> = webhook.events.iter().map(|event| event.name()).collect();
    let state = match (&webhook.disabled_at, &webhook.failing_since) {
        (Some(at), _) => format!("disabled since {at}"),
        (None, Some(since)) => format!("failing since {since}"),
        (None, None) => "enabled".to_owned(),
    };
    shown(&format!("{}  {state}  {}  {}", webhook.id, events.join(","), webhook.url))
}

fn delivery_row(delivery: &DeliveryView) -> String {
    let state = match delivery.status {
        DeliveryStatus::Pending => {
            format!("pending, next attempt {}", delivery.next_attempt_at.as_deref().unwrap_or("soon"))
        }
        DeliveryStatus::Delivered => "delivered".to_owned(),
        DeliveryStatus::Failed => "failed".to_owned(),
        _ => "unknown".to_owned(),
    };
    let song = delivery.song_id.map_or_else(|| "-".to_owned(), |id| id.to_string());
    let (at, attempts) = (&delivery.created_at, delivery.attempts);
    let error = delivery.error.as_deref().map_or_else(String::new, |error| format!(": {error}"));
    shown(&format!("{}  {at}  {}  {song}  {state} ({attempts} attempts){error}", delivery.id, delivery.event))
}
