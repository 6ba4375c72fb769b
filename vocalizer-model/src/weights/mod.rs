//! Weights: the published models, their download, their cache, and their file format.
//!
//! Vocalizer ships no weights. [`find`] looks up a published model, [`recipe`] one that is made of others, [`Cache`] locates
//! their files on this machine, [`fetch`] downloads them (feature `fetch`), and [`WeightsFile`] reads a file and checks it against the network that
//! its arguments describe: no missing key, no extra key, every shape as expected. A model that was published as a checkpoint is
//! converted to such a file once.
//!
//! Other people's checkpoints can be imported into the cache: [`CheckpointFile`] reads one as data,
//! [`read_toolkit_config`] its configuration, and [`Cache::import`] writes both as one safetensors file.

mod cache;
mod checkpoint;
mod container;
mod digest;
#[cfg(feature = "fetch")]
mod download;
mod dtype;
mod error;
mod family;
#[cfg(feature = "fetch")]
mod fetch;
mod file;
#[cfg(feature = "fetch")]
mod http;
mod import;
mod imported;
mod layout;
mod onnx;
mod prefixes;
mod recipes;
mod registry;
mod save;
mod spec;
mod tensors;
mod toolkit_config;

pub use cache::Cache;
pub use checkpoint::CheckpointFile;
#[cfg(feature = "separate")]
pub(crate) use digest::of_networks;
#[cfg(feature = "fetch")]
pub use download::{FetchListener, NoListener, SourceError, WeightsSource};
pub use dtype::Dtype;
pub use error::{Tried, WeightsError};
pub use family::Family;
#[cfg(feature = "fetch")]
pub use fetch::{Fetcher, fetch};
pub use file::WeightsFile;
pub use import::{Import, ImportCheck, ImportPrecision};
#[cfg(feature = "separate")]
pub(crate) use imported::stems_of;
pub use imported::{FoundImport, Imported};
#[cfg(feature = "separate")]
pub(crate) use layout::Arguments;
pub use layout::layout;
pub use onnx::{HalfTensor, import_onnx};
pub use recipes::{Mean, RECIPES, Recipe, RecipeStep, recipe};
pub use registry::{MODELS, find};
pub use save::save_half;
pub use spec::{Licence, MemberSpec, ModelSpec, Score, Source, Terms};
pub use tensors::{Tensors, check_layout};
pub use toolkit_config::{parse_toolkit_config, read_toolkit_config};
