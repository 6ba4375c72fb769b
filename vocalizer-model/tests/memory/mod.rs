//! The peak memory of a child process, in which no other test runs.

use std::process::Command;

/// Runs the test `child` of this program with an environment variable. Returns the peaks that it printed with [`print_peak`],
/// in KiB. There are none on systems other than Linux.
pub(crate) fn peaks_kib(child: &str, variable: &str, value: &str) -> Vec<u64> {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    let done = command.args(["--exact", child, "--nocapture"]).env(variable, value).output().expect("a process");
    let output = String::from_utf8_lossy(&done.stdout);
    let peaks = output.lines().filter_map(|line| line.split_once("VmHWM:")?.1.trim().strip_suffix(" kB"));
    let peaks: Vec<_> = peaks.map(|peak| peak.parse().expect("a number")).collect();
    assert!(done.status.success() && (!peaks.is_empty() || cfg!(not(target_os = "linux"))), "{output}");
    peaks
}

/// Prints the peak of this process so far.
pub(crate) fn print_peak() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    println!("{}", status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default());
}
