//! Where weights lie on this machine.

use std::path::PathBuf;

use etcetera::BaseStrategy as _;

use super::{MemberSpec, ModelSpec, WeightsError};

/// A folder of fetched weights: each network at `models/<file>` inside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    dir: PathBuf,
}

impl Cache {
    /// The folder that `VOCALIZER_CACHE` names, else `vocalizer` in the user's cache folder (`XDG_CACHE_HOME`, or what
    /// stands for it on this system).
    ///
    /// # Errors
    ///
    /// [`WeightsError::Io`] where the user has no home folder.
    pub fn locate() -> Result<Self, WeightsError> {
        if let Some(dir) = std::env::var_os("VOCALIZER_CACHE").filter(|dir| !dir.is_empty()) {
            return Ok(Self::at(dir));
        }
        let base = etcetera::choose_base_strategy().map_err(|e| WeightsError::Io {
            action: "no cache folder can be found; set VOCALIZER_CACHE".into(),
            source: std::io::Error::new(std::io::ErrorKind::NotFound, e.to_string()),
        })?;
        Ok(Self::at(base.cache_dir().join("vocalizer")))
    }

    /// The cache in this folder, which need not exist yet.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The folder of the networks.
    pub fn models_dir(&self) -> PathBuf {
        self.dir.join("models")
    }

    /// Where this network's file is, or would be.
    pub fn member_path(&self, member: &MemberSpec) -> PathBuf {
        self.models_dir().join(member.file)
    }

    /// Where the numbers lie that a card's results are held to, for tensors of this digest and a network's arguments.
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    pub(crate) fn probe_path(&self, digest: &str, kwargs: &serde_json::Map<String, serde_json::Value>) -> PathBuf {
        use std::fmt::Write as _;

        use sha2::{Digest as _, Sha256};
        let mut hash = Sha256::new();
        // The version of what is computed and of which values are kept.
        hash.update(b"1\0");
        hash.update(digest);
        hash.update(serde_json::Value::Object(kwargs.clone()).to_string());
        let mut name = String::new();
        hash.finalize().iter().take(16).for_each(|byte| {
            let _ = write!(name, "{byte:02x}");
        });
        self.dir.join("probes").join(name)
    }

    /// Whether every file of this model is here. Files appear whole, after they were checked.
    pub fn has(&self, model: &ModelSpec) -> bool {
        model.members.iter().all(|member| self.has_member(member))
    }

    /// Whether this network's file is here.
    pub fn has_member(&self, member: &MemberSpec) -> bool {
        self.member_path(member).is_file()
    }
}
