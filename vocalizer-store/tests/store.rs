//! Behaviour tests of the storage adapters.

#![expect(clippy::unwrap_used, reason = "the exception for tests in clippy.toml does not cover their helpers")]

mod archive;
mod files;
mod model;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "s3")]
mod s3;
mod sqlite;
mod system;
