//! Workers that come over HTTP: all they know of the service is its address and a token.

mod backend;
mod place;
mod queue;
mod working;
