//! Code shared by the SQL engines: reading rows, transaction rules and migrations.

pub(crate) mod migrations;
pub(crate) mod rows;
pub(crate) mod rules;
