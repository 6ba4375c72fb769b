//! `vocalizer separate`.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use serde_json::json;
use vocalizer_core::causes::chain;
use vocalizer_model::audio::{AudioFormat, Bitrate};
use vocalizer_model::{
    Cancel, Clip, Complement, ComputeOptions, Error, Report, SeparationOptions, SplitOptions, interfaces, set_threads,
    split_file_with,
};

use super::args::{ClipArg, FormatArg, OtherMethod, RateArg, Separate};
use super::inputs::{self, Input};
use super::report::SongReport;
use crate::exit::Exit;
use crate::voice::Voice;
use crate::{allocator, model};

pub(crate) fn run(args: &Separate) -> Exit {
    allocator::return_freed_memory();
    let voice = Voice::choose(args.json);
    match separate(args, voice) {
        Ok(exit) => exit,
        Err(e) => {
            voice.input_error(None, &chain(&e));
            match e {
                Error::Options(_) => Exit::Usage,
                Error::Cancelled => Exit::Interrupted,
                Error::Io { .. } => Exit::Usage,
                Error::Device { .. } => Exit::Device,
                _ => Exit::Weights,
            }
        }
    }
}

fn separate(args: &Separate, voice: Voice) -> Result<Exit, Error> {
    let options = options(args)?;
    if let Some(threads) = args.threads {
        set_threads(threads.into())?;
    }
    let (songs, not_inputs) = inputs::collect(&args.inputs, &args.output);
    for bad in &not_inputs {
        voice.input_error(Some(&bad.path), &format!("{}: {}", bad.path.display(), bad.why));
    }
    let mut profiles = args.profile_json.as_deref().map(|path| ProfileFile::create(path, &songs)).transpose()?;
    let mut failed = not_inputs.len();
    let mut done = 0;
    if !songs.is_empty() {
        let compute = ComputeOptions::default()
            .with_device(args.device.clone())
            .with_precision(args.precision)
            .with_batch(args.batch.map(usize::from));
        let model = model::load(&args.model, &compute, voice)?;
        // Report the chosen device if this build supports GPUs.
        if !interfaces().is_empty() {
            model.remarks().iter().for_each(|remark| voice.remark(remark));
        }
        let cancel = watch_for_interrupt(voice);
        for song in &songs {
            let mut report = SongReport::new(voice, &song.file);
            match split_file_with(&model, &song.file, &song.out_dir, &options, &mut report, &cancel) {
                Ok(split) => {
                    done += 1;
                    report.done(&split);
                    if let Some(Err(e)) = profiles.as_mut().map(|profiles| profiles.add(&song.file, &split)) {
                        voice.input_error(None, &chain(&e));
                        failed += 1;
                        profiles = None;
                    }
                }
                Err(e @ (Error::Cancelled | Error::Options(_) | Error::Device { .. })) => {
                    report.failed(&chain(&e));
                    return Ok(match e {
                        Error::Cancelled => Exit::Interrupted,
                        Error::Device { .. } => Exit::Device,
                        _ => Exit::Usage,
                    });
                }
                Err(e) => {
                    failed += 1;
                    report.failed(&chain(&e));
                }
            }
        }
    }
    Ok(match (done, failed) {
        (_, 0) => Exit::Done,
        (0, _) => Exit::AllFailed,
        _ => Exit::Failed,
    })
}

/// Handles interrupts: the first stops after the current segment, a second exits at once. Unfinished files have temporary
/// names.
fn watch_for_interrupt(voice: Voice) -> Cancel {
    let cancel = Cancel::default();
    let interrupted = cancel.clone();
    let handler = ctrlc::set_handler(move || {
        if interrupted.is_cancelled() {
            std::process::exit(Exit::Interrupted as i32);
        }
        interrupted.cancel();
    });
    if let Err(e) = handler {
        voice.remark(&format!("interrupts are not handled: {e}"));
    }
    cancel
}

fn options(args: &Separate) -> Result<SplitOptions, Error> {
    let bitrate = match args.vbr {
        Some(quality) => Bitrate::Vbr(quality),
        None => Bitrate::Cbr(args.bitrate),
    };
    let mut separation = SeparationOptions::default();
    separation.overlap = args.overlap;
    separation.segment_s = args.segment;
    separation.shifts = args.shifts;
    separation.seed = args.seed;
    let mut options = SplitOptions::default();
    options.separation = separation;
    options.stems.clone_from(&args.stems);
    options.two_stems = args.two_stems.map(|stem| {
        let complement = match args.other_method {
            OtherMethod::Add => Complement::Add,
            OtherMethod::Minus => Complement::Minus,
        };
        (stem, complement)
    });
    options.format = match args.format {
        FormatArg::Mp3 => AudioFormat::Mp3(bitrate),
        FormatArg::Flac => AudioFormat::Flac,
        FormatArg::Wav => AudioFormat::Wav16,
        FormatArg::Wav24 => AudioFormat::Wav24,
        FormatArg::Wavf32 => AudioFormat::WavF32,
    };
    options.clip = args.clip.map(|clip| match clip {
        ClipArg::Rescale => Clip::Rescale,
        ClipArg::Clamp => Clip::Clamp,
        ClipArg::None => Clip::None,
    });
    options.keep_rate = args.rate == RateArg::Source;
    options.profile = args.profile_json.is_some();
    options.check()?;
    Ok(options)
}

/// The profile's output file. Created before the first song, so that an error is reported at once.
struct ProfileFile<'a> {
    path: &'a Path,
    file: File,
}

impl<'a> ProfileFile<'a> {
    fn create(path: &'a Path, songs: &[Input]) -> Result<Self, Error> {
        let real = |path: &Path| path.canonicalize().ok();
        if real(path).is_some_and(|path| songs.iter().any(|song| real(&song.file).as_ref() == Some(&path))) {
            return Err(Error::Options(format!(
                "{} is an input file; give the profile a different path",
                path.display()
            )));
        }
        let file = File::create(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
        Ok(Self { path, file })
    }

    fn add(&mut self, input: &Path, split: &Report) -> Result<(), Error> {
        let line = json!({"input": input.to_string_lossy(), "song_s": split.seconds, "profile": split.profile});
        writeln!(self.file, "{line}").map_err(|source| Error::Io { path: self.path.to_owned(), source })
    }
}
