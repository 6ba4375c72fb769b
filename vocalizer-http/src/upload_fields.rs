//! What a client tells about the song that it uploads, in a form or in the metadata of a resumable upload.

use std::collections::BTreeMap;

use http::HeaderMap;
use vocalizer_core::account::Viewer;
use vocalizer_core::service::{ModelChoice, SongUpload};
use vocalizer_core::song::SongId;

use crate::failure::Failure;
use crate::form::malformed;

/// The name under which a resumable upload keeps the key of its creation.
const KEY: &str = "idempotency-key";

/// Maximum length of an `Idempotency-Key`.
const MAX_KEY_BYTES: usize = 255;

/// The fields beside the file.
#[derive(Debug, Default)]
pub(crate) struct UploadFields {
    pub(crate) title: Option<String>,
    id: Option<SongId>,
    duplicates: Option<bool>,
    pub(crate) choice: ModelChoice,
    /// The key with which the client can repeat the upload.
    key: Option<String>,
}

impl UploadFields {
    /// The names of the fields in a form.
    pub(crate) const NAMES: [&str; 5] = ["title", "id", "duplicates", "model", "stems"];

    /// Sets a field from its text. Unknown fields are skipped.
    pub(crate) fn set(&mut self, name: &str, text: String) -> Result<(), Failure> {
        let is_repeated = match name {
            "title" => self.title.replace(text).is_some(),
            "id" => {
                let id = text.parse().map_err(|_| Failure::field("id", "id must be a UUID"))?;
                self.id.replace(id).is_some()
            }
            "duplicates" => {
                let duplicates = match text.as_str() {
                    "allow" => true,
                    "refuse" => false,
                    _ => return Err(Failure::field("duplicates", "duplicates must be allow or refuse")),
                };
                self.duplicates.replace(duplicates).is_some()
            }
            "model" => self.choice.model.replace(text).is_some(),
            "stems" => self.choice.stems.replace(text).is_some(),
            KEY => self.key.replace(text).is_some(),
            _ => false,
        };
        if is_repeated {
            return Err(malformed(format!("duplicate form field: {name}")));
        }
        Ok(())
    }

    /// Sets the key from the header.
    pub(crate) fn set_key(&mut self, headers: &HeaderMap) -> Result<(), Failure> {
        self.key = idempotency_key(headers)?;
        Ok(())
    }

    /// Reads the kept fields of a resumable upload. Without a title, the file name is one.
    pub(crate) fn kept(fields: &BTreeMap<String, String>) -> Result<Self, Failure> {
        let mut read = Self::default();
        for (name, text) in fields {
            read.set(name, text.clone())?;
        }
        let stem = |name: &String| {
            let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
            name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_owned()
        };
        read.title = read.title.or_else(|| fields.get("filename").map(stem));
        Ok(read)
    }

    /// Returns the ID of the song, if the client chose it or a key.
    pub(crate) fn chosen_id(&self, viewer: Viewer) -> Option<SongId> {
        self.id.or_else(|| Some(SongUpload::id_of_key(viewer, self.key.as_ref()?)))
    }

    /// Prepares an upload: sets the ID, the model and the stems, and refuses duplicates if asked to.
    pub(crate) fn prepare(&self, upload: SongUpload) -> SongUpload {
        let upload = match (self.id, &self.key) {
            (Some(id), _) => upload.with_id(id),
            (None, Some(key)) => upload.with_key(key),
            (None, None) => upload,
        };
        let upload = upload.with_choice(self.choice.clone());
        if self.duplicates == Some(false) { upload.refusing_duplicates() } else { upload }
    }
}

/// Keeps the key of the header for the end of a resumable upload.
pub(crate) fn keep_key(fields: &mut BTreeMap<String, String>, headers: &HeaderMap) -> Result<(), Failure> {
    // Only the header sets it.
    fields.remove(KEY);
    fields.extend(idempotency_key(headers)?.map(|key| (KEY.to_owned(), key)));
    Ok(())
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Failure> {
    let Some(key) = headers.get(KEY) else { return Ok(None) };
    let key = key.to_str().unwrap_or_default();
    if (1..=MAX_KEY_BYTES).contains(&key.len()) {
        return Ok(Some(key.to_owned()));
    }
    let message = format!("Idempotency-Key must have 1 to {MAX_KEY_BYTES} ASCII characters");
    Err(Failure::field("Idempotency-Key", message))
}
