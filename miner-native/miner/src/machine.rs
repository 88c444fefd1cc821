//! What this machine gives: its cores, the memory that is left for the prover, the disk; and what of the memory this process holds.
//!
//! Memory is what the system calls available, or what a control group (a container, say) leaves of its limit, whichever is
//! less. Where neither can be read there is no bound but the slots of the prover's selection.

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
pub(crate) fn cores() -> u64 {
    std::thread::available_parallelism().map_or(1, NonZero::get) as u64
}

/// Bytes that a process may take now; `None` where the system does not say.
pub(crate) fn available_memory() -> Option<u64> {
    let system = of_table("/proc/meminfo", "MemAvailable:");
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

/// What this machine is called; `None` where the system does not say.
pub(crate) fn host_name() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = name.or_else(|| std::env::var("HOSTNAME").ok())?;
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

/// Bytes of memory that this machine has; `None` where the system does not say.
pub(crate) fn total_memory() -> Option<u64> {
    of_table("/proc/meminfo", "MemTotal:")
}

/// Bytes of memory that this process holds; `None` where the system does not say.
pub(crate) fn own_memory() -> Option<u64> {
    of_table("/proc/self/status", "VmRSS:")
}

fn of_table(table: &str, row: &str) -> Option<u64> {
    fs::read_to_string(table).ok().and_then(|text| row_of(&text, row))
}

/// A row of one of the system's tables, in bytes.
fn row_of(text: &str, row: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(row))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn available_memory_is_read_from_the_systems_table() {
        let text = "MemTotal:       24670544 kB\nMemFree:         1000 kB\nMemAvailable:   16 kB\n";
        assert_eq!(row_of(text, "MemAvailable:"), Some(16 * 1024));
        assert_eq!(row_of("MemTotal: 5 kB\n", "MemAvailable:"), None);
        assert_eq!(row_of("MemAvailable: many kB\n", "MemAvailable:"), None);
    }

    #[test]
    fn this_machine_has_cores() {
        assert!(cores() >= 1);
    }
}
