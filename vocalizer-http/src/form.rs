//! Form fields in three encodings, and query parameters.

use std::collections::HashMap;

use http::{HeaderMap, header};
use serde_json::Value;
use url::form_urlencoded;
use vocalizer_core::api::ErrorCode;
use vocalizer_core::secret::Secret;

use crate::body::RequestBody;
use crate::failure::Failure;
use crate::fields::{Field, Input, Kind};

/// Maximum size of a form, except uploads.
pub(crate) const MAX_FORM_BYTES: usize = 64 * 1024;

/// Maximum number of fields in a form.
const MAX_FIELDS: usize = 64;

/// The fields of a form. All are secrets, because some hold passwords.
#[derive(Debug)]
pub(crate) struct Form(HashMap<String, Secret<String>>);

impl Form {
    /// Reads the declared fields of a form in any of the three supported encodings. Other fields are ignored.
    pub(crate) async fn read(input: Input, headers: &HeaderMap, body: RequestBody) -> Result<Self, Failure> {
        let mut form = Self::decode(headers, body).await?;
        let Input::Form { required, optional } = input else { return Err(Failure::internal("the route has no form")) };
        form.0.retain(|name, _| required.iter().chain(optional).any(|field| field.name == name));
        Ok(form)
    }

    async fn decode(headers: &HeaderMap, body: RequestBody) -> Result<Self, Failure> {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/x-www-form-urlencoded" => {
                let body = body.whole(MAX_FORM_BYTES).await?;
                Self::collect(form_urlencoded::parse(&body).into_owned())
            }
            "application/json" => Self::json(&body.whole(MAX_FORM_BYTES).await?),
            "multipart/form-data" => {
                let boundary = multer::parse_boundary(kind).map_err(|e| malformed(format!("invalid form: {e}")))?;
                let body = body.whole(MAX_FORM_BYTES).await?;
                Self::multipart(boundary, body).await
            }
            _ => {
                let message = "use application/x-www-form-urlencoded, multipart/form-data or application/json";
                Err(Failure::new(ErrorCode::Unsupported, message))
            }
        }
    }

    /// Removes and returns a field. A missing field is the same as an empty one.
    pub(crate) fn take(&mut self, field: &Field) -> Secret<String> {
        self.0.remove(field.name).unwrap_or_default()
    }

    /// Parses a field as a whole number. An empty or missing one has its default.
    pub(crate) fn number(&mut self, field: &'static Field) -> Result<Option<u64>, Failure> {
        match (self.take(field).expose().as_str(), field.kind) {
            ("", Kind::Whole(whole)) => Ok(whole.default),
            (text, _) => field.number(text).map(Some).map_err(|message| Failure::field(field.name, message)),
        }
    }

    fn json(body: &[u8]) -> Result<Self, Failure> {
        let value: Value = serde_json::from_slice(body).map_err(|e| malformed(format!("invalid JSON: {e}")))?;
        let Value::Object(fields) = value else { return Err(malformed("the JSON must be an object")) };
        let fields = fields.into_iter().map(|(name, value)| match value {
            Value::String(text) => Ok((name, text)),
            Value::Number(number) => Ok((name, number.to_string())),
            Value::Null => Ok((name, String::new())),
            Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                Err(malformed("JSON fields must be strings or numbers"))
            }
        });
        Self::collect(fields.collect::<Result<Vec<_>, _>>()?)
    }

    async fn multipart(boundary: String, body: bytes::Bytes) -> Result<Self, Failure> {
        let broken = |e: multer::Error| malformed(format!("invalid form: {e}"));
        let body = futures_util::stream::iter([Ok::<_, std::io::Error>(body)]);
        let mut form = multer::Multipart::new(body, boundary);
        let mut fields = Vec::new();
        while let Some(field) = form.next_field().await.map_err(broken)? {
            let name = field.name().unwrap_or_default().to_owned();
            if fields.len() == MAX_FIELDS {
                return Err(malformed(format!("the form has more than {MAX_FIELDS} fields")));
            }
            let bytes = field.bytes().await.map_err(broken)?;
            fields.push((name, text(&bytes)?));
        }
        Self::collect(fields)
    }

    fn collect(fields: impl IntoIterator<Item = (String, String)>) -> Result<Self, Failure> {
        let mut form = HashMap::new();
        for (name, value) in fields {
            if form.len() == MAX_FIELDS {
                return Err(malformed(format!("the form has more than {MAX_FIELDS} fields")));
            }
            if form.insert(name, Secret::new(value)).is_some() {
                return Err(malformed("duplicate form field"));
            }
        }
        Ok(Self(form))
    }
}

/// Returns the text of a field.
pub(crate) fn text(bytes: &[u8]) -> Result<String, Failure> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| malformed("form field is not valid UTF-8"))
}

pub(crate) fn malformed(message: impl Into<String>) -> Failure {
    Failure::new(ErrorCode::Malformed, message)
}

/// The declared parameters of a query string. Others are ignored.
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(declared: &[&Field], query: &str) -> Self {
        let parameters = form_urlencoded::parse(query.as_bytes()).into_owned();
        Self(parameters.filter(|(name, _)| declared.iter().any(|field| field.name == name)).collect())
    }

    pub(crate) fn has(&self, field: &Field) -> bool {
        self.0.iter().any(|(name, _)| name == field.name)
    }

    /// Parses a parameter with `read`. Returns `None` if it is missing.
    pub(crate) fn get<T>(&self, field: &'static Field, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Failure> {
        let Some((_, text)) = self.0.iter().find(|(name, _)| name == field.name) else { return Ok(None) };
        match read(text) {
            Some(value) => Ok(Some(value)),
            None => Err(Failure::field(field.name, format!("invalid value for parameter {}", field.name))),
        }
    }

    /// Parses a whole number in the declared range. Returns `None` if it is missing.
    pub(crate) fn number(&self, field: &'static Field) -> Result<Option<u64>, Failure> {
        let text = self.0.iter().find(|(name, _)| name == field.name);
        let number = text.map(|(_, text)| field.number(text)).transpose();
        number.map_err(|message| Failure::field(field.name, message))
    }
}
