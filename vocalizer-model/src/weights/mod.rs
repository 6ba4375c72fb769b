//! Weights: the published models, their download, their cache, and their file format.
//!
//! Vocalizer ships no weights. [`find`] looks up a published model, [`Cache`] locates its files on this machine,
//! [`fetch`] downloads them (feature `fetch`), and [`WeightsFile`] reads a file and checks it against the network that
//! its arguments describe: no missing key, no extra key, every shape as expected.

mod cache;
mod digest;
#[cfg(feature = "fetch")]
mod download;
mod error;
#[cfg(feature = "fetch")]
mod fetch;
mod file;
#[cfg(feature = "fetch")]
mod http;
mod layout;
mod onnx;
mod registry;
mod save;

pub use cache::Cache;
#[cfg(feature = "fetch")]
pub use download::{FetchListener, NoListener, SourceError, WeightsSource};
pub use error::{Tried, WeightsError};
#[cfg(feature = "fetch")]
pub use fetch::{Fetcher, fetch};
pub use file::WeightsFile;
#[cfg(feature = "separate")]
pub(crate) use layout::Arguments;
pub use layout::layout;
pub use onnx::{HalfTensor, import_onnx};
pub use registry::{MODELS, MemberSpec, ModelSpec, find};
pub use save::save_half;
