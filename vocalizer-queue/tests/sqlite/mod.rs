mod conformance;
mod crash;
mod durable;
mod foreign;
mod full;
mod opening;
mod support;
mod surviving;
