//! The trash.

use std::pin::pin;

use futures_util::TryStreamExt as _;
use serde_json::json;
use vocalizer_client::{Client, TrashedSongView};

use super::args::TrashCommand;
use super::failure::Failure;
use super::report::shown;
use super::songs::{each, print_song};
use crate::voice::Voice;

pub(super) async fn run(client: &Client, command: &TrashCommand, voice: Voice) -> Result<(), Failure> {
    match command {
        TrashCommand::List => {
            let mut pages = pin!(client.trash_pages());
            while let Some(songs) = pages.try_next().await? {
                for song in songs {
                    voice.say(&json!({"event": "trashed", "trashed": song}), &row(&song));
                }
            }
            Ok(())
        }
        TrashCommand::Restore { ids } => {
            each(ids, ToString::to_string, voice, async |id| {
                print_song(voice, &client.restore(*id).await?);
                Ok(())
            })
            .await
        }
        TrashCommand::Delete { ids } => {
            each(ids, ToString::to_string, voice, async |id| {
                client.delete_for_good(*id).await?;
                voice.say(&json!({"event": "deleted", "id": id}), &format!("deleted {id} for good"));
                Ok(())
            })
            .await
        }
    }
}

fn row(trashed: &TrashedSongView) -> String {
    let ends = trashed.ends_at.as_deref().unwrap_or("never");
    format!("{}  {}  until {ends}  {}", trashed.song.id, trashed.trashed_at, shown(&trashed.song.title))
}
