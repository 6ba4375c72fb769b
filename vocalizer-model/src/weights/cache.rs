//! The local cache of weights.

use std::fs;
use std::path::PathBuf;

use etcetera::BaseStrategy as _;

use super::{MemberSpec, ModelSpec, WeightsError, WeightsFile};

/// A folder of weights: each downloaded network is at `models/<file>` inside it, each imported one at
/// `imported/<name>.safetensors`. `licences/<name>` says which model without a stated licence the user accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    dir: PathBuf,
}

impl Cache {
    /// Returns the cache in `VOCALIZER_CACHE`, else in `vocalizer` in the user's cache folder (`XDG_CACHE_HOME` or the
    /// system's equivalent).
    ///
    /// # Errors
    ///
    /// [`WeightsError::Io`] if the user has no home folder.
    pub fn locate() -> Result<Self, WeightsError> {
        if let Some(dir) = std::env::var_os("VOCALIZER_CACHE").filter(|dir| !dir.is_empty()) {
            return Ok(Self::at(dir));
        }
        let base = etcetera::choose_base_strategy().map_err(|e| WeightsError::Io {
            action: "no cache folder found; set VOCALIZER_CACHE".into(),
            source: std::io::Error::new(std::io::ErrorKind::NotFound, e.to_string()),
        })?;
        Ok(Self::at(base.cache_dir().join("vocalizer")))
    }

    /// Returns the cache in this folder, which does not have to exist yet.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Returns the folder of the weights files.
    pub fn models_dir(&self) -> PathBuf {
        self.dir.join("models")
    }

    /// Returns the path of this network's file, whether it exists or not.
    pub fn member_path(&self, member: &MemberSpec) -> PathBuf {
        self.models_dir().join(member.file)
    }

    /// Returns the path of a network's published checkpoint, which is converted instead of a download if it exists, and
    /// deleted after that.
    pub fn checkpoint_path(&self, member: &MemberSpec) -> PathBuf {
        self.models_dir().join(member.source.file_name())
    }

    fn licence_path(&self, model: &ModelSpec) -> PathBuf {
        self.dir.join("licences").join(model.name)
    }

    /// Records that the user accepts the terms of a model, if they must be accepted before its weights are fetched.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Io`] if the cache cannot be written.
    pub fn accept_licence(&self, model: &ModelSpec) -> Result<(), WeightsError> {
        if self.has_accepted_licence(model) {
            return Ok(());
        }
        let path = self.licence_path(model);
        let dir = path.parent().unwrap_or(&self.dir);
        let written = fs::create_dir_all(dir).and_then(|()| fs::write(&path, format!("{}\n", model.licence)));
        written.map_err(WeightsError::io(format!("{} cannot be written", path.display())))
    }

    /// Returns whether the weights of a model may be fetched: its terms need not be accepted, or the user has accepted them.
    pub fn has_accepted_licence(&self, model: &ModelSpec) -> bool {
        !model.licence.must_be_accepted() || self.licence_path(model).exists()
    }

    /// Returns the folder of the imported models.
    pub(super) fn imported_dir(&self) -> PathBuf {
        self.dir.join("imported")
    }

    /// Returns the path of the CPU's reference output of some stems, for a network with this tensor digest and these
    /// arguments.
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    pub(crate) fn probe_path(
        &self,
        digest: &str,
        kwargs: &serde_json::Map<String, serde_json::Value>,
        stems: &[usize],
    ) -> PathBuf {
        use std::fmt::Write as _;

        use sha2::{Digest as _, Sha256};
        let mut hash = Sha256::new();
        // Version of the probe signal and of the sampled values.
        hash.update(b"2\0");
        hash.update(digest);
        hash.update(format!("{stems:?}"));
        hash.update(serde_json::Value::Object(kwargs.clone()).to_string());
        let mut name = String::new();
        hash.finalize().iter().take(16).for_each(|byte| {
            let _ = write!(name, "{byte:02x}");
        });
        self.dir.join("probes").join(name)
    }

    /// Returns whether every file of this model is present and as long as its header states. This reads only headers:
    /// loading a model, and fetching it, verify the content.
    pub fn has(&self, model: &ModelSpec) -> bool {
        model.members.iter().all(|member| self.has_member(member))
    }

    /// Returns whether this network's file is present and as long as its header states.
    pub fn has_member(&self, member: &MemberSpec) -> bool {
        WeightsFile::open(&self.member_path(member)).is_ok()
    }

    /// Returns whether a file of this model is present but cut or otherwise unusable. Like [`Self::has`], this reads only
    /// headers.
    pub fn is_damaged(&self, model: &ModelSpec) -> bool {
        model.members.iter().any(|member| self.member_path(member).exists() && !self.has_member(member))
    }
}
