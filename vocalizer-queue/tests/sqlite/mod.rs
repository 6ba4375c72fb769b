mod conformance;
mod crash;
mod foreign;
mod full;
mod opening;
mod support;
mod surviving;
