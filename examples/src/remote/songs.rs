//! Commands for songs.

use std::path::Path;

use serde_json::{Value, json};
use vocalizer_client::{Client, Part, SongFile, SongId, SongQuery, SongStatus, SongView, Upload as ToUpload};

use super::args::{Get, List, PartArg, SongArg, Upload};
use super::failure::Failure;
use super::report::{self, Waiting, chain, shown, state};
use crate::voice::Voice;

/// Songs per page.
const PAGE: u32 = 50;

pub(super) async fn upload(client: &Client, upload: &Upload, voice: Voice) -> Result<(), Failure> {
    if upload.title.is_some() && upload.files.len() > 1 {
        return Err(Failure::Usage("--title cannot be used with several files".to_owned()));
    }
    each(
        &upload.files,
        |file| file.display().to_string(),
        voice,
        async |file| {
            let title = upload.title.clone().unwrap_or_else(|| title(file));
            let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy();
            let song = ToUpload::from_path(title, file).with_progress(report::upload(voice, &name));
            let song = if upload.duplicates { song } else { song.refusing_duplicates() };
            let song = song.split_with(upload.with.with());
            let song = match client.upload(song).await {
                Ok(song) => song,
                Err(error) => {
                    let known = client.song(error.duplicate().ok_or(error)?).await?;
                    voice.note(
                        &json!({"event": "duplicate", "id": known.id}),
                        "you have this song already; --duplicates uploads it again",
                    );
                    known
                }
            };
            if !upload.wait {
                print_song(voice, &song);
                return Ok(());
            }
            // Print the song's ID before waiting, in case the wait fails.
            voice.note(&event(&song), &line(&song));
            let song = wait_for(client, &song, voice).await?;
            print_unless_json(voice, &song);
            Ok(())
        },
    )
    .await
}

/// The default title: the file name without its extension.
pub(super) fn title(file: &Path) -> String {
    file.file_stem().unwrap_or(file.as_os_str()).to_string_lossy().into_owned()
}

pub(super) async fn list(client: &Client, list: &List, voice: Voice) -> Result<(), Failure> {
    let mut query = SongQuery::new().with_limit(PAGE);
    if let Some(status) = list.status {
        query = query.with_status(status.into());
    }
    if let Some(search) = &list.search {
        query = query.search(search);
    }
    if let Some(sort) = list.sort {
        query = if list.reverse { query.sorted_descending(sort.into()) } else { query.sorted(sort.into()) };
    }
    let mut next = Some(query);
    while let Some(query) = next {
        let page = client.songs_page(&query).await?;
        page.songs.iter().for_each(|song| print_song(voice, song));
        if page.next.is_some() && !list.all {
            voice.note(&json!({"event": "more"}), "more songs exist; use --all to list them");
            break;
        }
        next = page.next;
    }
    Ok(())
}

pub(super) async fn get(client: &Client, get: &Get, voice: Voice) -> Result<(), Failure> {
    let song = match get.song {
        SongArg::Id(id) => client.song(id).await?,
        SongArg::Latest => latest(client).await?,
    };
    let mut parts = Vec::new();
    for part in &get.part {
        match part {
            PartArg::All => parts.extend(stems(client, song.id).await?),
            PartArg::Part(part) => parts.push(*part),
        }
    }
    parts.sort();
    parts.dedup();
    let unusable = |source| Failure::File { path: get.output.clone(), source };
    std::fs::create_dir_all(&get.output).map_err(unusable)?;
    for part in parts {
        let file = SongFile::from((part, get.format));
        let path = get.output.join(file.name(&song.title));
        client.download_to(song.id, file, &path).await?;
        let event = json!({"event": "file", "id": song.id, "part": part, "file": path.to_string_lossy()});
        voice.say(&event, &path.display().to_string());
    }
    Ok(())
}

/// Returns the stems that a song has; those of the contract if the server does not tell.
async fn stems(client: &Client, id: SongId) -> Result<Vec<Part>, Failure> {
    let parts = client.song_in_detail(id).await?.parts.unwrap_or_default();
    let stems: Vec<Part> =
        parts.iter().filter_map(|part| part.parse().ok()).filter(|part: &Part| part.stem().is_some()).collect();
    Ok(if stems.is_empty() { vec![Part::Drums, Part::Bass, Part::Other, Part::Vocals] } else { stems })
}

async fn latest(client: &Client) -> Result<SongView, Failure> {
    let query = SongQuery::new().with_status(SongStatus::Split).with_limit(1);
    let newest = client.songs_page(&query).await?.songs.into_iter().next();
    newest.ok_or_else(|| Failure::Check("there is no split song yet".to_owned()))
}

pub(super) async fn remove(client: &Client, ids: &[SongId], voice: Voice) -> Result<(), Failure> {
    each(ids, ToString::to_string, voice, async |id| {
        client.delete(*id).await?;
        voice.say(&json!({"event": "deleted", "id": id}), &format!("deleted {id}"));
        Ok(())
    })
    .await
}

pub(super) async fn retry(client: &Client, id: SongId, voice: Voice) -> Result<(), Failure> {
    print_song(voice, &client.retry(id).await?);
    Ok(())
}

pub(super) async fn cancel(client: &Client, id: SongId, voice: Voice) -> Result<(), Failure> {
    print_song(voice, &client.cancel(id).await?);
    Ok(())
}

pub(super) async fn wait(client: &Client, id: SongId, voice: Voice) -> Result<(), Failure> {
    let song = client.song(id).await?;
    print_unless_json(voice, &wait_for(client, &song, voice).await?);
    Ok(())
}

/// Waits for a song and reports its progress.
pub(super) async fn wait_for(client: &Client, song: &SongView, voice: Voice) -> Result<SongView, Failure> {
    let mut waiting = Waiting::new(voice, &song.title);
    let waited = client.wait_with(song.id, |song| waiting.look(song)).await;
    drop(waiting);
    Ok(waited?)
}

/// Prints the final status, except in JSON mode, where the events already include it.
fn print_unless_json(voice: Voice, song: &SongView) {
    if voice != Voice::Json {
        print_song(voice, song);
    }
}

pub(super) fn print_song(voice: Voice, song: &SongView) {
    voice.say(&event(song), &line(song));
}

fn event(song: &SongView) -> Value {
    json!({"event": "song", "song": song})
}

/// Formats a line of the list.
fn line(song: &SongView) -> String {
    let reason = song.failure_reason.as_ref().map(|reason| format!(" ({})", shown(reason))).unwrap_or_default();
    format!("{}  {:<14}  {}{reason}", song.id, state(song), shown(&song.title))
}

/// Applies an action to each item and continues after failures. With a single item, returns its error.
pub(super) async fn each<T>(
    all: &[T],
    name: impl Fn(&T) -> String,
    voice: Voice,
    mut action: impl AsyncFnMut(&T) -> Result<(), Failure>,
) -> Result<(), Failure> {
    if let [single] = all {
        return action(single).await;
    }
    let mut failed = 0;
    for one in all {
        if let Err(failure) = action(one).await {
            voice.error(&format!("{}: {}", name(one), chain(&failure)));
            failed += 1;
        }
    }
    if failed == 0 { Ok(()) } else { Err(Failure::Some { failed, all: all.len() }) }
}
