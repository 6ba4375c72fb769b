mod songs;

pub(crate) use songs::{agree, step};
