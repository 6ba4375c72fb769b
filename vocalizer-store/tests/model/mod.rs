mod songs;

pub(crate) use songs::{assert_agreement, step};
