//! The frame around every answer.

use serde::de::{self, IntoDeserializer};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ApiError;

/// An answer: `{"ok", "errors", "data"}` on the wire, one of two things in Rust.
///
/// As an enum, an answer cannot be `ok` and carry errors. Reading is lenient about keys that are missing, because the
/// original says that they are there "where something went wrong" and "where there is one".
///
/// ```
/// use vocalizer_core::api::{ApiError, Envelope, ErrorCode};
///
/// let gone: Envelope<()> = Envelope::failure(ApiError::new(ErrorCode::NotFound, "there is no such song"));
/// assert_eq!(gone.into_result().unwrap_err()[0].code, ErrorCode::NotFound);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Envelope<T> {
    /// It worked. `Success(())` is the answer where there is nothing to say; its `data` is `null`.
    Success(T),
    /// It did not, for these reasons.
    Failure(Vec<ApiError>),
}

impl<T> Envelope<T> {
    /// A failure for a single reason.
    #[must_use]
    pub fn failure(error: ApiError) -> Self {
        Self::Failure(vec![error])
    }

    /// The answer as a `Result`.
    ///
    /// # Errors
    ///
    /// The errors of a [`Envelope::Failure`]; an answer from elsewhere may have failed without naming any.
    pub fn into_result(self) -> Result<T, Vec<ApiError>> {
        match self {
            Self::Success(data) => Ok(data),
            Self::Failure(errors) => Err(errors),
        }
    }
}

impl<T: Serialize> Serialize for Envelope<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (errors, data): (&[ApiError], _) = match self {
            Self::Success(data) => (&[], Some(data)),
            Self::Failure(errors) => (errors, None),
        };
        let mut envelope = serializer.serialize_struct("Envelope", 3)?;
        envelope.serialize_field("ok", &data.is_some())?;
        envelope.serialize_field("errors", errors)?;
        envelope.serialize_field("data", &data)?;
        envelope.end()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Envelope<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename = "Envelope")]
        struct Wire<T> {
            ok: bool,
            errors: Option<Vec<ApiError>>,
            data: Option<T>,
        }

        let Wire { ok, errors, data } = Wire::<T>::deserialize(deserializer)?;
        let errors = errors.unwrap_or_default();
        match (ok, data) {
            (false, _) => Ok(Self::Failure(errors)),
            (true, _) if !errors.is_empty() => Err(de::Error::custom("an answer that is ok carries no errors")),
            (true, Some(data)) => Ok(Self::Success(data)),
            // `null` is the right answer where `T` is `()` or an `Option`, and only `T` knows.
            (true, None) => T::deserialize(().into_deserializer()).map(Self::Success),
        }
    }
}
