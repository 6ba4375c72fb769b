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
mod naming;
mod output;
mod parts;
mod pipes;
mod separate;
mod speech;
mod summary;
mod support;
mod templates;
mod tracks;
mod watch;
mod weights;
