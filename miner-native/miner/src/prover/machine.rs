//! What this machine gives: its cores, and the memory that is left for the prover.
//!
//! Memory is what the system calls available, or what a control group (a container, say) leaves of its limit, whichever is
//! less. Where neither can be read there is no bound but the slots of [`super::selection`].

use std::fs;
use std::num::NonZero;

/// Limits and uses of control groups, versions 2 and 1, as a process inside one sees them.
const GROUPS: [(&str, &str); 2] = [
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
    ),
];

/// Cores that threads may run on.
pub(super) fn cores() -> u64 {
    std::thread::available_parallelism().map_or(1, NonZero::get) as u64
}

/// Bytes that a process may take now; `None` where the system does not say.
pub(super) fn available_memory() -> Option<u64> {
    let system = fs::read_to_string("/proc/meminfo").ok().and_then(|text| meminfo(&text));
    let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    // A group without a limit says "max", which is no number.
    let group = GROUPS
        .iter()
        .find_map(|(limit, used)| Some(number(limit)?.saturating_sub(number(used)?)));
    match (system, group) {
        (Some(system), Some(group)) => Some(system.min(group)),
        (system, group) => system.or(group),
    }
}

/// `MemAvailable` in bytes.
fn meminfo(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn available_memory_is_read_from_the_systems_table() {
        let text = "MemTotal:       24670544 kB\nMemFree:         1000 kB\nMemAvailable:   16 kB\n";
        assert_eq!(meminfo(text), Some(16 * 1024));
        assert_eq!(meminfo("MemTotal: 5 kB\n"), None);
        assert_eq!(meminfo("MemAvailable: many kB\n"), None);
    }

    #[test]
    fn this_machine_has_cores() {
        assert!(cores() >= 1);
    }
}
