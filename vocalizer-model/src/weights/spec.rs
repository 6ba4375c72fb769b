//! What the registry states about a published model.

use std::fmt;

use super::Family;

/// Work of `htdemucs` per second of audio, with its default overlap: 42.9 GFLOP for a second, and a quarter of each
/// segment is computed twice.
pub(super) const HTDEMUCS_GFLOP_PER_S: f64 = 57.2;

/// A published model by name: one network, or a bag of several.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct ModelSpec {
    /// Name of the model.
    pub name: &'static str,
    /// What it is good for, in a line.
    pub summary: &'static str,
    /// The family of its networks.
    pub family: Family,
    /// The networks, in the order of `weights`.
    pub members: &'static [MemberSpec],
    /// Weight of each member (outer) for each source (inner).
    pub weights: &'static [&'static [f32]],
    /// The stems, in the order of the networks' output.
    pub sources: &'static [&'static str],
    /// Terms of use of the weights.
    pub licence: Licence,
    /// What others measured, each with its source.
    pub scores: &'static [Score],
    /// Work per second of audio in GFLOP, with the model's default overlap. `None` if it has not been counted.
    pub gflop_per_s: Option<f64>,
}

impl ModelSpec {
    /// Describes a model of one family by its weights files. All else is empty, and can be set.
    pub const fn new(name: &'static str, family: Family, licence: Licence, members: &'static [MemberSpec]) -> Self {
        Self { name, summary: "", family, members, weights: &[], sources: &[], licence, scores: &[], gflop_per_s: None }
    }

    /// Returns the total size of its published files in bytes.
    pub fn total_bytes(&self) -> u64 {
        self.members.iter().map(|m| m.bytes).sum()
    }

    /// Returns the work per second of audio relative to `htdemucs`, each with its default overlap.
    pub fn relative_cost(&self) -> Option<f64> {
        self.gflop_per_s.map(|gflop| gflop / HTDEMUCS_GFLOP_PER_S)
    }
}

/// The weights file of one network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberSpec {
    /// Name of the weights file in the cache.
    pub file: &'static str,
    /// Where the published file is.
    pub source: Source,
    /// Size of the published file in bytes.
    pub bytes: u64,
    /// SHA-256 of the published file. Required: [`WeightsFile::verify`](super::WeightsFile::verify) compares against it
    /// even if it is empty, and then always fails.
    pub sha256: &'static str,
    /// [`WeightsFile::tensor_digest`](super::WeightsFile::tensor_digest), if known. It is the same for every source, and
    /// verifies files that differ from the published one.
    pub tensor_digest: Option<&'static str>,
    /// The training toolkit's configuration in JSON, if the published file is a checkpoint. The checkpoint is converted to
    /// the weights file once. `None` if the published file is the weights file.
    pub config: Option<&'static str>,
}

impl MemberSpec {
    /// Describes a published weights file: its name in the cache, its source, its size and its SHA-256.
    pub const fn new(file: &'static str, source: Source, bytes: u64, sha256: &'static str) -> Self {
        Self { file, source, bytes, sha256, tensor_digest: None, config: None }
    }
}

/// The place of a published file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// A file on the Hugging Face hub, or on its mirror.
    Hub {
        /// The repository.
        repository: &'static str,
        /// The commit of that repository, or a branch; the digest pins the file in any case.
        revision: &'static str,
        /// Path of the file in the repository.
        path: &'static str,
    },
    /// An address.
    Url(&'static str),
}

impl Source {
    /// The address of the Hugging Face hub.
    pub const HUB: &'static str = "https://huggingface.co";

    /// Returns the address of the file, given the base address of the hub.
    pub fn url(&self, hub: &str) -> String {
        match self {
            Self::Hub { repository, revision, path } => format!("{hub}/{repository}/resolve/{revision}/{path}"),
            Self::Url(url) => (*url).to_owned(),
        }
    }

    /// Returns the name of the published file.
    pub fn file_name(&self) -> &'static str {
        let (Self::Hub { path, .. } | Self::Url(path)) = self;
        path.rsplit('/').next().unwrap_or(path)
    }
}

/// Terms of use of weights, and how they are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Licence {
    /// What the terms allow, roughly.
    pub terms: Terms,
    /// Identifier of the licence, such as `MIT`.
    pub identifier: Option<&'static str>,
    /// Who stated the terms, and where.
    pub stated_by: Option<&'static str>,
    /// The day on which they did, if it is known.
    pub stated_on: Option<&'static str>,
    /// What else is known, such as doubts.
    pub note: &'static str,
}

impl Licence {
    /// Describes weights without stated terms.
    pub const fn not_stated(note: &'static str) -> Self {
        Self { terms: Terms::NotStated, identifier: None, stated_by: None, stated_on: None, note }
    }

    /// Describes a licence with an identifier, and who stated where that it applies.
    pub const fn stated(
        terms: Terms,
        identifier: &'static str,
        stated_by: &'static str,
        stated_on: Option<&'static str>,
        note: &'static str,
    ) -> Self {
        Self { terms, identifier: Some(identifier), stated_by: Some(stated_by), stated_on, note }
    }

    /// Returns whether the user must accept that no terms are stated before the weights are fetched.
    pub fn must_be_accepted(&self) -> bool {
        self.terms == Terms::NotStated
    }

    /// Returns the licence's identifier, or what takes its place: `research only`, `not stated`.
    pub fn name(&self) -> &'static str {
        self.identifier.unwrap_or(match self.terms {
            Terms::ResearchOnly => "research only",
            Terms::NotStated => "not stated",
            Terms::Permissive => "permissive",
            Terms::Copyleft => "copyleft",
        })
    }
}

impl fmt::Display for Licence {
    /// Writes all that is known in sentences.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        if let Some(by) = self.stated_by {
            write!(f, ", stated by {by}")?;
        }
        if let Some(on) = self.stated_on {
            write!(f, ", on {on}")?;
        }
        f.write_str(".")?;
        if self.note.is_empty() { Ok(()) } else { write!(f, " {}", self.note) }
    }
}

/// Kinds of terms of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Terms {
    /// A licence that allows any use if its text is kept.
    Permissive,
    /// A licence that demands the same licence for what is derived.
    Copyleft,
    /// For research.
    ResearchOnly,
    /// No terms are stated.
    NotStated,
}

impl Terms {
    /// Returns the terms of a widely used licence, by its SPDX identifier. `None` for all others.
    pub fn of(identifier: &str) -> Option<Self> {
        let family = identifier.trim_end_matches("-only").trim_end_matches("-or-later");
        match family {
            "MIT" | "Apache-2.0" | "BSD-2-Clause" | "BSD-3-Clause" | "CC0-1.0" | "CC-BY-4.0" => Some(Self::Permissive),
            "GPL-2.0" | "GPL-3.0" | "AGPL-3.0" | "CC-BY-SA-4.0" => Some(Self::Copyleft),
            _ => None,
        }
    }

    /// Returns the name, as the command line has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Permissive => "permissive",
            Self::Copyleft => "copyleft",
            Self::ResearchOnly => "research",
            Self::NotStated => "not-stated",
        }
    }
}

impl fmt::Display for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A published signal-to-distortion ratio (SDR).
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Score {
    /// The songs that it was measured on.
    pub data_set: &'static str,
    /// The SDR of each stem in dB.
    pub stems_db: &'static [(&'static str, f64)],
    /// The mean over the stems in dB, as published.
    pub mean_db: Option<f64>,
    /// Who published it, and where.
    pub source: &'static str,
}

impl Score {
    /// Describes what was measured on a data set, and who published it.
    pub const fn new(
        data_set: &'static str,
        mean_db: Option<f64>,
        stems_db: &'static [(&'static str, f64)],
        source: &'static str,
    ) -> Self {
        Self { data_set, stems_db, mean_db, source }
    }

    /// Returns the SDR of one stem in dB.
    pub fn stem_db(&self, stem: &str) -> Option<f64> {
        self.stems_db.iter().find(|(name, _)| *name == stem).map(|(_, db)| *db)
    }
}
