mod bad_input;
mod properties;
mod reading;
mod support;
mod writing;
