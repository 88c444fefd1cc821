//! Ports for the programs under test.
//!
//! A port that the system chose and that was closed again can be given to any outgoing connection before the program under
//! test has it. So ports come from below the range that systems choose from, and each test process has a block of its own.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::OnceLock;

/// Blocks of ports lie between these: above the well-known ones and those of the browser tests (`tests/browser/ports.mjs`),
/// below 32768, where Linux begins to choose ports by itself.
const FIRST: u16 = 20_000;
const END: u16 = 32_000;
/// One for the claim, the rest to give out in turn: a port comes again when those that had it are long over, also those that are
/// killed and started again on it.
const BLOCK: u16 = 600;

/// The ports of this process. Its first one is held for as long as the process lives, which is what claims the block.
struct Block {
    claim: TcpListener,
    next: AtomicU16,
}

impl Block {
    fn claimed() -> Self {
        let blocks = (END - FIRST) / BLOCK;
        let start = (std::process::id() % u32::from(blocks)) as u16;
        let mut candidates = (0..blocks).map(|i| FIRST + (start + i) % blocks * BLOCK);
        let claim = candidates.find_map(|first| TcpListener::bind(("127.0.0.1", first)).ok());
        Self {
            claim: claim.expect("one of twenty blocks of ports is free"),
            next: AtomicU16::new(0),
        }
    }

    fn port(&self) -> u16 {
        let first = self.claim.local_addr().expect("a bound listener has an address").port();
        let mut candidates = (0..BLOCK).map(|_| first + 1 + self.next.fetch_add(1, Ordering::Relaxed) % (BLOCK - 1));
        let port = candidates.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
        port.expect("a port of this process's own block is free")
    }
}

/// Four ports that no other test process uses: libp2p, libp2p over WebSocket, chain, page.
pub fn free_ports() -> [u16; 4] {
    static BLOCK_OF_THIS_PROCESS: OnceLock<Block> = OnceLock::new();
    let block = BLOCK_OF_THIS_PROCESS.get_or_init(Block::claimed);
    [(); 4].map(|()| block.port())
}
