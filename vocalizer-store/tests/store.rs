//! What the store promises, by behaviour.

mod archive;
