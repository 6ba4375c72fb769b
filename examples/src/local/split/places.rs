//! Which folder the stems of a song go to. Stems of another song are never overwritten, and a song finds its folder again.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use vocalizer_model::Stem;
use vocalizer_model::audio::SongTags;

use super::inputs::is_empty_folder;
use super::manifest::{Manifest, SongEntry, Source, SplitResult};
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
    /// Homes and patterns of this run.
    taken: HashSet<(PathBuf, String)>,
    /// Whether `taken` stays empty.
    reuses: bool,
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
}

/// A possible place.
struct Candidate {
    home: PathBuf,
    layout: Layout,
    manifest: Option<Manifest>,
    /// Whether nothing is there.
    is_free: bool,
    is_taken: bool,
}

impl Places {
    pub(super) fn new(out: &Path, template: Template, overwrite: bool, model: &str, ext: &'static str) -> Self {
        let mut stems: Vec<_> = Stem::SIX.iter().flat_map(|stem| [stem.to_string(), format!("no_{stem}")]).collect();
        stems.sort_unstable();
        let (inputs, taken) = (HashSet::new(), HashSet::new());
        Self {
            out: out.to_owned(),
            template,
            overwrite,
            model: safe_name(model),
            stems,
            ext,
            inputs,
            taken,
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

    /// Adds a further name of a file that may be written.
    pub(super) fn may_write(&mut self, stem: String) {
        self.stems.push(stem);
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
            let is_last = numbered.is_free && !numbered.is_taken;
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
            |one: &Candidate| !one.is_taken && (one.is_free || (self.overwrite && !self.would_replace_input(one)));
        let chosen = own.or_else(|| candidates.iter().position(is_usable)).unwrap_or(candidates.len() - 1);
        let Candidate { home, layout, manifest, is_free, .. } = candidates.swap_remove(chosen);
        if !self.reuses {
            self.taken.insert((home.clone(), layout.pattern.clone()));
        }
        let earlier =
            manifest.as_ref().and_then(|manifest| manifest.entry(&layout.pattern)).filter(|_| own.is_some()).cloned();
        Ok(Place { source, home, layout, earlier, replaces: own.is_none() && !is_free, made: Vec::new() })
    }

    fn look(&self, values: &Values, suffix: &str) -> Candidate {
        let layout = self.template.layout(values, suffix);
        let home = self.out.join(&layout.home);
        let manifest = Manifest::read(&home);
        let is_free = if layout.is_shared {
            let listed = manifest
                .as_ref()
                .is_some_and(|manifest| manifest.is_later || manifest.entry(&layout.pattern).is_some());
            let is_there = |stem: &String| home.join(layout.file(stem, self.ext)).symlink_metadata().is_ok();
            !listed && !self.stems.iter().any(is_there)
        } else {
            match &manifest {
                Some(manifest) => manifest.songs.is_empty() && !manifest.is_later,
                None => home.symlink_metadata().is_err() || is_empty_folder(&home),
            }
        };
        let is_taken = self.taken.contains(&(home.clone(), layout.pattern.clone()));
        Candidate { home, layout, manifest, is_free, is_taken }
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

impl Place {
    /// Makes the folder and its manifest, so that other runs leave it alone. Returns `false` if another run was faster.
    ///
    /// # Errors
    ///
    /// If the folder or the manifest cannot be written.
    pub(super) fn claim(&mut self) -> io::Result<bool> {
        let missing: Vec<_> =
            self.home.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists()).collect();
        let made = missing.into_iter().rev().map(Path::to_owned).collect();
        std::fs::create_dir_all(&self.home)?;
        self.made = made;
        if self.earlier.is_some() || self.replaces {
            return Ok(true);
        }
        let before = Manifest::read(&self.home);
        let is_new = before.is_none();
        let mut manifest = before.unwrap_or_else(|| Manifest::new(self.layout.is_shared));
        manifest.songs.push(self.entry());
        match manifest.write(&self.home, is_new) {
            Err(e) if is_new && e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            written => written.map(|()| true),
        }
    }

    /// Notes a result in the manifest. Removes files of songs that it replaces.
    ///
    /// # Errors
    ///
    /// If the manifest cannot be written.
    pub(super) fn record(&self, result: SplitResult) -> io::Result<()> {
        let mut manifest = Manifest::read(&self.home).unwrap_or_else(|| Manifest::new(self.layout.is_shared));
        if self.replaces {
            let is_replaced = |entry: &SongEntry| !self.layout.is_shared || entry.pattern == self.layout.pattern;
            let (replaced, kept): (Vec<_>, Vec<_>) =
                std::mem::take(&mut manifest.songs).into_iter().partition(is_replaced);
            manifest = Manifest::new(self.layout.is_shared);
            manifest.songs = kept;
            for file in replaced.iter().flat_map(|entry| &entry.results).flat_map(|result| &result.files) {
                let is_rewritten = result.files.iter().any(|new| new.path == file.path);
                if let Some(path) = file.path_in(&self.home).filter(|_| !is_rewritten) {
                    let _ = std::fs::remove_file(path);
                }
            }
        }
        let at = manifest.songs.iter().position(|entry| entry.pattern == self.layout.pattern);
        let mut entry = at.map_or_else(|| self.entry(), |at| manifest.songs.remove(at));
        entry.source = self.source.clone();
        entry.add(result);
        manifest.songs.push(entry);
        manifest.write(&self.home, false)
    }

    /// Updates the stamp of a song that was recognised by its hash, so that the next run does not have to hash it.
    pub(super) fn refresh(&self) {
        let Some(mut manifest) = Manifest::read(&self.home).filter(|manifest| !manifest.is_later) else { return };
        let same = manifest.songs.iter_mut().find(|entry| entry.pattern == self.layout.pattern);
        if let Some(entry) =
            same.filter(|entry| entry.source.sha256 == self.source.sha256 && entry.source.stamp != self.source.stamp)
        {
            entry.source = self.source.clone();
            // The stamp only saves time.
            let _ = manifest.write(&self.home, false);
        }
    }

    /// Removes what [`Self::claim`] made, after a failure. Nothing else is removed.
    pub(super) fn release(&self) {
        if let Some(mut manifest) = Manifest::read(&self.home).filter(|manifest| !manifest.is_later) {
            let before = manifest.songs.len();
            manifest.songs.retain(|entry| entry.pattern != self.layout.pattern || !entry.results.is_empty());
            // Failures of cleaning up are not reported: the cause of the failure is.
            let _ = match (manifest.songs.len(), before) {
                (0, _) => std::fs::remove_file(self.home.join(super::manifest::FILE_NAME)),
                (after, before) if after < before => manifest.write(&self.home, false),
                _ => Ok(()),
            };
        }
        for folder in self.made.iter().rev() {
            let _ = std::fs::remove_dir(folder);
        }
    }

    fn entry(&self) -> SongEntry {
        SongEntry { source: self.source.clone(), pattern: self.layout.pattern.clone(), results: Vec::new() }
    }
}
