//! The chain's rules, message by message: a small world of three keys, one of which may run a miner. Every message is
//! followed by a check of the chain's invariants.

extern crate std;

mod broker;
mod calling;
mod earning;
mod faults;
mod gathering;
mod messages;
mod networks;
mod proving;
mod registry;
mod sealing;
mod sequence;
mod wallets;

use super::actors::Context;
use super::calls::{self, Call};
use super::randomness::{draw, Purpose};
use super::*;
use crate::chain::verifier::{prover_id, FakeVerifier, SealClaim, WindowPoStClaim};
use crate::chain::voucher::{PaymentVoucher, Predicate};
use crate::piece::{CommPHasher, Commitment, InclusionProof, SectorLayout, SectorSize};
use crate::wire::cbor::Bytes;
use alloc::{format, string::String, string::ToString, vec, vec::Vec};
use cid::Cid;
use std::sync::OnceLock;

/// Bytes of the piece in every test sector.
const PIECE: usize = 500;

#[derive(Clone)]
struct World {
    state: ChainState,
    /// Its genesis id.
    network: Cid,
    height: u64,
    /// Opens channels.
    client: SecretKey,
    /// Owns and works the miner.
    owner: SecretKey,
    stranger: SecretKey,
    verifier: FakeVerifier,
}

/// The usual numbers, but for the seed's delay: the heights in these tests count with six blocks.
fn policy() -> Policy {
    Policy {
        seed_delay: 6,
        ..Policy::default()
    }
}

fn key(byte: u8) -> SecretKey {
    SecretKey::from_bytes(&[byte; 32]).unwrap()
}

/// Every block's ticket is its height.
fn beacon(height: Epoch) -> Option<Vec<u8>> {
    Some(height.0.to_be_bytes().to_vec())
}

fn fil(amount: u64) -> AttoFil {
    AttoFil::from_fil(amount)
}

impl World {
    fn new() -> Self {
        Self::of(key(1))
    }

    /// A world with this client.
    fn of(client: SecretKey) -> Self {
        let (owner, stranger) = (key(2), key(3));
        let allocations = [&client, &owner, &stranger].map(|key| (key.address(), fil(1000)));
        let genesis = Genesis {
            network: "test".into(),
            policy: policy(),
            supply: fil(2_000_000_000),
            allocations: allocations.into(),
        };
        let state = ChainState::genesis(genesis).unwrap();
        Self {
            state,
            network: keys::cid_of_bytes(b"genesis"),
            height: 1000,
            client,
            owner,
            stranger,
            verifier: FakeVerifier::default(),
        }
    }

    /// A world with a miner of 2 KiB sectors and 1 FIL of collateral.
    fn with_miner() -> (Self, Address) {
        let mut world = Self::new();
        let owner = world.owner.clone();
        let receipt = world.send(&owner, calls::create_storage_miner(SectorSize::S2KiB, b"peer", fil(1)));
        let miner = calls::miner_address(&receipt).unwrap();
        (world, miner)
    }

    /// A world whose miner committed sectors 0 to `count - 1`, the first of which is in its proving set.
    fn with_sectors(count: u64) -> (Self, Address) {
        let (mut world, miner) = Self::with_miner();
        for id in 0..count {
            assert_eq!(world.commit(&miner, id).exit_code, 0);
        }
        (world, miner)
    }

    fn context(&self) -> Context<'_> {
        Context {
            height: Epoch(self.height),
            network: &self.network,
            beacon: &beacon,
            verifier: &self.verifier,
        }
    }

    fn sign(&self, from: &SecretKey, call: Call) -> SignedMessage {
        call.message(&from.address(), self.state.nonce(&from.address()))
            .sign(from)
    }

    /// Ends the blocks before this height.
    fn end_blocks(&mut self) {
        let last = Epoch(self.height.saturating_sub(1));
        if self.state.height < last {
            end_block(&mut self.state, last);
            self.check();
        }
    }

    fn check(&self) {
        self.state.check_invariants().expect("the chain's invariants hold");
    }

    /// Gives a miner this much more collateral, out of nothing, and the supply with it.
    fn endow(&mut self, miner: &Address, collateral: u128) {
        let state = self.state.miners.get_mut(miner).expect("the miner exists");
        let more = collateral - state.active_collateral.0;
        state.active_collateral.0 += more;
        state.balance.0 += more;
        self.state.supply.0 += more;
    }

    fn apply(&mut self, signed: &SignedMessage) -> Result<Receipt, ApplyError> {
        self.end_blocks();
        let mut state = self.state.clone();
        let result = apply(&mut state, signed, &self.context());
        self.state = state;
        self.check();
        result
    }

    fn send(&mut self, from: &SecretKey, call: Call) -> Receipt {
        let signed = self.sign(from, call);
        self.apply(&signed).unwrap()
    }

    /// Sends a message that must revert, checks that only nonce and gas changed, and gives its code and text.
    fn revert(&mut self, from: &SecretKey, call: Call) -> (u64, String) {
        self.end_blocks();
        let before = self.state.clone();
        let receipt = self.send(from, call);
        assert_ne!(receipt.exit_code, 0, "the message was to revert");
        assert!(receipt.returns.is_empty());
        let mut expected = before;
        let sender = expected.accounts.get_mut(&from.address()).unwrap();
        sender.nonce += 1;
        sender.balance = sender.balance.checked_sub(receipt.gas_cost).unwrap();
        let treasury = expected
            .accounts
            .get_mut(&Address::id(Address::NETWORK_TREASURY))
            .unwrap();
        treasury.balance = treasury.balance.checked_add(receipt.gas_cost).unwrap();
        assert_eq!(self.state, expected);
        (receipt.exit_code, receipt.error)
    }

    fn ask(&self, from: Option<&Address>, call: Call) -> Result<Vec<Vec<u8>>, Revert> {
        query(&self.state, &self.context(), from, &call.to, &call.method, call.params)
    }

    fn balance(&self, key: &SecretKey) -> u128 {
        self.state.balance(&key.address()).0
    }

    fn miner(&self, miner: &Address) -> &state::Miner {
        &self.state.miners[miner]
    }

    fn pre_commit(&self, miner: &Address, id: u64) -> Call {
        calls::pre_commit_sector(miner, id, &comm_d(), &comm_r(id), Epoch(self.height))
    }

    /// What the seal proof of a pre-committed sector claims.
    fn seal_claim(&self, miner: &Address, id: u64) -> SealClaim {
        let pre = &self.state.miners[miner].pre_commits[&id];
        let draw = |purpose, height| draw(purpose, &beacon(height).unwrap(), miner);
        SealClaim {
            sector_size: SectorSize::S2KiB,
            comm_r: pre.comm_r,
            comm_d: pre.comm_d,
            prover_id: prover_id(miner),
            sector: id,
            ticket: draw(Purpose::SealTicket, pre.ticket_epoch),
            seed: draw(Purpose::SealSeed, pre.seed_epoch(&self.state.policy)),
            proof: Vec::new(),
        }
    }

    fn commit_call(&self, miner: &Address, id: u64) -> Call {
        let proof = FakeVerifier::seal_tag(&self.seal_claim(miner, id));
        calls::commit_sector(miner, id, &comm_d(), &comm_r(id), &Commitment([9; 32]), &proof)
    }

    /// Pre-commits, waits for the seed and commits.
    fn commit(&mut self, miner: &Address, id: u64) -> Receipt {
        let owner = self.owner.clone();
        let call = self.pre_commit(miner, id);
        assert!(self.send(&owner, call).is_ok());
        self.height += self.state.policy.seed_delay;
        let call = self.commit_call(miner, id);
        self.send(&owner, call)
    }

    /// A proof of the proving set, for the running window.
    fn post_call(&self, miner: &Address, fee: AttoFil) -> Call {
        calls::submit_post(miner, &self.post_proof(miner, |_| true), fee)
    }

    /// The proof of those sectors of the proving set that are `covered`, for the running window.
    fn post_proof(&self, miner: &Address, covered: impl Fn(&u64) -> bool) -> Vec<u8> {
        let state = self.miner(miner);
        let (start, _) = state
            .proving_window(&self.state.policy)
            .expect("the miner has committed a sector");
        let covered = state.proving_set.iter().filter(|id| covered(id));
        let claim = WindowPoStClaim {
            sector_size: SectorSize::S2KiB,
            prover_id: prover_id(miner),
            randomness: draw(Purpose::WindowPoSt, &start.0.to_be_bytes(), miner),
            sectors: covered.map(|id| (*id, state.sectors[id].comm_r)).collect(),
            proof: Vec::new(),
        };
        FakeVerifier::window_post_tag(&claim)
    }
}

/// A sector with one piece in it; made once, since hashing takes most of a test's time.
fn layout() -> &'static SectorLayout {
    static LAYOUT: OnceLock<SectorLayout> = OnceLock::new();
    LAYOUT.get_or_init(|| {
        let mut layout = SectorLayout::new(SectorSize::S2KiB);
        let mut hasher = CommPHasher::new();
        hasher.push(&[7; PIECE]).expect("the piece is small");
        let piece = hasher.finish().expect("the piece is not empty");
        layout.place(piece.padded, piece.comm_p).expect("the piece fits");
        layout
    })
}

fn comm_p() -> Commitment {
    layout().pieces()[0].comm_p
}

fn comm_d() -> Commitment {
    static COMM_D: OnceLock<Commitment> = OnceLock::new();
    *COMM_D.get_or_init(|| layout().comm_d())
}

fn comm_r(id: u64) -> Commitment {
    Commitment([id as u8 + 100; 32])
}

fn inclusion() -> Vec<u8> {
    static INCLUSION: OnceLock<Vec<u8>> = OnceLock::new();
    INCLUSION
        .get_or_init(|| {
            let proof = InclusionProof::prove(layout(), 0).expect("the layout has a piece");
            proof.to_bytes()
        })
        .clone()
}
