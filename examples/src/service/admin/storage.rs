//! `admin storage`.

use std::process::ExitCode;

use indicatif::HumanBytes;
use serde_json::json;
use vocalizer_core::api::StorageData;
use vocalizer_core::limits::Limits;
use vocalizer_core::ports::{BoxError, Space};
use vocalizer_core::service::{Collected, Fault, StorageReport, Stored};
use vocalizer_model::audio::AudioLimits;
use vocalizer_model::ports::FileProbe;
use vocalizer_store::files::FileBlobs;

use super::super::args::{StorageCommand, StorageCommandArgs};
use super::operator::{Place, Reach};
use super::print;
use super::table::{self, number, text};
use crate::output::{errln, outln};

/// Returns what a command uses.
pub(super) fn reach(command: StorageCommand) -> Reach {
    match command {
        StorageCommand::Report | StorageCommand::Verify | StorageCommand::Gc { dry_run: true } => Reach::Files,
        StorageCommand::Gc { dry_run: false } => Reach::Deleting,
    }
}

pub(super) async fn run(place: Place, args: &StorageCommandArgs) -> Result<ExitCode, BoxError> {
    match args.command {
        StorageCommand::Report => report(&place.service.report().await?, args.json),
        StorageCommand::Verify => return verify(&place, args.json).await,
        StorageCommand::Gc { dry_run } => {
            return Ok(collected(&place.service.collect(dry_run).await?, dry_run, args.json));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn report(report: &StorageReport, json: bool) {
    let kinds = [("sources", report.sources), ("mp3", report.mp3), ("flac", report.flac), ("cached", report.made)];
    if json {
        print::json_lines([StorageData::from(report)]);
        return;
    }
    let row = |(name, stored): &(&str, Stored)| {
        vec![(*name).to_owned(), stored.files.to_string(), HumanBytes(stored.bytes).to_string()]
    };
    table::print(
        &[text("FILES", 0), number("COUNT", 0), number("SIZE", 0)],
        &kinds.iter().map(row).collect::<Vec<_>>(),
    );
    let songs: u64 = report.songs.iter().sum();
    outln!("\n{songs} songs and {} in the trash, with {} different files", report.trashed, report.hashes);
    if report.orphans > 0 {
        outln!(
            "{} hashes have files and no song; `vocalizer admin storage gc --dry-run` lists those to remove",
            report.orphans
        );
    }
    if let Some(Space { free_bytes, total_bytes }) = report.space {
        outln!("{} of {} are free", HumanBytes(free_bytes), HumanBytes(total_bytes));
    }
}

async fn verify(place: &Place, json: bool) -> Result<ExitCode, BoxError> {
    let probe = FileProbe::new(AudioLimits::from(&Limits::default()));
    let scratch = FileBlobs::open(place.work.path()).await?;
    let mut faults = 0_u64;
    let mut fault = |Fault { key, what }: Fault| {
        faults += 1;
        match json {
            true => outln!("{}", json!({"file": key.to_string(), "hash": key.hash().to_string(), "fault": what})),
            false => outln!("{key} {what}"),
        }
    };
    let Stored { files, bytes } = place.service.verify(&probe, &scratch, &mut fault).await?;
    match json {
        true => outln!("{}", json!({"files": files, "bytes": bytes, "faults": faults})),
        false => outln!("{files} files read ({}), {faults} faults", HumanBytes(bytes)),
    }
    Ok(if faults == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn collected(collected: &Collected, dry_run: bool, json: bool) -> ExitCode {
    let Collected { removed, is_left, young, suspicious } = collected;
    if let Some(orphans) = suspicious {
        errln!(
            "vocalizer: {orphans} hashes have no song, which are most of the stored ones; nothing is removed: check that this is \
             the database of these files"
        );
        return ExitCode::FAILURE;
    }
    if json {
        let hashes: Vec<_> = removed.iter().map(ToString::to_string).collect();
        outln!("{}", json!({"dry_run": dry_run, "hashes": hashes, "is_left": is_left, "young": young}));
        return ExitCode::SUCCESS;
    }
    removed.iter().for_each(|hash| outln!("{hash}"));
    let count = removed.len();
    match (dry_run, is_left) {
        (true, _) => outln!("{count} hashes would be removed; {young} are too new"),
        (false, true) => outln!("the running server removes {count} hashes at its next sweep; {young} are too new"),
        (false, false) => outln!("{count} hashes removed; {young} are too new"),
    }
    ExitCode::SUCCESS
}
