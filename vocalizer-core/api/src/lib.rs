//! Types of the HTTP API of Vocalizer, a music stem separation service: what servers, workers and clients exchange.
//!
//! This crate has no runtime, no I/O and no domain logic. The JSON types are at the root; every response is an [`Envelope`]. All three
//! of its keys are always present:
//!
//! ```json
//! {"ok": true, "errors": [], "data": {"songs": []}}
//! {"ok": false, "errors": [{"code": "not_found", "message": "there is no such song"}], "data": null}
//! ```
//!
//! | module | contents |
//! | --- | --- |
//! | [`id`] | identifiers of songs, users, API tokens, share links, resumable uploads, webhooks and leases |
//! | [`hash`] | the hash of a song's bytes |
//! | [`part`] | stems, parts that can be downloaded, and formats |
//! | [`limits`] | limits on input |
//! | [`model`] | names of models |
//! | [`secret`] | values that must not reach a log |
//! | [`backoff`] | pauses between attempts |
//! | [`causes`] | an error and its causes in one line |
//! | [`text`] | characters that do not show as they are |
//! | [`trace`] | trace contexts, which relate the work of several programs to each other |

// Labels items with the feature they need; docs.rs builds with nightly.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod backoff;
pub mod causes;
pub mod hash;
pub mod id;
pub mod limits;
pub mod model;
pub mod part;
pub mod secret;
pub mod text;
pub mod trace;

mod analysis;
mod failure;
mod provenance;
mod wire;

pub use analysis::{Analysis, AnalysisData, Key, LyricsData, Mode, Tempo, Tonic};
pub use failure::FailureReason;
pub use provenance::{InvalidProvenance, Provenance, Speed};
pub use wire::*;

/// Compiles the example in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
