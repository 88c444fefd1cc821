//! A network of several hosts on one machine, for tests (design §3).
//!
//! ```text
//! test-network run NAME=ADDRESS[,ADDRESS]...     the network, until its standard input ends
//! test-network enter NAMESPACE PROGRAM [ARG]...  runs a program on one of its hosts
//! ```
//! Each host is a network namespace with one TUN device; the other ends of all devices are here, where packets are routed between them
//! with the delay and the loss that the test asks for ([`network`]). So TCP, UDP and whatever comes next meet the same path, and real
//! TCP retransmits what is really lost; no kernel module for that is needed.
//!
//! Nothing has a name in the system: devices and namespaces go with the processes that hold them, also after a kill. Programs that were
//! started with `enter` die with whoever started them. Where one is not root, a user namespace of its own makes one so.
//!
//! `tests/hosts/network.mjs` drives it; what it answers is lines of text.

#[cfg(target_os = "linux")]
mod enter;
#[cfg(target_os = "linux")]
mod host;
#[cfg(target_os = "linux")]
mod network;
#[cfg(target_os = "linux")]
mod packet;
#[cfg(target_os = "linux")]
mod wire;

use std::process::ExitCode;

const USAGE: &str = "test-network run NAME=ADDRESS[,ADDRESS]... | enter NAMESPACE PROGRAM [ARG]...";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("error: {reason}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(target_os = "linux")]
fn run(arguments: &[String]) -> Result<(), String> {
    match arguments.split_first() {
        Some((command, hosts)) if command == "run" && !hosts.is_empty() => network::run(hosts),
        Some((command, [namespace, program, rest @ ..])) if command == "enter" => {
            Err(enter::enter(namespace, program, rest))
        }
        _ => Err(USAGE.to_owned()),
    }
}

#[cfg(not(target_os = "linux"))]
fn run(_: &[String]) -> Result<(), String> {
    Err(format!("network namespaces are Linux's: {USAGE}"))
}
