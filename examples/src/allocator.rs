//! glibc's memory allocator, made to return what songs no longer need.

/// Fixes the sizes from which glibc maps memory by itself and from which it returns the end of its heap.
///
/// By default glibc raises both whenever a larger block is freed. Tensors then come from its heaps, which do not shrink: a worker that
/// splits short songs grows to twice what it needs. Call this before the program starts threads.
pub(crate) fn return_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    for (threshold, bytes) in [(libc::M_MMAP_THRESHOLD, 1 << 20), (libc::M_TRIM_THRESHOLD, 16 << 20)] {
        // SAFETY: no other thread runs yet. A value that glibc refuses changes nothing.
        unsafe { libc::mallopt(threshold, bytes) };
    }
}
