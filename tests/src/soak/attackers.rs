//! The hostile peers of the soak: each has an address of its own, and plays one attack after the other without end.

use super::Random;
use crate::hostile::attacks::{self, Target};
use crate::hostile::Relay;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Seconds for which an attack goes on, and those before the next one.
const SPAN: (u64, u64) = (5, 25);
const PAUSE: (u64, u64) = (1, 6);
const LOOK: Duration = Duration::from_millis(100);

/// They stop with this.
pub(super) struct Attackers {
    stop: Arc<AtomicBool>,
    attacks: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<()>>,
}

impl Attackers {
    /// So many peers attack the daemon on these ports.
    pub fn begin(count: u8, ports: [u16; 4], seed: u64) -> Result<Self, String> {
        let (stop, attacks) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut threads = Vec::new();
        for number in 0..count {
            let relay = Relay::from(Ipv4Addr::new(127, 0, 0, 2 + number), ports).map_err(super::steered::text)?;
            let random = Random::of(seed + u64::from(number));
            let (stop, attacks) = (stop.clone(), attacks.clone());
            threads.push(std::thread::spawn(move || attack(&relay, random, &stop, &attacks)));
        }
        Ok(Self { stop, attacks, threads })
    }

    /// Attacks that were begun.
    pub fn attacks(&self) -> usize {
        self.attacks.load(Ordering::SeqCst)
    }

    pub fn stop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            // One that panicked has ended, too.
            let _ = thread.join();
        }
    }
}

impl Drop for Attackers {
    fn drop(&mut self) {
        self.stop();
    }
}

fn attack(relay: &Relay, mut random: Random, stop: &AtomicBool, attacks: &AtomicUsize) {
    while !stop.load(Ordering::SeqCst) {
        let kind = &attacks::ALL[random.below(attacks::ALL.len() as u64) as usize];
        // The honest clients need some, too.
        if kind.takes_money {
            continue;
        }
        // Counted at its beginning: some take seconds to unfold.
        attacks.fetch_add(1, Ordering::SeqCst);
        let attack = kind.begin(&Target::of_several(relay.ports()));
        wait(random.seconds(SPAN), stop);
        drop(attack);
        wait(random.seconds(PAUSE), stop);
    }
}

fn wait(span: Duration, stop: &AtomicBool) {
    let began = Instant::now();
    while began.elapsed() < span && !stop.load(Ordering::SeqCst) {
        std::thread::sleep(LOOK);
    }
}
