//! The number of computing threads.

use crate::Error;

/// Limits all computation in this process to `threads` threads.
///
/// # Errors
///
/// [`Error::Options`] if threads are already running; call it before anything else.
pub fn set_threads(threads: usize) -> Result<(), Error> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .map_err(|e| Error::Options(format!("cannot set the number of threads to {threads}: {e}")))
}
