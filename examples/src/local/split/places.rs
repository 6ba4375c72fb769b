//! Which folder the stems of a song go to. Stems of another song are never overwritten, and a song finds its folder again.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use vocalizer_core::song::SongHash;
use vocalizer_model::Stem;
use vocalizer_model::audio::SongTags;

use super::inputs::is_empty_folder;
use super::lock_file::LockFile;
use super::manifest::{FILE_NAME, Manifest, SongEntry, Source, SplitResult};
use super::names::{cut, safe_name};
use super::source::{Song, identify};
use super::template::{Layout, SUFFIX_BYTES, Template, Values};

/// Finds the folders of a run's songs.
#[derive(Debug)]
pub(super) struct Places {
    out: PathBuf,
    template: Template,
    overwrite: bool,
    model: String,
    /// Names and ending of the files that may be written.
    stems: Vec<String>,
    ext: &'static str,
    /// Canonical paths of the songs, which no stem replaces.
    inputs: HashSet<PathBuf>,
    taken: Taken,
    /// Whether `taken` stays empty.
    reuses: bool,
}

/// Homes and patterns of this run.
#[derive(Debug, Default)]
struct Taken {
    exact: HashSet<(PathBuf, String)>,
    /// In lower case: many file systems do not tell `Song` from `song`.
    folded: HashSet<String>,
}

impl Taken {
    fn insert(&mut self, home: &Path, pattern: &str) {
        self.exact.insert((home.to_owned(), pattern.to_owned()));
        self.folded.insert(folded(home, pattern));
    }

    fn remove(&mut self, home: &Path, pattern: &str) {
        self.exact.remove(&(home.to_owned(), pattern.to_owned()));
        self.folded.remove(&folded(home, pattern));
    }
}

fn folded(home: &Path, pattern: &str) -> String {
    format!("{}/{pattern}", home.to_string_lossy()).to_lowercase()
}

/// Where the stems of a song go.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) source: Source,
    /// The folder that has the manifest.
    pub(super) home: PathBuf,
    pub(super) layout: Layout,
    /// What earlier runs made of the song.
    pub(super) earlier: Option<SongEntry>,
    /// Whether it replaces the stems of other songs.
    replaces: bool,
    /// Folders that were made for it, outermost first.
    made: Vec<PathBuf>,
    /// Keeps other runs out.
    held: Option<LockFile>,
}

/// What became of the attempt to take a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    Taken,
    /// Another song has it by now.
    Lost,
    /// Another run, or another thread, is splitting into it.
    Busy,
}

/// A possible place.
struct Candidate {
    home: PathBuf,
    layout: Layout,
    manifest: Option<Manifest>,
    /// Whether nothing is there.
    is_free: bool,
    is_taken: bool,
    /// Whether a place is taken whose name some file systems do not tell from this one's.
    is_like_taken: bool,
    /// Whether songs cannot share the folder, because its manifest cannot be read.
    is_blocked: bool,
}

impl Places {
    pub(super) fn new(out: &Path, template: Template, overwrite: bool, model: &str, ext: &'static str) -> Self {
        let stems = Stem::SIX.iter().flat_map(file_names).collect();
        Self {
            out: out.to_owned(),
            template,
            overwrite,
            model: safe_name(model),
            stems,
            ext,
            inputs: HashSet::new(),
            taken: Taken::default(),
            reuses: false,
        }
    }

    /// Protects the files of songs.
    pub(super) fn protect<'a>(&mut self, songs: impl Iterator<Item = &'a Song>) {
        self.inputs.extend(songs.filter_map(|song| song.file.canonicalize().ok()));
    }

    /// Lets songs have places that other songs had in this run.
    pub(super) fn reuse(&mut self) {
        self.reuses = true;
    }

    /// Adds further names of files that may be written.
    pub(super) fn may_write(&mut self, names: impl IntoIterator<Item = String>) {
        self.stems.extend(names);
        self.stems.sort_unstable();
        self.stems.dedup();
    }

    /// Returns the place of a song: the one it had before, or else the first that is free. It is taken for the rest of the run.
    ///
    /// # Errors
    ///
    /// If the song cannot be read.
    pub(super) fn find(&mut self, song: &Song) -> io::Result<Place> {
        let values = self.values(song);
        let parent = parent_name(song);
        let mut candidates = vec![self.look(&values, "")];
        let named = parent.as_ref().map(|parent| {
            candidates.push(self.look(&values, &format!(" ({parent})")));
            1
        });
        for number in 2..=u32::MAX {
            let numbered = self.look(&values, &format!(" ({number})"));
            let is_last = numbered.is_free && !numbered.is_like_taken || numbered.is_blocked;
            candidates.push(numbered);
            if is_last {
                break;
            }
        }
        let entries = || candidates.iter().filter_map(|one| one.manifest.as_ref()).flat_map(|manifest| &manifest.songs);
        let source = identify(song, |stamp, size_bytes| {
            let mut known = entries().map(|entry| &entry.source);
            let same = known.find(|known| known.stamp.as_deref() == Some(stamp) && known.size_bytes == size_bytes);
            same.map(|same| same.sha256)
        })?;
        // The folder with the parent's name first: the other one may be that of a copy.
        let mut in_order = named.into_iter().chain((0..candidates.len()).filter(|&index| Some(index) != named));
        let own =
            in_order.find(|&index| candidates.get(index).is_some_and(|one| one.belongs_to(&source) && !one.is_taken));
        let is_usable =
            |one: &Candidate| !one.is_like_taken && (one.is_free || (self.overwrite && !self.would_replace_input(one)));
        let chosen = own.or_else(|| candidates.iter().position(is_usable)).unwrap_or(candidates.len() - 1);
        let Candidate { home, layout, manifest, is_free, .. } = candidates.swap_remove(chosen);
        if !self.reuses {
            self.taken.insert(&home, &layout.pattern);
        }
        let earlier =
            manifest.as_ref().and_then(|manifest| manifest.entry(&layout.pattern)).filter(|_| own.is_some()).cloned();
        let replaces = self.overwrite && own.is_none() && !is_free;
        Ok(Place { source, home, layout, earlier, replaces, made: Vec::new(), held: None })
    }

    /// Takes a place for this process: makes its folder and notes the song in the manifest, so that other runs leave it alone. A place
    /// that is lost is free again for [`Self::find`], which finds out what it is now.
    ///
    /// # Errors
    ///
    /// If the folder or the manifest cannot be written.
    pub(super) fn claim(&mut self, place: &mut Place) -> io::Result<Claim> {
        let _turn = place.enter()?;
        let candidate = self.candidate(place.home.clone(), place.layout.clone());
        if candidate.is_blocked {
            let what =
                format!("{FILE_NAME} there is not one that this version can read; move it, or use another folder (-o)");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        if !(place.replaces || candidate.is_free || candidate.belongs_to(&place.source)) {
            self.taken.remove(&place.home, &place.layout.pattern);
            return Ok(Claim::Lost);
        }
        let Some(held) = LockFile::try_lock(&place.home.join(place.lock_name()))? else { return Ok(Claim::Busy) };
        let is_new = candidate.manifest.is_none();
        let mut manifest = candidate.manifest.unwrap_or_else(|| Manifest::new(place.layout.is_shared));
        if !place.replaces {
            // Another run may have finished the song meanwhile.
            place.earlier = manifest.entry(&place.layout.pattern).cloned();
        }
        if place.earlier.is_none() && !place.replaces {
            manifest.songs.push(place.entry());
            match manifest.write(&place.home, is_new) {
                // Another run was faster, on a drive without locks.
                Err(e) if is_new && e.kind() == io::ErrorKind::AlreadyExists => {
                    self.taken.remove(&place.home, &place.layout.pattern);
                    return Ok(Claim::Lost);
                }
                written => written?,
            }
        }
        place.held = Some(held);
        Ok(Claim::Taken)
    }

    fn look(&self, values: &Values, suffix: &str) -> Candidate {
        let layout = self.template.layout(values, suffix);
        self.candidate(self.out.join(&layout.home), layout)
    }

    fn candidate(&self, home: PathBuf, layout: Layout) -> Candidate {
        let has_file = layout.is_shared && home.join(FILE_NAME).symlink_metadata().is_ok();
        let manifest = Manifest::read(&home);
        let is_blocked = has_file && manifest.as_ref().is_none_or(|manifest| manifest.is_later);
        let is_free = if layout.is_shared {
            let is_listed = is_blocked || manifest.as_ref().is_some_and(|manifest| manifest.has_like(&layout.pattern));
            let is_there = |stem: &String| home.join(layout.file(stem, self.ext)).symlink_metadata().is_ok();
            !is_listed && !self.stems.iter().any(is_there)
        } else {
            match &manifest {
                Some(manifest) => manifest.songs.is_empty() && !manifest.is_later,
                None => home.symlink_metadata().is_err() || is_empty_folder(&home),
            }
        };
        let is_taken = self.taken.exact.contains(&(home.clone(), layout.pattern.clone()));
        let is_like_taken = self.taken.folded.contains(&folded(&home, &layout.pattern));
        Candidate { home, layout, manifest, is_free, is_taken, is_like_taken, is_blocked }
    }

    /// Returns whether a stem would replace the file of a song.
    fn would_replace_input(&self, candidate: &Candidate) -> bool {
        self.stems.iter().any(|stem| {
            let file = candidate.home.join(candidate.layout.file(stem, self.ext));
            file.canonicalize().is_ok_and(|real| self.inputs.contains(&real))
        })
    }

    fn values(&self, song: &Song) -> Values {
        let lossy = |name: Option<&std::ffi::OsStr>| name.unwrap_or_default().to_string_lossy().into_owned();
        let track = lossy(song.name.file_stem());
        let tags = if self.template.uses_tags() { SongTags::read(&song.file) } else { SongTags::default() };
        Values {
            artist: tags.artist.or(tags.album_artist).unwrap_or_else(|| "Unknown artist".into()),
            album: tags.album.unwrap_or_else(|| "Unknown album".into()),
            title: tags.title.unwrap_or_else(|| track.clone()),
            number: format!("{:02}", tags.track.unwrap_or(0)),
            track,
            track_ext: lossy(song.name.extension()),
            folder: parent_name(song).unwrap_or_default(),
            model: self.model.clone(),
        }
    }
}

/// Returns the names of the files that a stem may be written to, without their ending.
pub(super) fn file_names(stem: &Stem) -> [String; 2] {
    [stem.to_string(), format!("no_{stem}")]
}

/// Returns the name of a song's folder, as part of another name.
fn parent_name(song: &Song) -> Option<String> {
    let real = song.input.canonicalize().ok()?;
    let name = safe_name(&real.parent()?.file_name()?.to_string_lossy());
    // Without the space and the brackets around it.
    Some(cut(&name, SUFFIX_BYTES - 3).trim_end().to_owned())
}

impl Candidate {
    fn belongs_to(&self, source: &Source) -> bool {
        let Some(manifest) = &self.manifest else { return false };
        let is_same = |entry: &SongEntry| entry.source.sha256 == source.sha256;
        if self.layout.is_shared {
            manifest.entry(&self.layout.pattern).is_some_and(is_same)
        } else {
            !manifest.songs.is_empty() && manifest.songs.iter().all(is_same)
        }
    }
}

/// Name of the file that is locked while a manifest is read, changed and written.
const TURN: &str = ".vocalizer.lock";

/// Name of the file that is locked while a song is split into a folder of its own.
const SONG: &str = ".vocalizer-song.lock";

/// How often a folder is made again that other runs remove after failures.
const ATTEMPTS: u32 = 100;

impl Place {
    /// Makes the folder and waits for the manifest's turn.
    fn enter(&mut self) -> io::Result<LockFile> {
        let mut attempts = 0;
        loop {
            let missing = self.home.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists());
            let missing: Vec<_> = missing.filter(|folder| !self.made.iter().any(|made| made == folder)).collect();
            let missing: Vec<_> = missing.into_iter().rev().map(Path::to_owned).collect();
            self.made.extend(missing);
            std::fs::create_dir_all(&self.home)?;
            match self.turn() {
                // Another run that failed has removed the folder meanwhile.
                Err(e) if e.kind() == io::ErrorKind::NotFound && attempts < ATTEMPTS => attempts += 1,
                entered => return entered,
            }
        }
    }

    /// Waits until no other process changes the manifest.
    fn turn(&self) -> io::Result<LockFile> {
        LockFile::lock(&self.home.join(TURN))
    }

    /// Returns the name of the file that is locked while the song is split. In a shared folder, each song has its own.
    fn lock_name(&self) -> String {
        if !self.layout.is_shared {
            return SONG.to_owned();
        }
        let hash = SongHash::of(self.layout.pattern.as_bytes()).to_string();
        format!(".vocalizer-{}.lock", cut(&hash, 16))
    }

    /// Returns whether the manifest lists a file as a stem of another song. Songs in a shared folder may have such names: `no_vocals` of
    /// `a.wav` and `vocals` of `a_no.wav`, as `{track}_{stem}.{ext}`.
    pub(super) fn is_of_other_song(&self, file: &Path) -> bool {
        let Some(manifest) = Manifest::read(&self.home).filter(|_| self.layout.is_shared) else { return false };
        let is_other =
            |entry: &SongEntry| entry.pattern != self.layout.pattern && entry.source.sha256 != self.source.sha256;
        let mut others = manifest.files().filter(|(entry, _)| is_other(entry));
        others.any(|(_, other)| other.path_in(&self.home).is_some_and(|other| other == file))
    }

    /// Notes a result in the manifest and lets other runs in. Removes files of songs that it replaces.
    ///
    /// # Errors
    ///
    /// If the manifest cannot be written.
    pub(super) fn record(&mut self, result: SplitResult) -> io::Result<()> {
        let _turn = self.turn()?;
        let mut manifest = Manifest::read(&self.home).unwrap_or_else(|| Manifest::new(self.layout.is_shared));
        if self.replaces {
            let is_replaced = |entry: &SongEntry| !self.layout.is_shared || entry.pattern == self.layout.pattern;
            let (replaced, kept): (Vec<_>, Vec<_>) =
                std::mem::take(&mut manifest.songs).into_iter().partition(is_replaced);
            manifest = Manifest::new(self.layout.is_shared);
            manifest.songs = kept;
            for file in replaced.iter().flat_map(|entry| &entry.results).flat_map(|result| &result.files) {
                let is_rewritten = result.files.iter().any(|new| new.path == file.path);
                if let Some(path) = file.path_in(&self.home).filter(|path| !is_rewritten && self.is_inside(path)) {
                    let _ = std::fs::remove_file(path);
                }
            }
        }
        let at = manifest.songs.iter().position(|entry| entry.pattern == self.layout.pattern);
        let mut entry = at.map_or_else(|| self.entry(), |at| manifest.songs.remove(at));
        entry.source = self.source.clone();
        entry.add(result);
        manifest.songs.push(entry);
        manifest.write(&self.home, false)?;
        self.held = None;
        Ok(())
    }

    /// Returns whether a file is in this folder, also if a folder in it is a link.
    fn is_inside(&self, file: &Path) -> bool {
        let real = |folder: &Path| folder.canonicalize().ok();
        let folders = file.parent().and_then(real).zip(real(&self.home));
        folders.is_some_and(|(folder, home)| folder.starts_with(home))
    }

    /// Updates the stamp of a song that was recognised by its hash, so that the next run does not have to hash it.
    pub(super) fn refresh(&self) {
        if self.earlier.as_ref().is_none_or(|entry| entry.source.stamp == self.source.stamp) {
            return;
        }
        // The stamp only saves time.
        let Ok(_turn) = self.turn() else { return };
        let Some(mut manifest) = Manifest::read(&self.home).filter(|manifest| !manifest.is_later) else { return };
        let same = manifest.songs.iter_mut().find(|entry| entry.pattern == self.layout.pattern);
        if let Some(entry) = same.filter(|entry| entry.source.sha256 == self.source.sha256) {
            entry.source = self.source.clone();
            let _ = manifest.write(&self.home, false);
        }
    }

    /// Removes what [`Places::claim`] made, after a failure, and lets other runs in. Nothing else is removed.
    pub(super) fn release(&mut self) {
        if let Some(held) = self.held.take() {
            // Failures of cleaning up are not reported: the cause of the failure is.
            let _turn = self.turn();
            if let Some(mut manifest) = Manifest::read(&self.home).filter(|manifest| !manifest.is_later) {
                let before = manifest.songs.len();
                manifest.songs.retain(|entry| entry.pattern != self.layout.pattern || !entry.results.is_empty());
                let _ = match (manifest.songs.len(), before) {
                    (0, _) => std::fs::remove_file(self.home.join(FILE_NAME)),
                    (after, before) if after < before => manifest.write(&self.home, false),
                    _ => Ok(()),
                };
            }
            drop(held);
        }
        for folder in self.made.iter().rev() {
            let _ = std::fs::remove_dir(folder);
        }
    }

    fn entry(&self) -> SongEntry {
        SongEntry { source: self.source.clone(), pattern: self.layout.pattern.clone(), results: Vec::new() }
    }
}
