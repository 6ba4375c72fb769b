mod conformance;
mod crash;
#[path = "../../../vocalizer-store/sql/tests/support/database.rs"]
mod database;
mod leases;
mod lines;
mod opening;
mod outages;
#[path = "../../../vocalizer-store/sql/tests/support/proxy.rs"]
mod proxy;
#[path = "../../../vocalizer-store/sql/tests/support/server.rs"]
mod server;
mod servers;
mod support;
