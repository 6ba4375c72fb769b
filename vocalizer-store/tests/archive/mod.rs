mod bad_input;
mod properties;
mod reading;
mod receiving;
mod support;
mod writing;
