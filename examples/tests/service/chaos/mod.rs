//! Kills and disconnects processes of a cluster repeatedly at chosen steps: nothing is lost, and no result is stored
//! twice.
//!
//! The test runs itself as child processes: a server on PostgreSQL with its files in a folder or a bucket, and workers
//! that lease jobs from RabbitMQ, or over HTTP from the queue in PostgreSQL, and deliver over HTTP. Each child can kill
//! itself at a chosen step. The parent owns the broker, the database and a proxy in front of the queue, uploads songs,
//! and checks what is stored in the end.
//!
//! `everything` repeats some faults while songs have different models, owners, share links and webhooks. `models` covers workers
//! that lack a model or die while they load it.
//!
//! `machines` covers misbehaving parts: a rejected worker, damaged or hanging files, a suspended server, servers with
//! different clocks.
//!
//! `VOCALIZER_CHAOS_ROUNDS` sets how often each fault is injected (default 2). `VOCALIZER_CHAOS_BUCKET=s3://…` puts the
//! files into a bucket; the usual AWS variables name its server.

mod blobs;
mod child;
mod database;
mod everything;
mod faults;
mod given_up;
mod guests;
mod machines;
mod models;
mod place;
mod process;
mod proxy;
