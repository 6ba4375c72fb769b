//! Configures glibc's allocator to return freed memory.

/// Fixes glibc's mmap and trim thresholds.
///
/// By default glibc raises both whenever a larger block is freed. Tensors are then allocated from heaps that do not shrink, and a worker
/// that splits short songs uses twice the memory it needs. Call this before the program starts threads.
pub(crate) fn return_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    for (threshold, bytes) in [(libc::M_MMAP_THRESHOLD, 1 << 20), (libc::M_TRIM_THRESHOLD, 16 << 20)] {
        // SAFETY: no other thread runs yet. glibc ignores an invalid value.
        unsafe { libc::mallopt(threshold, bytes) };
    }
}
