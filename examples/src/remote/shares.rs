//! Share links.

use serde_json::json;
use vocalizer_client::{Client, Share, ShareView};

use super::args::ShareCommand;
use super::failure::Failure;
use super::report::shown;
use crate::voice::Voice;

pub(super) async fn run(client: &Client, command: &ShareCommand, voice: Voice) -> Result<(), Failure> {
    match command {
        ShareCommand::Create { id, until } => {
            let share = until.iter().fold(Share::new(), |share, until| share.until(until));
            let created = client.share(*id, share).await?;
            let url = created.url.expose();
            voice.say(&json!({"event": "share", "share": created.share, "url": url}), &shown(url));
        }
        ShareCommand::List { id } => {
            for share in client.shares(*id).await? {
                voice.say(&json!({"event": "share", "share": share}), &row(&share));
            }
        }
        ShareCommand::Revoke { id, share } => {
            client.revoke_share(*id, *share).await?;
            voice.say(&json!({"event": "revoked", "id": share}), &format!("revoked {share}"));
        }
    }
    Ok(())
}

fn row(share: &ShareView) -> String {
    let expires = share.expires_at.as_deref().unwrap_or("never");
    format!("{}  {}  {expires}", share.id, share.created_at)
}
