//! Tests of the `vocalizer` binary: real files, output and exit codes.

mod bad_audio;
mod bad_places;
mod devices;
mod output;
mod separate;
mod speech;
mod support;
mod weights;
