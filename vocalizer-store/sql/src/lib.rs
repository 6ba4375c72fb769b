//! Opens the SQLite files and PostgreSQL databases of Vocalizer's stores and queues, and applies migrations.
//!
//! A part of `vocalizer-store` and `vocalizer-queue`, which may share a file or a database. Use those instead.

// Labels items with the feature they need; docs.rs builds with nightly.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod migrations;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod sqlite;

pub use migrations::Migrations;
