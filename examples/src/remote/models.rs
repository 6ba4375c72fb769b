//! Models, and splitting again.

use serde_json::json;
use vocalizer_client::{Client, ModelView, SongView, SplitWith};

use super::args::{SplitArgs, WithArgs};
use super::failure::Failure;
use super::report::shown;
use super::songs::{print_song, wait_for};
use crate::voice::Voice;

impl WithArgs {
    /// Converts to what the client takes.
    pub(super) fn with(&self) -> SplitWith {
        let with = self.model.as_ref().map_or_else(SplitWith::default, SplitWith::model);
        with.with_stems(self.stems.iter().copied())
    }
}

pub(super) async fn list(client: &Client, voice: Voice) -> Result<(), Failure> {
    for model in client.models().await? {
        voice.say(&json!({"event": "model", "model": model}), &row(&model));
    }
    Ok(())
}

pub(super) async fn split(client: &Client, args: &SplitArgs, voice: Voice) -> Result<(), Failure> {
    let mut song: SongView = client.split_again(args.id, &args.with.with()).await?;
    if args.wait {
        song = wait_for(client, &song, voice).await?;
    }
    print_song(voice, &song);
    Ok(())
}

fn row(model: &ModelView) -> String {
    let ModelView { name, stems, licence, has_worker, seconds_per_minute, .. } = model;
    let time = seconds_per_minute.map(|seconds| format!("  {seconds} s per minute")).unwrap_or_default();
    let worker = if *has_worker { "" } else { "  no worker" };
    let licence = licence.as_deref().unwrap_or("licence unknown");
    shown(&format!("{name:<24}  {}  {licence}{time}{worker}", stems.join(",")))
}
