//! The imported models in the cache.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;
use vocalizer_core::part::Stem;

use super::container::Container;
use super::error::excerpt;
use super::{Cache, Family, MODELS, RECIPES, WeightsError};

/// Names of devices in Windows, with or without an ending.
const DEVICES: [&str; 4] = ["con", "prn", "aux", "nul"];

/// The largest published network has 53.
const MAX_STEMS: usize = 256;

/// The ending of a weights file.
const ENDING: &str = ".safetensors";

/// An imported model.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Imported {
    /// The name that it was imported under.
    pub name: String,
    /// The family of its network.
    pub family: Family,
    /// The configuration that it was trained with.
    pub config: Value,
    /// Names of its stems, in the order of the network's output. The last one may be the rest of the song.
    pub stems: Vec<String>,
    /// Terms of use, if they were stated.
    pub licence: Option<String>,
    /// Name of the file that it was imported from.
    pub source: String,
    /// SHA-256 of that file, in hexadecimal.
    pub source_sha256: String,
    /// Size of the weights file in bytes.
    pub bytes: u64,
    /// The weights file.
    pub path: PathBuf,
}

/// The name of an imported model, and what its file says.
pub type FoundImport = (String, Result<Imported, WeightsError>);

impl Imported {
    /// Reads the metadata of an imported model's file.
    pub(super) fn read(name: &str, path: &Path) -> Result<Self, WeightsError> {
        let container = Container::open(path)?;
        let config = container.json("config")?;
        Ok(Self {
            name: name.to_owned(),
            family: Family::named(container.text("family")?)?,
            stems: stems(&config)?,
            config,
            licence: container.text("licence").ok().map(str::to_owned),
            source: container.text("source")?.to_owned(),
            source_sha256: container.text("source_sha256")?.to_owned(),
            bytes: container.size_bytes(),
            path: path.to_owned(),
        })
    }
}

impl Cache {
    /// Returns the path of the imported model with this name, whether it exists or not.
    ///
    /// # Errors
    ///
    /// [`WeightsError::InvalidName`] if an imported model cannot have this name.
    pub fn import_path(&self, name: &str) -> Result<PathBuf, WeightsError> {
        check_name(name)?;
        Ok(self.imported_dir().join(format!("{name}{ENDING}")))
    }

    /// Returns the names of the imported models, sorted, and what their files say. This reads only headers.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Io`] if the folder cannot be read. The error of a file is in its place.
    pub fn imported(&self) -> Result<Vec<FoundImport>, WeightsError> {
        let dir = self.imported_dir();
        let failed = || WeightsError::io(format!("{} cannot be read", dir.display()));
        let entries = match fs::read_dir(&dir) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed())?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let file = entry.map_err(failed())?.file_name();
            let name = file.to_str().and_then(|file| file.strip_suffix(ENDING)).filter(|name| check_name(name).is_ok());
            names.extend(name.map(str::to_owned));
        }
        names.sort();
        let read = |name: String| {
            let found = self.import_path(&name).and_then(|path| Imported::read(&name, &path));
            (name, found)
        };
        Ok(names.into_iter().map(read).collect())
    }
}

/// Checks that a name can be that of an imported model: also of a file, on every system.
fn check_name(name: &str) -> Result<(), WeightsError> {
    let invalid = |why: &str| Err(WeightsError::InvalidName { name: excerpt(name), why: why.into() });
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let starts_well = name.starts_with(is_plain);
    if name.len() > 64 || !starts_well || !name.chars().all(|c| is_plain(c) || matches!(c, '.' | '_' | '-')) {
        return invalid(
            "use up to 64 of the characters a-z, 0-9, dot, hyphen and underscore, the first a letter or digit",
        );
    }
    if name.ends_with('.') || name.ends_with(ENDING) {
        return invalid("leave out the ending");
    }
    if MODELS.iter().any(|spec| spec.name == name) || RECIPES.iter().any(|recipe| recipe.name == name) {
        return invalid("it is the name of a published model");
    }
    let stem = name.split('.').next().unwrap_or_default();
    let is_port = |stem: &str| stem.len() == 4 && (stem.starts_with("com") || stem.starts_with("lpt"));
    if DEVICES.contains(&stem) || is_port(stem) && stem.ends_with(|c: char| c.is_ascii_digit()) {
        return invalid("it is the name of a device");
    }
    Ok(())
}

/// Returns the names of the stems that a network with this configuration gives.
///
/// # Errors
///
/// [`WeightsError::Malformed`] if the configuration does not name them, or a name cannot be that of a file; else as
/// [`stems_of`].
pub(super) fn stems(config: &Value) -> Result<Vec<String>, WeightsError> {
    let malformed = |what: &str| WeightsError::Malformed(format!("{what} in its configuration"));
    let training = |key: &str| config.get("training").and_then(|training| training.get(key));
    let name = |value: &Value| -> Result<String, WeightsError> {
        let name = value.as_str().map(str::to_lowercase).filter(|name| is_stem(name));
        name.ok_or_else(|| malformed(&format!("the instrument {} has no usable name", excerpt(&value.to_string()))))
    };
    let listed =
        training("instruments").and_then(Value::as_array).filter(|names| (1..=MAX_STEMS).contains(&names.len()));
    let listed =
        listed.ok_or_else(|| malformed(&format!("training.instruments is not a list of 1 to {MAX_STEMS} names")))?;
    let mut stems: Vec<String> = Vec::new();
    for instrument in listed {
        let stem = name(instrument)?;
        if stems.contains(&stem) {
            return Err(malformed(&format!("the instrument {stem} occurs twice")));
        }
        stems.push(stem);
    }
    let separated = match training("target_instrument") {
        None | Some(Value::Null) => stems.clone(),
        Some(target) => vec![name(target)?],
    };
    Ok(stems_of(&separated, &stems)?.iter().map(ToString::to_string).collect())
}

/// Returns the stems that a network gives. One that separates a single stem leaves the other instrument, or the
/// instrumental.
///
/// # Errors
///
/// [`WeightsError::Unsupported`] if a name cannot be the name of a stem, or two stems have the same.
pub(crate) fn stems_of(separated: &[String], instruments: &[String]) -> Result<Vec<Stem>, WeightsError> {
    let stem = |name: &String| {
        let plain = name.trim().to_lowercase().replace(' ', "-");
        plain.parse::<Stem>().map_err(|e| WeightsError::Unsupported(e.to_string()))
    };
    let mut stems = separated.iter().map(stem).collect::<Result<Vec<_>, _>>()?;
    if let [target] = stems[..] {
        let others = instruments.iter().map(stem).collect::<Result<Vec<_>, _>>()?;
        let others: Vec<_> = others.into_iter().filter(|&other| other != target).collect();
        stems.push(match others[..] {
            [other] => other,
            _ if target == Stem::INSTRUMENTAL => Stem::OTHER,
            _ => Stem::INSTRUMENTAL,
        });
    }
    match stems.iter().enumerate().find(|(at, stem)| stems[..*at].contains(stem)) {
        Some((_, stem)) => Err(WeightsError::Unsupported(format!("two stems of the name {stem}"))),
        None => Ok(stems),
    }
}

fn is_stem(name: &str) -> bool {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_' | '+' | '&');
    !name.is_empty() && name.len() <= 64 && name.trim() == name && name.chars().all(is_plain)
}
