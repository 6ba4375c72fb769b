//! Tests of the `vocalizer` binary: real files, output and exit codes.

mod again;
mod albums;
mod bad_audio;
mod bad_places;
mod demucs;
mod devices;
mod droppings;
mod evaluate;
mod imports;
mod models;
mod naming;
mod output;
mod parts;
mod pipes;
mod precision;
mod running;
mod separate;
mod speech;
mod stems;
mod summary;
mod support;
mod templates;
mod tracks;
#[cfg(unix)]
mod two_runs;
mod watch;
mod weights;
