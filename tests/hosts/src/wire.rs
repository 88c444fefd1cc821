//! The way of packets to one host: each is handed over when it is due.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Bytes under way to one host, at most; what comes then is dropped, as by a router. A gigabyte a second at 60 ms.
const MAX_UNDER_WAY: usize = 64 << 20;

/// See the module. Clones are the same.
#[derive(Clone)]
pub struct Wire {
    device: Arc<File>,
    queue: Arc<(Mutex<Queue>, Condvar)>,
}

#[derive(Default)]
struct Queue {
    /// The next one is on top; the number keeps the order of those that are due at the same time.
    packets: BinaryHeap<Reverse<(Instant, u64, Vec<u8>)>>,
    bytes: usize,
    number: u64,
}

impl Wire {
    /// A wire to the host with this device, whose packets are handed over by a thread of its own.
    pub fn to(device: Arc<File>) -> Self {
        let queue = Arc::default();
        let wire = Self { device, queue };
        let other = wire.clone();
        std::thread::spawn(move || other.hand_over());
        wire
    }

    /// Sends a packet that is `delay` under way; whether there was room for it.
    pub fn send(&self, packet: &[u8], delay: Duration) -> bool {
        if delay.is_zero() {
            receive(&self.device, packet);
            return true;
        }
        let (queue, news) = &*self.queue;
        let mut queue = lock(queue);
        if queue.bytes + packet.len() > MAX_UNDER_WAY {
            return false;
        }
        queue.push(Instant::now() + delay, packet.to_vec());
        news.notify_one();
        true
    }

    fn hand_over(&self) {
        let (queue, news) = &*self.queue;
        let mut held = lock(queue);
        loop {
            let now = Instant::now();
            match held.pop_due(now) {
                Ok(packet) => {
                    drop(held);
                    receive(&self.device, &packet);
                    held = lock(queue);
                }
                Err(None) => held = news.wait(held).unwrap_or_else(PoisonError::into_inner),
                Err(Some(due)) => {
                    let waited = news.wait_timeout(held, due.saturating_duration_since(now));
                    held = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
    }
}

impl Queue {
    fn push(&mut self, due: Instant, packet: Vec<u8>) {
        self.bytes += packet.len();
        self.number += 1;
        self.packets.push(Reverse((due, self.number, packet)));
    }

    /// The next packet, or when it is due, or nothing when there is none.
    fn pop_due(&mut self, now: Instant) -> Result<Vec<u8>, Option<Instant>> {
        let Some(Reverse((due, ..))) = self.packets.peek() else {
            return Err(None);
        };
        if *due > now {
            return Err(Some(*due));
        }
        let Some(Reverse((.., packet))) = self.packets.pop() else {
            return Err(None);
        };
        self.bytes -= packet.len();
        Ok(packet)
    }
}

/// A host whose device is down, or that has no room, loses the packet, as anywhere.
fn receive(mut device: &File, packet: &[u8]) {
    let _ = device.write(packet);
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_come_when_they_are_due_and_in_their_order() {
        let (start, mut queue) = (Instant::now(), Queue::default());
        let after = |ms| start + Duration::from_millis(ms);
        queue.push(after(20), vec![3]);
        queue.push(after(10), vec![1, 1]);
        queue.push(after(10), vec![2]);
        assert_eq!(queue.pop_due(start), Err(Some(after(10))));
        assert_eq!(queue.pop_due(after(10)), Ok(vec![1, 1]));
        assert_eq!(queue.pop_due(after(15)), Ok(vec![2]));
        assert_eq!(queue.pop_due(after(15)), Err(Some(after(20))));
        assert_eq!(queue.bytes, 1);
        assert_eq!(queue.pop_due(after(30)), Ok(vec![3]));
        assert_eq!(queue.pop_due(after(30)), Err(None));
        assert_eq!(queue.bytes, 0);
    }
}
