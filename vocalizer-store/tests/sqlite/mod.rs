mod conformance;
mod model;
mod opening;
mod songs;
mod support;
