mod bad_input;
mod conformance;
mod properties;
mod reading;
mod receiving;
mod streaming;
mod support;
mod writing;
