mod conformance;
mod crash;
mod durable;
#[path = "../../../vocalizer-store/sql/tests/support/file.rs"]
mod file;
mod foreign;
mod full;
mod opening;
mod support;
mod surviving;
