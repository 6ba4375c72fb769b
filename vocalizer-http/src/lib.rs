//! The backend of Vocalizer over HTTP: the endpoints of the contract and what Vocalizer adds, over hyper.
//!
//! | module | what it is for |
//! | --- | --- |
//! | [`server`] | a listener in, connections served until it is time to stop |
//! | [`status`] | a smaller one for programs that have no interface of their own, such as workers |
//! | [`settings`] | who may do what, and how long anybody may take |
//! | [`openapi`] | the OpenAPI document, made of the same table that requests are routed by |
//! | [`page`] | a web page that is served beside the interface |
//! | [`answer`] | the envelope as a response, with the status that an error code stands for |
//! | [`range`] | what a `Range` header asks for, given how large the file is |
//! | [`disposition`] | the name under which a part is saved, from the song's title |
//! | [`cookie`] | the session's cookie, read and written |
//! | [`passwords`], [`clock`] | adapters of two small ports: argon2id, and the system's time |
//!
//! The rules are in `vocalizer-core`; this crate translates. An answer to a request that hyper cannot read as HTTP at all
//! is hyper's own, a bare status without an envelope.
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
pub mod clock;
pub mod cookie;
pub mod disposition;
pub mod openapi;
pub mod page;
pub mod passwords;
pub mod range;
pub mod server;
pub mod settings;
pub mod status;

mod accept;
mod app;
mod body;
mod caps;
mod conditional;
mod failure;
mod form;
mod handlers;
mod hosts;
mod metrics;
mod origin;
mod probe;
mod pulse;
mod request;
mod routes;
mod sniff;

/// Compiles the example in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
