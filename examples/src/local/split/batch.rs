//! Splits the songs of a run, one after the other or several at once.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use vocalizer_core::causes::chain;
use vocalizer_model::{Cancel, Error, Model, Report, SplitOptions, interfaces, split_file_with, weights};

use super::manifest::{FileEntry, ModelId, SplitResult, Warning};
use super::places::{Claim, Place, Places, file_names};
use super::profile_file::ProfileFile;
use super::report::{Detail, SongReport};
use super::separate_args::SplitArgs;
use super::source::{Song, hash_file};
use super::summary::Tally;
use super::{options, stdio};
use crate::exit::Exit;
use crate::model;
use crate::paths::shown;
use crate::voice::Voice;

/// A run over songs.
pub(super) struct Batch<'a> {
    args: &'a SplitArgs,
    voice: Voice,
    detail: Detail,
    options: SplitOptions,
    /// The options of earlier results that need not be made again, as manifests record them.
    accepted: Vec<BTreeMap<String, Value>>,
    model_id: Option<ModelId>,
    /// Loaded when the first song needs it.
    model: Mutex<Option<Arc<Model>>>,
    places: Mutex<Places>,
    profile: Mutex<Option<ProfileFile<'a>>>,
    tally: Mutex<Tally>,
    cancel: Cancel,
    /// Whether songs that are done are left out.
    skips: bool,
    /// Whether a song that another run is splitting is left for later. It is a failure otherwise.
    waits: bool,
    fail_fast: bool,
}

/// What became of a song.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    Skipped,
    /// The song is being split into its folder already.
    Busy,
    Failed,
    /// The run cannot continue.
    Stop(Exit),
}

impl<'a> Batch<'a> {
    /// # Errors
    ///
    /// [`Error::Options`] for wrong options.
    pub(super) fn new(args: &'a SplitArgs, voice: Voice, cancel: Cancel) -> Result<Self, Error> {
        let options = options::of(args)?;
        let model_id = identify_model(&args.model);
        let name = model_id.as_ref().map_or(&*args.model, |id| &id.name);
        let ext = options.format.extension();
        let accepted = args.network.accepted_precisions().into_iter();
        let mut places = Places::new(&args.output, args.out_template.clone(), args.overwrite, name, ext);
        places.may_write(options.mix_minus_name());
        places.may_write(model::stems(&args.model).iter().flatten().flat_map(file_names));
        Ok(Self {
            args,
            voice,
            detail: Detail { quiet: args.quiet, verbose: args.verbose, lists_files: true },
            accepted: accepted.map(|precision| options::recorded(&options, &args.network, precision)).collect(),
            options,
            model_id,
            model: Mutex::default(),
            places: Mutex::new(places),
            profile: Mutex::default(),
            tally: Mutex::new(Tally::new(0)),
            cancel,
            skips: false,
            waits: false,
            fail_fast: false,
        })
    }

    /// Leaves out songs that are done.
    pub(super) fn skipping(self, skips: bool) -> Self {
        Self { skips, ..self }
    }

    /// Stops at the first failure.
    pub(super) fn failing_fast(self, fail_fast: bool) -> Self {
        Self { fail_fast, ..self }
    }

    /// Writes profiles to a file.
    pub(super) fn with_profile(self, profile: Option<ProfileFile<'a>>) -> Self {
        Self { profile: Mutex::new(profile), ..self }
    }

    /// Counts inputs that failed before.
    pub(super) fn counting(self, tally: Tally) -> Self {
        Self { tally: Mutex::new(tally), ..self }
    }

    /// For a run without end: a song may have the place of another song of the run if it is free by then, and a song that is being split
    /// already is left for later.
    pub(super) fn without_end(self) -> Self {
        lock(&self.places).reuse();
        Self { waits: true, ..self }
    }

    pub(super) fn exit(&self) -> Exit {
        lock(&self.tally).exit()
    }

    pub(super) fn summarise(&self) {
        lock(&self.tally).print(self.voice);
    }

    /// Keeps the files of songs from being replaced.
    pub(super) fn protect(&self, songs: &[Song]) {
        lock(&self.places).protect(songs.iter());
    }

    /// Splits the songs. Returns the exit code.
    pub(super) fn run(&self, songs: &[Song]) -> Exit {
        self.protect(songs);
        let next = AtomicUsize::new(0);
        let jobs = usize::from(self.args.jobs).min(songs.len());
        let stopped = self.work(jobs, || songs.get(next.fetch_add(1, Ordering::Relaxed)), |_, _| {});
        stopped.unwrap_or_else(|| self.exit())
    }

    /// Splits the songs that `next` returns, as many at once as there are jobs, until it returns none or the run cannot continue. Returns
    /// the exit code of a run that cannot continue.
    pub(super) fn work<S: Borrow<Song>>(
        &self,
        jobs: usize,
        next: impl Fn() -> Option<S> + Sync,
        ended: impl Fn(&Song, Outcome) + Sync,
    ) -> Option<Exit> {
        let stop: Mutex<Option<Option<Exit>>> = Mutex::new(None);
        let work = || {
            while lock(&stop).is_none() {
                let Some(song) = next() else { return };
                let song: &Song = song.borrow();
                let outcome = self.song(song);
                match outcome {
                    Outcome::Stop(exit) => *lock(&stop) = Some(Some(exit)),
                    Outcome::Failed if self.fail_fast => _ = lock(&stop).get_or_insert(None),
                    _ => {}
                }
                ended(song, outcome);
            }
        };
        match jobs {
            0 | 1 => work(),
            jobs => std::thread::scope(|scope| (0..jobs).for_each(|_| _ = scope.spawn(work))),
        }
        stop.into_inner().unwrap_or_else(PoisonError::into_inner).flatten()
    }

    /// Splits one song, and counts it.
    fn song(&self, song: &Song) -> Outcome {
        let outcome = self.place_and_split(song);
        let mut tally = lock(&self.tally);
        match outcome {
            Outcome::Done => tally.done += 1,
            Outcome::Skipped => tally.skipped += 1,
            Outcome::Busy => {}
            Outcome::Failed | Outcome::Stop(_) => tally.failed += 1,
        }
        outcome
    }

    fn place_and_split(&self, song: &Song) -> Outcome {
        let report = SongReport::new(self.voice, self.detail, song);
        let found = lock(&self.places).find(song);
        let mut place = match found {
            Ok(place) => place,
            Err(e) => {
                report.failed(&format!("cannot read {}: {e}", shown(&song.input)));
                return Outcome::Failed;
            }
        };
        if self.earlier_result(&place).is_some() {
            return self.skip(&place, report);
        }
        let model = match self.model() {
            Ok(model) => model,
            Err(e) => {
                report.failed(&chain(&e));
                return Outcome::Stop(exit_of_setup(&e));
            }
        };
        let outcome = match self.claim(song, &mut place) {
            // Another run has just finished it.
            Ok(Claim::Taken) if self.earlier_result(&place).is_some() => self.skip(&place, report),
            Ok(Claim::Taken) => self.split_into_place(song, &model, &mut place, report),
            Ok(_) if self.waits => Outcome::Busy,
            Ok(_) => {
                let home = shown(&place.home);
                let what = "another run is writing there; wait until it has finished, or use another folder (-o)";
                report.failed(&format!("{}: cannot use {home}: {what}", shown(&song.input)));
                Outcome::Failed
            }
            Err(e) => self.failed(song, &e, report),
        };
        if outcome != Outcome::Done {
            self.in_turn(|| place.release());
        }
        outcome
    }

    fn skip(&self, place: &Place, report: SongReport<'_>) -> Outcome {
        self.in_turn(|| place.refresh());
        let done = self.earlier_result(place).map(|done| paths(done, &place.home));
        report.skipped(place, &done.unwrap_or_default());
        Outcome::Skipped
    }

    /// Returns what an earlier run made of the song, if this run would make the same or, with less precision, nearly the same.
    fn earlier_result<'p>(&self, place: &'p Place) -> Option<&'p SplitResult> {
        let model_id = self.model_id.as_ref().filter(|_| self.skips)?;
        let results = &place.earlier.as_ref()?.results;
        let is_wanted = |one: &&SplitResult| {
            let is_refused = self.options.read.strict && one.is_of_damaged_song();
            let is_like = self.accepted.iter().any(|options| one.is_like(model_id, options));
            is_like && !is_refused && one.is_complete(&place.home)
        };
        results.iter().find(is_wanted)
    }

    fn split_into_place(&self, song: &Song, model: &Model, place: &mut Place, mut report: SongReport<'_>) -> Outcome {
        let (split, files) = match self.split_and_move(song, model, place, &mut report) {
            Ok(split) => split,
            Err(e) => return self.failed(song, &e, report),
        };
        files.iter().for_each(|file| report.placed(file));
        let recorded = self.result(place, &split, &files).and_then(|result| self.in_turn(|| place.record(result)));
        if let Err(e) = recorded {
            report.failed(&format!("cannot write the manifest in {}: {e}", shown(&place.home)));
            return Outcome::Failed;
        }
        report.done(&split, Some(place), &files);
        lock(&self.tally).song_s += split.seconds;
        self.add_profile(song, &split)
    }

    /// Takes the place, or another one if another song has taken it meanwhile.
    fn claim(&self, song: &Song, place: &mut Place) -> Result<Claim, Error> {
        let mut places = lock(&self.places);
        loop {
            match places.claim(place) {
                Ok(Claim::Lost) => {
                    place.release();
                    *place = places.find(song).map_err(|source| Error::Io { path: song.file.clone(), source })?;
                }
                claimed => return claimed.map_err(|source| Error::Io { path: place.home.clone(), source }),
            }
        }
    }

    /// Changes a manifest. Songs may share one, so threads take turns.
    fn in_turn<T>(&self, change: impl FnOnce() -> T) -> T {
        let _turn = lock(&self.places);
        change()
    }

    /// Splits a song and moves the stems to their places.
    fn split_and_move(
        &self,
        song: &Song,
        model: &Model,
        place: &Place,
        report: &mut SongReport<'_>,
    ) -> Result<(Report, Vec<PathBuf>), Error> {
        let failed = |path: &Path, source| Error::Io { path: path.to_owned(), source };
        if place.layout.pattern == "{stem}.{ext}" {
            let split = split_file_with(model, &song.file, &place.home, &self.options, report, &self.cancel)?;
            let files = split.files.clone();
            return Ok((split, files));
        }
        let made = tempfile::Builder::new().prefix(".vocalizer-").tempdir_in(&place.home);
        let temporary = made.map_err(|e| failed(&place.home, e))?;
        let split = split_file_with(model, &song.file, temporary.path(), &self.options, report, &self.cancel)?;
        let target = |from: &PathBuf| {
            let stem = from.file_stem().unwrap_or_default().to_string_lossy();
            place.home.join(place.layout.file(&stem, self.options.format.extension()))
        };
        let files: Vec<_> = split.files.iter().map(target).collect();
        if let Some(file) = files.iter().find(|file| place.is_of_other_song(file)) {
            let why = "it is a stem of another song; choose an --out-template with a folder for each song";
            return Err(failed(file, io::Error::new(io::ErrorKind::AlreadyExists, why)));
        }
        for (from, to) in split.files.iter().zip(&files) {
            let folder = to.parent().unwrap_or(&place.home);
            std::fs::create_dir_all(folder).map_err(|e| failed(folder, e))?;
            std::fs::rename(from, to).map_err(|e| failed(to, e))?;
        }
        Ok((split, files))
    }

    /// Splits one song into one file and prints it on standard output.
    pub(super) fn print(&mut self, song: &Song) -> Outcome {
        self.detail.lists_files = false;
        let mut report = SongReport::new(self.voice, self.detail, song);
        let split = self.model().and_then(|model| {
            let io = |source| Error::Io { path: std::env::temp_dir(), source };
            let temporary = tempfile::Builder::new().prefix("vocalizer-").tempdir().map_err(io)?;
            let split =
                split_file_with(&model, &song.file, temporary.path(), &self.options, &mut report, &self.cancel)?;
            let printed = split.files.iter().try_for_each(|file| stdio::print_file(file));
            printed.map_err(|source| Error::Io { path: "standard output".into(), source })?;
            Ok(split)
        });
        match split {
            Ok(split) => {
                report.done(&split, None, &[]);
                Outcome::Done
            }
            Err(e @ (Error::Weights(_) | Error::WeightsFile { .. })) => {
                report.failed(&chain(&e));
                Outcome::Stop(Exit::Weights)
            }
            Err(e) => self.failed(song, &e, report),
        }
    }

    /// Loads the model, once.
    ///
    /// # Errors
    ///
    /// If the weights cannot be used, or the device.
    pub(super) fn model(&self) -> Result<Arc<Model>, Error> {
        let mut loaded = lock(&self.model);
        if let Some(model) = &*loaded {
            return Ok(model.clone());
        }
        let compute = self.args.network.compute().with_stems(&self.options.needed_stems());
        if self.args.accept_licence {
            model::accept_licence(&self.args.model)?;
        }
        let model = Arc::new(model::load(&self.args.model, &compute, self.voice)?);
        // Report the chosen device if this build supports GPUs.
        if !interfaces().is_empty() && !self.detail.quiet {
            model.remarks().iter().for_each(|remark| self.voice.remark(remark));
        }
        *loaded = Some(model.clone());
        Ok(model)
    }

    fn failed(&self, song: &Song, error: &Error, report: SongReport<'_>) -> Outcome {
        match error {
            // The path of the copy says nothing.
            Error::Decode { source, .. } if song.copy.is_some() => {
                report.failed(&format!("cannot read {}: {}", shown(&song.input), chain(source)));
            }
            _ => report.failed(&crate::paths::plain(&chain(error))),
        }
        match error {
            Error::Cancelled => Outcome::Stop(Exit::Interrupted),
            Error::Device { .. } => Outcome::Stop(Exit::Device),
            Error::Options(_) => Outcome::Stop(Exit::Usage),
            _ => Outcome::Failed,
        }
    }

    fn add_profile(&self, song: &Song, split: &Report) -> Outcome {
        let mut profile = lock(&self.profile);
        if let Some(Err(e)) = profile.as_mut().map(|profile| profile.add(&song.input, split)) {
            self.voice.input_error(None, &chain(&e));
            *profile = None;
            lock(&self.tally).failed += 1;
        }
        Outcome::Done
    }

    /// Describes a result for the manifest.
    fn result(&self, place: &Place, split: &Report, files: &[PathBuf]) -> io::Result<SplitResult> {
        let entries = files.iter().map(|file| {
            let below = file.strip_prefix(&place.home).unwrap_or(file);
            let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
            Ok(FileEntry { path: parts.join("/"), size_bytes: std::fs::metadata(file)?.len() })
        });
        let warnings =
            split.warnings.iter().map(|one| Warning { code: one.code().to_owned(), message: one.to_string() });
        let gains = split.gains.iter().filter(|(_, gain)| *gain != split.gain);
        Ok(SplitResult {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            model: self
                .model_id
                .clone()
                .unwrap_or_else(|| ModelId { name: self.args.model.clone(), weights_sha256: Vec::new() }),
            options: options::recorded(&self.options, &self.args.network, split.precision),
            rate_hz: split.rate_hz,
            frames: split.frames,
            gain: f64::from(split.gain),
            gains: gains.map(|(stem, gain)| (stem.clone(), f64::from(*gain))).collect(),
            warnings: warnings.collect(),
            files: entries.collect::<io::Result<_>>()?,
        })
    }
}

/// Returns the exit code for an error before the first song.
pub(crate) fn exit_of_setup(error: &Error) -> Exit {
    match error {
        Error::Options(_) | Error::Io { .. } => Exit::Usage,
        Error::Cancelled => Exit::Interrupted,
        Error::Device { .. } => Exit::Device,
        _ => Exit::Weights,
    }
}

/// Returns the name of a model and the digests of its weights. `None` if there is no such model; loading it says why.
pub(crate) fn identify_model(model: &str) -> Option<ModelId> {
    let specs = model::parts(model).into_iter().map(|part| weights::find(part).ok()).collect::<Option<Vec<_>>>();
    if let Some(specs) = specs {
        let digests = specs.iter().flat_map(|spec| spec.members).map(|member| member.sha256.to_owned());
        return Some(ModelId { name: model.to_owned(), weights_sha256: digests.collect() });
    }
    let imported = model::imported(model);
    let path = imported.as_deref().unwrap_or(Path::new(model));
    let name = match imported {
        Some(_) => model.to_owned(),
        None => path.file_name()?.to_string_lossy().into_owned(),
    };
    // Opening a pipe would wait for a writer.
    let is_file = std::fs::metadata(path).is_ok_and(|meta| meta.is_file());
    let digest = is_file.then(|| hash_file(path).ok()).flatten()?;
    Some(ModelId { name, weights_sha256: vec![digest.to_string()] })
}

fn paths(result: &SplitResult, home: &Path) -> Vec<PathBuf> {
    result.files.iter().filter_map(|file| file.path_in(home)).collect()
}

/// Locks a value. A panic in another thread ends the run anyway.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
