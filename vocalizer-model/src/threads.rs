//! How many threads compute.

use crate::Error;

/// Keeps every computation of this process to `threads` threads.
///
/// # Errors
///
/// [`Error::Options`] where threads were already started; call it first.
pub fn set_threads(threads: usize) -> Result<(), Error> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .map_err(|e| Error::Options(format!("the number of threads cannot be set to {threads}: {e}")))
}
