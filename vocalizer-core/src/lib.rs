//! The domain of Vocalizer: what songs, stems and their owners are, free of I/O.

pub mod part;
