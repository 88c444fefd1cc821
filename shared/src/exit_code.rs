//! What the programs end with, for scripts and for whatever starts them anew. 0 is success, 1 any other failure.

/// A check that can be decided only later, such as a proof whose window has not come yet.
pub const UNDECIDED: u8 = 3;
/// `sealdrop doctor` or `sealdrop init` found something that is wrong, or `sealdrop client watch --once` a copy that did not come back, or a file that is not
/// kept as it was ordered.
pub const UNWELL: u8 = 4;
/// The daemon could not keep one of its services running: start it anew. `EX_SOFTWARE` of `sysexits.h`.
pub const SERVICE_FAILED: u8 = 70;
