//! What the engines have in common: reading rows, the rules of a step, and what has become of the tables.

pub(crate) mod migrations;
pub(crate) mod rows;
pub(crate) mod rules;
