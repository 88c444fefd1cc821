//! What the process has taken of the machine: processor time and memory.
//!
//! For the reports of parameter generation and for the measurements in `examples` and `benches`.

use std::fs;

/// Processor time and memory of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Processor time since the process began, of all its threads, in seconds; system time included.
    pub cpu_seconds: f64,
    /// The highest resident memory since the process began or [`reset_peak`] was called, in bytes.
    pub peak_memory: u64,
}

impl Usage {
    /// As it is now; zeros if the system does not say.
    pub fn now() -> Self {
        let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
        // SAFETY: getrusage fills the structure it is given; all-zero bytes are a valid rusage anyway.
        let usage = unsafe {
            if libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) != 0 {
                return Self::default();
            }
            usage.assume_init()
        };
        let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
        // Linux counts in KiB, macOS in bytes.
        let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
        let since_start = u64::try_from(usage.ru_maxrss).unwrap_or(0) * unit;
        Self {
            cpu_seconds: seconds(usage.ru_utime) + seconds(usage.ru_stime),
            peak_memory: high_water().unwrap_or(since_start),
        }
    }
}

/// Begins to look for the peak anew. Linux only; elsewhere the peak stays that of the whole process.
pub fn reset_peak() {
    // The kernel refuses it in some containers: then peaks are those since the process began, never too low.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// Linux's own record of the peak, which can be reset.
fn high_water() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
