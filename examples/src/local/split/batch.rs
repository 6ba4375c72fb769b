//! Splits the songs of a run, one after the other or several at once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use vocalizer_core::causes::chain;
use vocalizer_model::{Cancel, ComputeOptions, Error, Model, Report, SplitOptions, interfaces, split_file_with};

use super::manifest::{FileEntry, ModelId, SplitResult, Warning};
use super::places::{Place, Places};
use super::profile_file::ProfileFile;
use super::report::{Detail, SongReport};
use super::separate_args::SplitArgs;
use super::source::{Song, hash_file};
use super::summary::Tally;
use super::{options, stdio};
use crate::exit::Exit;
use crate::model;
use crate::voice::Voice;

/// A run over songs.
pub(super) struct Batch<'a> {
    args: &'a SplitArgs,
    voice: Voice,
    detail: Detail,
    options: SplitOptions,
    /// The options that the manifest records.
    recorded: BTreeMap<String, Value>,
    model_id: Option<ModelId>,
    /// Loaded when the first song needs it.
    model: Mutex<Option<Arc<Model>>>,
    places: Mutex<Places>,
    profile: Mutex<Option<ProfileFile<'a>>>,
    tally: Mutex<Tally>,
    cancel: Cancel,
    /// Whether songs that are done are left out.
    skips: bool,
    fail_fast: bool,
}

/// What became of a song.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    Skipped,
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
        let mut places = Places::new(&args.output, args.out_template.clone(), args.overwrite, name, ext);
        if let Some(name) = options.mix_minus_name() {
            places.may_write(name);
        }
        Ok(Self {
            args,
            voice,
            detail: Detail { quiet: args.quiet, verbose: args.verbose, lists_files: true },
            recorded: options::recorded(&options, args.precision),
            options,
            model_id,
            model: Mutex::default(),
            places: Mutex::new(places),
            profile: Mutex::default(),
            tally: Mutex::new(Tally::new(0)),
            cancel,
            skips: false,
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

    /// Lets a song have the place of another song of the same run, if it is free by then.
    pub(super) fn reusing_places(self) -> Self {
        lock(&self.places).reuse();
        self
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
        let stop: Mutex<Option<Option<Exit>>> = Mutex::new(None);
        let work = || {
            while lock(&stop).is_none() {
                let Some(song) = songs.get(next.fetch_add(1, Ordering::Relaxed)) else { return };
                match self.song(song) {
                    Outcome::Stop(exit) => *lock(&stop) = Some(Some(exit)),
                    Outcome::Failed if self.fail_fast => _ = lock(&stop).get_or_insert(None),
                    _ => {}
                }
            }
        };
        match usize::from(self.args.jobs).min(songs.len()) {
            0 | 1 => work(),
            jobs => std::thread::scope(|scope| (0..jobs).for_each(|_| _ = scope.spawn(work))),
        }
        let stopped = lock(&stop).flatten();
        stopped.unwrap_or_else(|| self.exit())
    }

    /// Splits one song, and counts it.
    pub(super) fn song(&self, song: &Song) -> Outcome {
        let outcome = self.place_and_split(song);
        let mut tally = lock(&self.tally);
        match outcome {
            Outcome::Done => tally.done += 1,
            Outcome::Skipped => tally.skipped += 1,
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
                report.failed(&format!("cannot read {}: {e}", crate::paths::shown(&song.input)));
                return Outcome::Failed;
            }
        };
        if let Some(done) = self.earlier_result(&place) {
            self.in_turn(|| place.refresh());
            report.skipped(&place, &paths(done, &place.home));
            return Outcome::Skipped;
        }
        let model = match self.model() {
            Ok(model) => model,
            Err(e) => {
                report.failed(&chain(&e));
                return Outcome::Stop(exit_of_setup(&e));
            }
        };
        let split = self.split_into_place(song, &model, &mut place, report);
        if split != Outcome::Done {
            self.in_turn(|| place.release());
        }
        split
    }

    /// Returns what an earlier run made of the song, if this run would make the same.
    fn earlier_result<'p>(&self, place: &'p Place) -> Option<&'p SplitResult> {
        let model_id = self.model_id.as_ref().filter(|_| self.skips)?;
        let results = &place.earlier.as_ref()?.results;
        let is_wanted = |one: &&SplitResult| {
            let is_refused = self.options.read.strict && one.is_of_damaged_song();
            one.is_like(model_id, &self.recorded) && !is_refused && one.is_complete(&place.home)
        };
        results.iter().find(is_wanted)
    }

    fn split_into_place(&self, song: &Song, model: &Model, place: &mut Place, mut report: SongReport<'_>) -> Outcome {
        let claimed = self.claim(song, place);
        let split = claimed.and_then(|()| self.split_and_move(song, model, place, &mut report));
        let (split, files) = match split {
            Ok(split) => split,
            Err(e) => return self.failed(song, &e, report),
        };
        files.iter().for_each(|file| report.placed(file));
        let recorded = self.result(place, &split, &files).and_then(|result| self.in_turn(|| place.record(result)));
        if let Err(e) = recorded {
            report.failed(&format!("cannot write the manifest in {}: {e}", place.home.display()));
            return Outcome::Failed;
        }
        report.done(&split, Some(place), &files);
        lock(&self.tally).song_s += split.seconds;
        self.add_profile(song, &split)
    }

    /// Takes the place, or another one if another program has taken it meanwhile.
    fn claim(&self, song: &Song, place: &mut Place) -> Result<(), Error> {
        let mut places = lock(&self.places);
        loop {
            match place.claim() {
                Ok(true) => return Ok(()),
                Err(source) => return Err(Error::Io { path: place.home.clone(), source }),
                Ok(false) => {
                    let io = |source| Error::Io { path: song.file.clone(), source };
                    *place = places.find(song).map_err(io)?;
                }
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
        let io = |path: &Path, source| Error::Io { path: path.to_owned(), source };
        if place.layout.pattern == "{stem}.{ext}" {
            let split = split_file_with(model, &song.file, &place.home, &self.options, report, &self.cancel)?;
            let files = split.files.clone();
            return Ok((split, files));
        }
        let made = tempfile::Builder::new().prefix(".vocalizer-").tempdir_in(&place.home);
        let temporary = made.map_err(|e| io(&place.home, e))?;
        let split = split_file_with(model, &song.file, temporary.path(), &self.options, report, &self.cancel)?;
        let mut files = Vec::new();
        for from in &split.files {
            let stem = from.file_stem().unwrap_or_default().to_string_lossy();
            let to = place.home.join(place.layout.file(&stem, self.options.format.extension()));
            let folder = to.parent().unwrap_or(&place.home);
            std::fs::create_dir_all(folder).map_err(|e| io(folder, e))?;
            std::fs::rename(from, &to).map_err(|e| io(&to, e))?;
            files.push(to);
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
        let compute = ComputeOptions::default()
            .with_device(self.args.device.clone())
            .with_precision(self.args.precision)
            .with_batch(self.args.batch.map(usize::from));
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
                report.failed(&format!("cannot read {}: {}", crate::paths::shown(&song.input), chain(source)));
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
    fn result(&self, place: &Place, split: &Report, files: &[PathBuf]) -> std::io::Result<SplitResult> {
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
            options: self.recorded.clone(),
            rate_hz: split.rate_hz,
            frames: split.frames,
            gain: f64::from(split.gain),
            gains: gains.map(|(stem, gain)| (stem.clone(), f64::from(*gain))).collect(),
            warnings: warnings.collect(),
            files: entries.collect::<std::io::Result<_>>()?,
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
    if let Some(spec) = vocalizer_model::weights::MODELS.iter().find(|spec| spec.name == model) {
        let digests = spec.members.iter().map(|member| member.sha256.to_owned());
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
