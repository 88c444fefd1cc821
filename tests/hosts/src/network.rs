//! The hosts together: which packet goes where, how late, and which not at all.
//!
//! It is told what to do in lines of its standard input, and answers each with one line, `ok …` or `error …`:
//!
//! ```text
//! path NAME DELAY LOSS   packets from and to a host take DELAY microseconds more; of a million, LOSS are lost
//! cut NAME NAME          nothing goes between two hosts any more
//! mend NAME NAME         it does again
//! move NAME ADDRESS      a host has this address now, and no other
//! count                  how many packets were forwarded, lost on purpose, cut off, for nobody, for want of room
//! ```

use crate::host::{Host, MTU};
use crate::packet::ends;
use crate::wire::Wire;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, Read, Write};
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

/// Hosts of a network, at most: the last number of an address.
const MAX_HOSTS: usize = 250;

/// What a host's own line does to packets, in both directions.
#[derive(Debug, Clone, Copy, Default)]
struct Line {
    delay: Duration,
    /// Of a million packets.
    loss: u64,
}

/// Where packets go.
#[derive(Default)]
struct Routes {
    by_address: BTreeMap<IpAddr, usize>,
    lines: Vec<Line>,
    /// Pairs of hosts, the smaller number first.
    cut: BTreeSet<(usize, usize)>,
}

/// What became of packets.
#[derive(Default)]
struct Counts {
    forwarded: AtomicU64,
    lost: AtomicU64,
    cut: AtomicU64,
    nobody: AtomicU64,
    full: AtomicU64,
}

struct Network {
    hosts: Vec<Host>,
    routes: Arc<RwLock<Routes>>,
    counts: Arc<Counts>,
}

/// Makes the network, says where its hosts are, and does what standard input says until that ends.
pub fn run(hosts: &[String]) -> Result<(), String> {
    become_root()?;
    let mut network = Network::of(hosts)?;
    for host in &network.hosts {
        let (process, file) = (std::process::id(), host.namespace.as_raw_fd());
        say(&format!("host {} /proc/{process}/fd/{file}", host.name))?;
    }
    say("ready")?;
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|e| format!("standard input: {e}"))?;
        match network.obey(&line) {
            Ok(answer) => say(format!("ok {answer}").trim_end())?,
            Err(reason) => say(&format!("error {reason}"))?,
        }
    }
    Ok(())
}

fn say(line: &str) -> Result<(), String> {
    let mut out = std::io::stdout().lock();
    let said = writeln!(out, "{line}").and_then(|()| out.flush());
    said.map_err(|e| format!("standard output: {e}"))
}

/// Root in a user namespace of its own, unless it is root already. Before any thread is started.
fn become_root() -> Result<(), String> {
    // SAFETY: these touch no memory.
    let (user, group) = unsafe { (libc::geteuid(), libc::getegid()) };
    if user == 0 {
        return Ok(());
    }
    // SAFETY: as above.
    if unsafe { libc::unshare(libc::CLONE_NEWUSER) } != 0 {
        let reason = std::io::Error::last_os_error();
        return Err(format!(
            "this is not root, and user namespaces are not allowed here: {reason}"
        ));
    }
    let maps = [
        ("setgroups", "deny".to_owned()),
        ("uid_map", format!("0 {user} 1")),
        ("gid_map", format!("0 {group} 1")),
    ];
    for (name, text) in maps {
        std::fs::write(format!("/proc/self/{name}"), text).map_err(|e| format!("/proc/self/{name}: {e}"))?;
    }
    Ok(())
}

impl Network {
    fn of(hosts: &[String]) -> Result<Self, String> {
        if hosts.len() > MAX_HOSTS {
            return Err(format!("{} hosts are more than {MAX_HOSTS}", hosts.len()));
        }
        let hosts: Vec<Host> = hosts.iter().map(|text| make(text)).collect::<Result<_, _>>()?;
        let wires: Arc<Vec<Wire>> = Arc::new(hosts.iter().map(|host| Wire::to(host.device.clone())).collect());
        let routes = Routes {
            lines: vec![Line::default(); hosts.len()],
            ..Routes::default()
        };
        let (routes, counts) = (Arc::new(RwLock::new(routes)), Arc::<Counts>::default());
        let mut network = Self { hosts, routes, counts };
        network.find_addresses()?;
        for (number, host) in network.hosts.iter().enumerate() {
            let router = Router {
                number,
                device: host.device.clone(),
                routes: network.routes.clone(),
                wires: wires.clone(),
                counts: network.counts.clone(),
                dice: 0x9e37_79b9_7f4a_7c15 ^ (number as u64 + 1),
            };
            std::thread::spawn(move || router.run());
        }
        Ok(network)
    }

    fn find_addresses(&mut self) -> Result<(), String> {
        let mut by_address = BTreeMap::new();
        for (number, host) in self.hosts.iter().enumerate() {
            for address in &host.addresses {
                if by_address.insert(*address, number).is_some() {
                    return Err(format!("two hosts have the address {address}"));
                }
            }
        }
        write(&self.routes).by_address = by_address;
        Ok(())
    }

    fn number(&self, name: &str) -> Result<usize, String> {
        let found = self.hosts.iter().position(|host| host.name == name);
        found.ok_or_else(|| format!("there is no host {name:?}"))
    }

    /// Does what a line says; gives the answer's rest.
    fn obey(&mut self, line: &str) -> Result<String, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["path", name, delay, loss] => {
                let number = self.number(name)?;
                let [delay, loss] = [delay, loss].map(str::parse::<u64>);
                let (Ok(delay), Ok(loss)) = (delay, loss) else {
                    return Err("delay and loss are numbers".to_owned());
                };
                let line = Line {
                    delay: Duration::from_micros(delay),
                    loss,
                };
                if let Some(place) = write(&self.routes).lines.get_mut(number) {
                    *place = line;
                }
            }
            ["cut", one, other] => {
                let pair = pair(self.number(one)?, self.number(other)?);
                write(&self.routes).cut.insert(pair);
            }
            ["mend", one, other] => {
                let pair = pair(self.number(one)?, self.number(other)?);
                write(&self.routes).cut.remove(&pair);
            }
            ["move", name, address] => {
                let number = self.number(name)?;
                let address = address.parse().map_err(|e| format!("{address:?}: {e}"))?;
                if let Some(host) = self.hosts.get_mut(number) {
                    on_a_thread(|| host.readdress(address))?;
                }
                self.find_addresses()?;
            }
            ["count"] => return Ok(self.counts.to_string()),
            _ => return Err(format!("{line:?} is not understood")),
        }
        Ok(String::new())
    }
}

/// Makes a host of `NAME=ADDRESS[,ADDRESS]`.
fn make(text: &str) -> Result<Host, String> {
    let (name, addresses) = text
        .split_once('=')
        .ok_or_else(|| format!("{text:?} is no NAME=ADDRESS"))?;
    let addresses = addresses.split(',').map(|address| {
        let parsed = address.parse::<IpAddr>();
        parsed.map_err(|e| format!("{address:?}: {e}"))
    });
    let addresses: Vec<IpAddr> = addresses.collect::<Result<_, _>>()?;
    on_a_thread(|| Host::make(name, &addresses))
}

/// Does something that changes the thread's namespace.
fn on_a_thread<T: Send>(work: impl FnOnce() -> Result<T, String> + Send) -> Result<T, String> {
    std::thread::scope(|scope| scope.spawn(work).join())
        .unwrap_or_else(|_| Err("a thread that changed its namespace panicked".to_owned()))
}

fn pair(one: usize, other: usize) -> (usize, usize) {
    (one.min(other), one.max(other))
}

/// A panic while it was held leaves it whole: every change is one call.
fn read(routes: &RwLock<Routes>) -> RwLockReadGuard<'_, Routes> {
    routes.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(routes: &RwLock<Routes>) -> RwLockWriteGuard<'_, Routes> {
    routes.write().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all = [&self.forwarded, &self.lost, &self.cut, &self.nobody, &self.full];
        let [forwarded, lost, cut, nobody, full] = all.map(|count| count.load(Ordering::Relaxed));
        write!(f, "{forwarded} {lost} {cut} {nobody} {full}")
    }
}

/// What takes the packets that one host sends.
struct Router {
    number: usize,
    device: Arc<File>,
    routes: Arc<RwLock<Routes>>,
    wires: Arc<Vec<Wire>>,
    counts: Arc<Counts>,
    /// The state of numbers that look random and are the same in every run.
    dice: u64,
}

impl Router {
    fn run(mut self) {
        let mut buffer = [0; MTU];
        loop {
            let mut device = &*self.device;
            let Ok(length) = device.read(&mut buffer) else { return };
            let count = self.forward(buffer.get(..length).unwrap_or_default());
            count(&self.counts).fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Sends a packet on; says what became of it.
    fn forward(&mut self, packet: &[u8]) -> fn(&Counts) -> &AtomicU64 {
        let routes = read(&self.routes);
        let to = ends(packet).and_then(|(_, to)| routes.by_address.get(&to).copied());
        let Some(to) = to else { return |counts| &counts.nobody };
        if routes.cut.contains(&pair(self.number, to)) {
            return |counts| &counts.cut;
        }
        let line = |number: usize| routes.lines.get(number).copied().unwrap_or_default();
        let (from, into) = (line(self.number), line(to));
        drop(routes);
        // Each line loses for itself.
        if self.is_hit(from.loss) || self.is_hit(into.loss) {
            return |counts| &counts.lost;
        }
        let sent = self
            .wires
            .get(to)
            .map(|wire| wire.send(packet, from.delay + into.delay));
        match sent {
            Some(true) => |counts| &counts.forwarded,
            Some(false) => |counts| &counts.full,
            None => |counts| &counts.nobody,
        }
    }

    /// Whether one of a million that has this chance is hit.
    fn is_hit(&mut self, chance: u64) -> bool {
        if chance == 0 {
            return false;
        }
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        (self.dice >> 16) % 1_000_000 < chance
    }
}
