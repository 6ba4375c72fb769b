//! `admin songs`.

use std::process::ExitCode;

use indicatif::HumanBytes;
use serde_json::json;
use vocalizer_core::api::AdminSongView;
use vocalizer_core::ports::{BoxError, Cursor, SongRecord, SongSearch};
use vocalizer_core::service::{Files, ServiceError};
use vocalizer_core::song::SongId;

use super::super::args::{SongsArgs, SongsCommand};
use super::operator::{Place, Reach};
use super::print;
use super::table::{self, Column, number, text};
use super::users::named;
use crate::output::{errln, outln};

/// Songs per query.
const PAGE: u32 = 1000;

const COLUMNS: [Column; 6] =
    [text("ID", 0), text("TITLE", 0), text("STATUS", 1), text("USER", 2), number("SIZE", 3), text("UPLOADED", 4)];

/// Returns what a command uses.
pub(super) fn reach(command: &SongsCommand) -> Reach {
    match command {
        SongsCommand::List { .. } | SongsCommand::Requeue { .. } => Reach::Database,
        SongsCommand::Delete { .. } => Reach::Deleting,
    }
}

pub(super) async fn run(place: Place, args: &SongsArgs) -> Result<ExitCode, BoxError> {
    let mut failures = 0_u64;
    match &args.command {
        SongsCommand::List { user, status, limit } => {
            let user = match user {
                Some(name) => Some(named(name, place.service.user(name).await)?.id),
                None => None,
            };
            let search = SongSearch { user, status: *status, ..SongSearch::default() };
            show(&list(&place, search, limit.unwrap_or(u32::MAX)).await?, args.json);
        }
        SongsCommand::Delete { ids } => {
            for &id in ids {
                match place.service.delete_song(id).await {
                    Ok(files) => deleted(id, files, args.json),
                    Err(error) => failures += u64::from(refused(id, error)?),
                }
            }
        }
        SongsCommand::Requeue { ids } => {
            for &id in ids {
                match place.service.requeue(id).await {
                    Ok(song) if args.json => {
                        outln!("{}", json!({"id": id.to_string(), "status": song.status().kind().name()}));
                    }
                    Ok(_) => outln!("{id}: its job is requested"),
                    Err(error) => failures += u64::from(refused(id, error)?),
                }
            }
        }
    }
    Ok(if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn deleted(id: SongId, files: Files, json: bool) {
    let (name, what) = match files {
        Files::Deleted => ("deleted", "its files are deleted"),
        Files::Shared => ("shared", "other songs need its files"),
        Files::Left => ("left", "the running server deletes its files at its next sweep"),
    };
    match json {
        true => outln!("{}", json!({"id": id.to_string(), "files": name})),
        false => outln!("{id}: deleted; {what}"),
    }
}

/// Reports a problem with one song; others fail the command.
fn refused(id: SongId, error: ServiceError) -> Result<bool, ServiceError> {
    match error {
        ServiceError::NotFound { .. } | ServiceError::Conflict { .. } => {
            errln!("vocalizer: {id}: {error}");
            Ok(true)
        }
        error => Err(error),
    }
}

async fn list(place: &Place, mut search: SongSearch, limit: u32) -> Result<Vec<SongRecord>, ServiceError> {
    let mut songs: Vec<SongRecord> = Vec::new();
    loop {
        search.limit = limit.saturating_sub(u32::try_from(songs.len()).unwrap_or(u32::MAX)).min(PAGE);
        search.after = songs.last().map(|record| Cursor::of(&record.song));
        let mut page = place.service.songs(&search).await?;
        let is_last = page.len() < PAGE as usize;
        songs.append(&mut page);
        if is_last {
            return Ok(songs);
        }
    }
}

fn show(songs: &[SongRecord], json: bool) {
    if json {
        print::json_lines(songs.iter().map(AdminSongView::from));
        return;
    }
    let row = |record: &SongRecord| {
        let song = &record.song;
        vec![
            song.id().to_string(),
            song.title().to_string(),
            song.status().kind().name().to_owned(),
            record.uploader.as_ref().map_or("-".to_owned(), ToString::to_string),
            record.size_bytes.map_or("-".to_owned(), |bytes| HumanBytes(bytes).to_string()),
            print::time(song.uploaded_at()),
        ]
    };
    table::print(&COLUMNS, &songs.iter().map(row).collect::<Vec<_>>());
}
