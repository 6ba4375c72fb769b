//! `admin jobs`.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;
use vocalizer_core::api::JobStateView;
use vocalizer_core::ports::{BoxError, SongRecord};

use super::super::args::{JobsArgs, JobsCommand};
use super::operator::Place;
use super::print;
use super::table::{self, Column, text};
use crate::output::{errln, outln};

/// Most jobs of each status in the list.
const MOST: u32 = 10_000;

/// How often the queue is looked at.
const PAUSE: Duration = Duration::from_secs(1);

const COLUMNS: [Column; 5] =
    [text("SONG", 0), text("TITLE", 1), text("STATE", 0), text("USER", 2), text("UPLOADED", 3)];

pub(super) async fn run(place: Place, args: &JobsArgs) -> Result<ExitCode, BoxError> {
    match args.command {
        JobsCommand::List => {
            let (jobs, held) = (place.service.jobs(MOST).await?, place.service.is_holding().await?);
            show(&jobs, held, args.json);
        }
        JobsCommand::Drain { timeout_s } => return drain(&place, timeout_s.map(Duration::from_secs), args.json).await,
        JobsCommand::Resume => {
            place.service.hold_jobs(false).await?;
            match args.json {
                true => outln!("{}", json!({"held": false})),
                false => outln!("jobs are released"),
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Holds new jobs back and waits for the others.
async fn drain(place: &Place, timeout: Option<Duration>, json: bool) -> Result<ExitCode, BoxError> {
    place.service.hold_jobs(true).await?;
    let begin = place.clock.elapsed();
    let mut reported = None;
    loop {
        let unfinished = place.service.unfinished().await?;
        if unfinished == 0 {
            match json {
                true => outln!("{}", json!({"held": true, "unfinished": 0})),
                false => outln!("the queue is empty; new jobs are held back until `vocalizer admin jobs resume`"),
            }
            return Ok(ExitCode::SUCCESS);
        }
        if timeout.is_some_and(|timeout| place.clock.elapsed().saturating_sub(begin) >= timeout) {
            if json {
                outln!("{}", json!({"held": true, "unfinished": unfinished}));
            }
            errln!("vocalizer: {unfinished} songs are not split yet; jobs stay held back");
            return Ok(ExitCode::FAILURE);
        }
        if reported != Some(unfinished) && !json {
            errln!("{unfinished} songs are being split or on the queue");
            reported = Some(unfinished);
        }
        place.clock.sleep(PAUSE).await;
    }
}

fn state(record: &SongRecord, held: bool) -> &'static str {
    match record.job(held).state {
        JobStateView::Splitting => "splitting",
        JobStateView::Held => "held",
        JobStateView::InOutbox => "in the outbox",
        _ => "waiting",
    }
}

fn show(jobs: &[SongRecord], held: bool, json: bool) {
    if json {
        print::json_lines(jobs.iter().map(|job| job.job(held)));
        return;
    }
    let row = |record: &SongRecord| {
        let song = &record.song;
        vec![
            song.id().to_string(),
            song.title().to_string(),
            state(record, held).to_owned(),
            record.uploader.as_ref().map_or("-".to_owned(), ToString::to_string),
            print::time(song.uploaded_at()),
        ]
    };
    table::print(&COLUMNS, &jobs.iter().map(row).collect::<Vec<_>>());
    if held {
        outln!("\nNew jobs are held back; `vocalizer admin jobs resume` releases them.");
    }
}
