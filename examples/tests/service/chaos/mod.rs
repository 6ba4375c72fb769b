//! Many machines, killed and cut off at the worst moments, again and again: nothing is lost, and nothing is stored twice.
//!
//! The test runs itself as children: a server on PostgreSQL with its files in a folder or a bucket, and workers that take jobs from
//! RabbitMQ, or over HTTP from the queue in PostgreSQL, and deliver over HTTP, each with ports that kill the process at a
//! chosen step. The parent owns the broker, the database and a proxy in front of what carries jobs, uploads, and looks at
//! what is there in the end.
//!
//! Beside what dies there is what misbehaves (`machines`): a worker that is refused, files that are damaged or hang, a server
//! that stands still, servers whose clocks differ.
//!
//! `VOCALIZER_CHAOS_ROUNDS` says how often each fault comes; 2 if nothing is said.
//! `VOCALIZER_CHAOS_BUCKET=s3://…` puts the files into a bucket, whose server is in the usual variables of AWS.

mod blobs;
mod child;
mod database;
mod faults;
mod given_up;
mod machines;
mod place;
mod proxy;
