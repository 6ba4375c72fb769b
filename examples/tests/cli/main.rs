//! The command as its users meet it: the real binary, real files, its words and its exit codes.

mod bad_audio;
mod bad_places;
mod devices;
mod separate;
mod speech;
mod support;
mod weights;
