//! The envelope of every JSON response.

use serde::de::{self, IntoDeserializer};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ApiError;

/// A response: `{"ok", "errors", "data"}` in JSON, one of two variants in Rust.
///
/// As an enum, a response cannot be `ok` and have errors. Missing keys are accepted when reading, because the original
/// system sends `errors` and `data` only where they apply.
///
/// ```
/// use vocalizer_api::{ApiError, Envelope, ErrorCode};
///
/// let gone: Envelope<()> = Envelope::failure(ApiError::new(ErrorCode::NotFound, "song not found"));
/// assert_eq!(gone.into_result().unwrap_err()[0].code, ErrorCode::NotFound);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Envelope<T> {
    /// The request succeeded. `Success(())` has no data; its `data` is `null`.
    Success(T),
    /// The request failed with these errors.
    Failure(Vec<ApiError>),
}

impl<T> Envelope<T> {
    /// Returns a failure with one error.
    #[must_use]
    pub fn failure(error: ApiError) -> Self {
        Self::Failure(vec![error])
    }

    /// Returns the response as a `Result`.
    ///
    /// # Errors
    ///
    /// The errors of an [`Envelope::Failure`]; other servers may send none.
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
            (true, _) if !errors.is_empty() => Err(de::Error::custom("a successful response must not have errors")),
            (true, Some(data)) => Ok(Self::Success(data)),
            // `null` is valid if `T` is `()` or an `Option`; let `T` decide.
            (true, None) => T::deserialize(().into_deserializer()).map(Self::Success),
        }
    }
}
