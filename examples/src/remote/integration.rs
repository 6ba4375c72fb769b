//! `vocalizer remote integration`: an end-to-end test of a server.

use std::path::Path;

use serde_json::json;
use vocalizer_client::{
    Archive, Client, ErrorCode, Format, Part, Secret, SongFile, SongId, SongStatus, SongView, Upload,
};

use super::audio::{looks_like, looks_like_zip, tone};
use super::connection::Connection;
use super::failure::Failure;
use super::report::{self, chain};
use super::songs::{title, wait_for};
use crate::voice::Voice;

/// The download limit of an integration run.
const MAX_FILE_BYTES: u64 = 1024 * 1024 * 1024;

const STEMS: [Part; 4] = [Part::Drums, Part::Bass, Part::Other, Part::Vocals];

/// Runs the steps in order and stops at the first failure.
pub(super) async fn run(connection: &Connection, song: Option<&Path>, voice: Voice) -> Result<(), Failure> {
    let client = connection.anonymous()?;
    let (title, bytes) = song_bytes(song)?;
    let username = format!("integration-{:08x}", getrandom::u32()?);
    let password = Secret::new(format!("{:016x}{:016x}", getrandom::u64()?, getrandom::u64()?));
    let steps = Steps { voice };

    steps.step(&format!("register {username}"), client.register(&username, &password)).await?;
    let mine = steps.step("upload", upload(&client, &title, &bytes, voice)).await?;
    steps.step("wait", wait_for(&client, &mine, voice)).await?;
    steps.step("download the original song", same(&client, mine.id, &bytes)).await?;
    for part in STEMS {
        steps.step(&format!("download {part}.mp3"), audio(&client, mine.id, part, Format::Mp3)).await?;
    }
    let karaoke = (Part::Accompaniment, Format::Mp3);
    steps.step("download accompaniment.mp3", audio(&client, mine.id, karaoke.0, karaoke.1)).await?;
    for format in [Format::Wav, Format::Flac] {
        steps.step(&format!("download vocals.{format}"), audio(&client, mine.id, Part::Vocals, format)).await?;
    }
    steps.step("download stems.zip", zip(&client, mine.id)).await?;
    steps.step("log out", client.logout()).await?;
    steps.step("the song is hidden", hidden(&client, mine.id)).await?;

    let open = steps.step("upload anonymously", upload(&client, &title, &bytes, voice)).await?;
    steps.step("the song is public", visible(&connection.anonymous()?, &open)).await?;
    steps.step("wait for it", wait_for(&client, &open, voice)).await?;
    steps.step("delete it", delete(&client, open.id)).await?;
    steps.step("log in again", client.login(&username, &password)).await?;
    steps.step("download from the first song", audio(&client, mine.id, Part::Vocals, Format::Mp3)).await?;
    steps.step("delete the first song", delete(&client, mine.id)).await?;
    steps.step("log out again", client.logout()).await
}

struct Steps {
    voice: Voice,
}

impl Steps {
    async fn step<T, E>(&self, name: &str, done: impl Future<Output = Result<T, E>>) -> Result<T, Failure>
    where
        Failure: From<E>,
    {
        let done = done.await.map_err(Failure::from);
        let outcome = if done.is_ok() { "ok" } else { "FAILED" };
        let error = done.as_ref().err().map(|failure| chain(failure));
        let event = json!({"event": "step", "step": name, "ok": done.is_ok(), "error": error});
        self.voice.say(&event, &format!("{name:<32} {outcome}"));
        done
    }
}

fn song_bytes(song: Option<&Path>) -> Result<(String, Vec<u8>), Failure> {
    match song {
        Some(path) => {
            let bytes = std::fs::read(path).map_err(|source| Failure::File { path: path.to_owned(), source })?;
            Ok((title(path), bytes))
        }
        None => Ok(("A tone".to_owned(), tone(getrandom::u32()?))),
    }
}

async fn upload(client: &Client, title: &str, bytes: &[u8], voice: Voice) -> Result<SongView, Failure> {
    let upload = Upload::from_bytes(title, "song", bytes.to_vec());
    Ok(client.upload(upload.with_progress(report::upload(voice, title))).await?)
}

/// Checks that the downloaded original equals the upload.
async fn same(client: &Client, id: SongId, bytes: &[u8]) -> Result<(), Failure> {
    let downloaded = client.download_bytes(id, Part::Song, MAX_FILE_BYTES).await?;
    check(downloaded == bytes, "the downloaded bytes differ from the upload")
}

async fn audio(client: &Client, id: SongId, part: Part, format: Format) -> Result<(), Failure> {
    let bytes = client.download_bytes(id, (part, format), MAX_FILE_BYTES).await?;
    check(looks_like(&bytes, format), &format!("{part}.{format} is not a {format} file: {} bytes", bytes.len()))
}

async fn zip(client: &Client, id: SongId) -> Result<(), Failure> {
    let bytes = client.download_bytes(id, SongFile::stems(Archive::Zip, Format::Mp3), MAX_FILE_BYTES).await?;
    check(looks_like_zip(&bytes), &format!("stems.zip is not a ZIP archive: {} bytes", bytes.len()))
}

/// Checks that every request about a song without access returns "not found".
async fn hidden(client: &Client, id: SongId) -> Result<(), Failure> {
    let answers = [
        client.song(id).await.map(drop),
        client.download(id, Part::Song).await.map(drop),
        client.download(id, Part::Vocals).await.map(drop),
        client.delete(id).await,
    ];
    for answer in answers {
        match answer {
            Err(error) if error.has_code(ErrorCode::NotFound) => {}
            Err(error) => return Err(error.into()),
            Ok(()) => return check(false, "a request for the hidden song succeeded"),
        }
    }
    check(client.songs().await?.iter().all(|song| song.id != id), "the hidden song is in the list")
}

async fn visible(client: &Client, song: &SongView) -> Result<(), Failure> {
    check(song.uploader_id.is_none(), "the song has an owner")?;
    check(client.songs().await?.iter().any(|listed| listed.id == song.id), "the song is not in the list")
}

async fn delete(client: &Client, id: SongId) -> Result<(), Failure> {
    client.delete(id).await?;
    match client.song(id).await {
        Err(error) if error.has_code(ErrorCode::NotFound) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(song) => check(song.status == SongStatus::NotFound, "the deleted song still exists"),
    }
}

fn check(holds: bool, why: &str) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure::Check(why.to_owned())) }
}
