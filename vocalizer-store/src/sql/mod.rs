//! Code shared by the SQL engines: reading rows and transaction rules.
//!
//! `sqlite` and `postgres` each declare the modules in the folder `engine`, so they are compiled once for each engine. A
//! generic version would need a bound for each type in each statement. The module `engine` of each contains what differs.

pub(crate) mod rows;
pub(crate) mod rules;
