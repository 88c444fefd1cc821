//! A host: a network namespace and its one device.

use std::fs::File;
use std::io::Error;
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};
use std::sync::Arc;

/// The device's name on every host.
const DEVICE: &[u8] = b"wire0";
/// Bytes of a packet, at most: Ethernet's. Larger ones would make transports look faster than they are between machines.
pub const MTU: usize = 1500;

/// See the module. It is there for as long as this, or a process in it, is.
pub struct Host {
    pub name: String,
    pub addresses: Vec<IpAddr>,
    /// Packets: what is read was sent by the host, what is written it receives.
    pub device: Arc<File>,
    /// Keeps the namespace, and is how `enter` finds it.
    pub namespace: File,
}

impl Host {
    /// Makes one. The calling thread lives in its namespace from here on, so let it be a thread that ends.
    pub fn make(name: &str, addresses: &[IpAddr]) -> Result<Self, String> {
        let failed = |what: &str, error: Error| format!("{name}: {what}: {error}");
        // SAFETY: unshare takes a number and touches no memory.
        if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
            return Err(failed(
                "network namespaces are not allowed here",
                Error::last_os_error(),
            ));
        }
        let namespace = File::open("/proc/thread-self/ns/net").map_err(|e| failed("its namespace", e))?;
        let device = device().map_err(|e| failed("TUN devices are not allowed here", e))?;
        ip(&["link", "set", "lo", "up"])?;
        for address in addresses {
            add(address)?;
        }
        ip(&["link", "set", "wire0", "mtu", &MTU.to_string(), "up"])?;
        Ok(Self {
            name: name.to_owned(),
            addresses: addresses.to_vec(),
            device: Arc::new(device),
            namespace,
        })
    }

    /// Gives it this address in place of those that it has. The calling thread must be a thread that ends.
    pub fn readdress(&mut self, address: IpAddr) -> Result<(), String> {
        // SAFETY: setns takes two numbers and touches no memory.
        if unsafe { libc::setns(self.namespace.as_raw_fd(), libc::CLONE_NEWNET) } != 0 {
            return Err(Error::last_os_error().to_string());
        }
        // The old ones first: with the first address of a prefix the system takes the later ones away.
        for old in std::mem::replace(&mut self.addresses, vec![address]) {
            ip(&["address", "del", &prefixed(&old), "dev", "wire0"])?;
        }
        add(&address)
    }
}

fn device() -> Result<File, Error> {
    let file = File::options().read(true).write(true).open("/dev/net/tun")?;
    // SAFETY: all bytes zero is a valid ifreq, which has only numbers and arrays of them.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(DEVICE) {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: TUNSETIFF reads and writes an ifreq, and `request` is one.
    match unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &mut request) } {
        0 => Ok(file),
        _ => Err(Error::last_os_error()),
    }
}

/// An address with the prefix that all hosts of the network have in common.
fn prefixed(address: &IpAddr) -> String {
    let bits = if address.is_ipv4() { 24 } else { 64 };
    format!("{address}/{bits}")
}

fn add(address: &IpAddr) -> Result<(), String> {
    let prefixed = prefixed(address);
    match address {
        IpAddr::V4(_) => ip(&["address", "add", &prefixed, "dev", "wire0"]),
        // Nobody else can have it: no need to ask.
        IpAddr::V6(_) => ip(&["address", "add", &prefixed, "dev", "wire0", "nodad"]),
    }
}

/// Runs `ip` in the calling thread's namespace.
fn ip(arguments: &[&str]) -> Result<(), String> {
    let run = Command::new("ip").args(arguments).stdin(Stdio::null()).output();
    let output = run.map_err(|e| format!("`ip` (iproute2) cannot be started: {e}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!(
            "ip {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        )),
    }
}
