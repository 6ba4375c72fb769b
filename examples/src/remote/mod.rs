//! The commands of `remote`, for a service elsewhere.

mod accounts;
mod args;
mod audio;
mod connection;
mod credentials;
mod failure;
mod integration;
mod models;
mod report;
mod run;
mod shares;
mod songs;
mod trash;
mod webhooks;

pub(crate) use args::Remote;
pub(crate) use run::run;
