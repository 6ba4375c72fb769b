//! Vocalizer over HTTP: so far the parts that need no connection.
//!
//! | module | what it is for |
//! | --- | --- |
//! | [`answer`] | the envelope as a response, with the status that an error code stands for |
//! | [`range`] | what a `Range` header asks for, given how large the file is |
//! | [`disposition`] | the name under which a part is saved, from the song's title |
//!
//! The server over hyper comes with the service and stands on these.
//!
//! # Example
//!
//! What the head of a partial download is made of:
//!
//! ```
//! use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
//! use vocalizer_core::part::Part;
//! use vocalizer_core::song::Title;
//! use vocalizer_http::disposition::{self, Kind};
//! use vocalizer_http::range::Selection;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut request = HeaderMap::new();
//! request.insert(header::RANGE, HeaderValue::from_static("bytes=0-99"));
//!
//! let file_bytes = 1000;
//! let selection = Selection::of(&request, file_bytes);
//! assert_eq!(selection, Selection::Part(0..100));
//! assert_eq!(selection.status(), StatusCode::PARTIAL_CONTENT);
//! assert_eq!(selection.content_range(file_bytes).unwrap(), "bytes 0-99/1000");
//!
//! let title = Title::parse("Für Elise", 200)?;
//! assert_eq!(
//!     disposition::header(Kind::Attachment, &title, Part::Vocals, "mp3"),
//!     "attachment; filename=\"F_r Elise (vocals).mp3\"; filename*=UTF-8''F%C3%BCr%20Elise%20%28vocals%29.mp3"
//! );
//! # Ok(())
//! # }
//! ```

pub mod answer;
pub mod disposition;
pub mod range;
