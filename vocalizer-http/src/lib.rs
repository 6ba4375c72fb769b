//! The HTTP backend of Vocalizer, built on hyper.
//!
//! | module | purpose |
//! | --- | --- |
//! | [`server`] | the HTTP server |
//! | [`status`] | a small status server for programs without an API of their own, such as workers |
//! | [`settings`] | access rules, timeouts and limits |
//! | [`openapi`] | the OpenAPI document, built from the routing table |
//! | [`page`] | static files of a web page, served next to the API |
//! | [`answer`] | JSON responses in the envelope, with the status for each error code |
//! | [`range`] | parsing of the `Range` header |
//! | [`disposition`] | the file name of a download, from the song's title |
//! | [`cookie`] | reading and writing the session cookie |
//!
//! The rules are in `vocalizer-core`; this crate translates between them and HTTP. If hyper cannot parse a request,
//! hyper itself responds with a bare status and no envelope.
//!
//! # Example
//!
//! The headers of a partial download:
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
pub mod cookie;
pub mod disposition;
pub mod openapi;
pub mod page;
pub mod range;
pub mod server;
pub mod settings;
pub mod status;
mod upload_fields;

mod accept;
mod app;
mod body;
mod caps;
mod conditional;
mod failure;
mod fields;
mod form;
mod handlers;
mod hosts;
mod metrics;
mod origin;
mod probe;
mod pulse;
mod request;
mod routes;
mod share;
mod sniff;
mod trace;

/// Compiles the example in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
