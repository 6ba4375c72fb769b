//! Audio in and out, by behaviour.

mod bad_input;
mod decode;
mod encode;
mod resample;
pub(crate) mod support;
