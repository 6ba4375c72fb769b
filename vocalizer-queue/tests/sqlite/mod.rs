mod conformance;
mod crash;
mod opening;
mod support;
mod surviving;
