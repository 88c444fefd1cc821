//! Calls of a storage miner (spec §5.3).

use super::{read, Call};
use crate::chain::abi::{Abi, Integer, SectorNumber};
use crate::chain::address::Address;
use crate::chain::amount::{AttoFil, BytesAmount, Epoch};
use crate::chain::faults::{FaultSet, IntSet};
use crate::piece::Commitment;
use alloc::{vec, vec::Vec};

/// Offers storage at `price` attoFIL for a byte in a block, for the next `expiry` blocks. Returns its id: [`super::ask_id`].
pub fn add_ask(miner: &Address, price: AttoFil, expiry: u64) -> Call {
    Call::new(miner, "addAsk", vec![price.to_abi(), Integer(expiry).to_abi()])
}

/// Asks for one ask: [`super::returns::ask`].
pub fn ask(miner: &Address, id: u64) -> Call {
    Call::new(miner, "getAsk", vec![Integer(id).to_abi()])
}

/// Names another libp2p host for the miner; from its worker.
pub fn update_peer_id(miner: &Address, peer_id: &[u8]) -> Call {
    Call::new(miner, "updatePeerID", vec![peer_id.to_vec()])
}

/// Names another worker for the miner; from its owner.
pub fn change_worker(miner: &Address, worker: &Address) -> Call {
    Call::new(miner, "changeWorker", vec![worker.to_abi()])
}

/// Announces a replica before its seed is known (design §9); `ticket` is the height its ticket was drawn at. Locks
/// [`crate::chain::Policy::pre_commit_deposit`] of the miner's free money; value sent along (with [`Call::with_value`]) becomes
/// free money first.
pub fn pre_commit_sector(miner: &Address, id: u64, comm_d: &Commitment, comm_r: &Commitment, ticket: Epoch) -> Call {
    let params = vec![
        SectorNumber(id).to_abi(),
        comm_d.to_abi(),
        comm_r.to_abi(),
        ticket.to_abi(),
    ];
    Call::new(miner, "preCommitSector", params)
}

/// Commits a pre-committed sector with its seal proof.
pub fn commit_sector(
    miner: &Address,
    id: u64,
    comm_d: &Commitment,
    comm_r: &Commitment,
    comm_r_star: &Commitment,
    proof: &[u8],
) -> Call {
    let mut params = vec![SectorNumber(id).to_abi()];
    params.extend([comm_d, comm_r, comm_r_star].map(Abi::to_abi));
    params.push(proof.to_vec());
    Call::new(miner, "commitSector", params)
}

/// Proves all sectors of the proving set; `fee` is what [`late_fee`] asks, 0 when on time.
pub fn submit_post(miner: &Address, proof: &[u8], fee: AttoFil) -> Call {
    submit_post_without(miner, proof, &FaultSet::default(), &IntSet::default(), fee)
}

/// As [`submit_post`]; the proof leaves out the sectors in `faults`, which are dropped and lose their collateral, and
/// those in `done` are dropped after this proof and set their collateral free.
pub fn submit_post_without(miner: &Address, proof: &[u8], faults: &FaultSet, done: &IntSet, fee: AttoFil) -> Call {
    let params = vec![proof.to_vec(), faults.to_abi(), done.to_abi()];
    Call::new(miner, "submitPoSt", params).with_value(fee)
}

/// Declares sectors faulty for now: they lose their power, and before the window opens they leave its proof.
pub fn add_faults(miner: &Address, faults: &FaultSet) -> Call {
    Call::new(miner, "addFaults", vec![faults.to_abi()])
}

/// Says that faulty sectors can be proven again; the next proof must cover them.
pub fn recover_faults(miner: &Address, sectors: &IntSet) -> Call {
    Call::new(miner, "recoverFaults", vec![sectors.to_abi()])
}

/// Begins a new proving period after one was missed; burns the collateral of one slash from the miner's free money and
/// `value`. After a slash it costs nothing.
pub fn restart_proving(miner: &Address, value: AttoFil) -> Call {
    Call::new(miner, "restartProving", Vec::new()).with_value(value)
}

/// Asks what a proof at `height` costs: [`super::returns::money`].
pub fn late_fee(miner: &Address, height: Epoch) -> Call {
    Call::new(miner, "calculateLateFee", vec![height.to_abi()])
}

/// Takes a miner's power away that missed a proof and its grace.
pub fn slash_storage_fault(miner: &Address) -> Call {
    Call::new(miner, "slashStorageFault", Vec::new())
}

/// Asks whether a piece lies in a sector of the miner.
pub fn verify_piece_inclusion(
    miner: &Address,
    comm_p: &Commitment,
    size: BytesAmount,
    sector: u64,
    proof: &[u8],
) -> Call {
    let params = vec![
        comm_p.to_abi(),
        size.to_abi(),
        SectorNumber(sector).to_abi(),
        proof.to_vec(),
    ];
    Call::new(miner, "verifyPieceInclusion", params)
}

/// Asks for the ids of its asks, expired ones included: [`super::returns::ask_ids`].
pub fn asks(miner: &Address) -> Call {
    read(miner, "getAsks")
}

/// Asks whose miner it is: [`super::returns::address`].
pub fn owner(miner: &Address) -> Call {
    read(miner, "getOwner")
}

/// Asks who works for it: [`super::returns::address`].
pub fn worker(miner: &Address) -> Call {
    read(miner, "getWorker")
}

/// Asks for its libp2p host: [`super::returns::bytes`].
pub fn peer_id(miner: &Address) -> Call {
    read(miner, "getPeerID")
}

/// Asks for the size of its sectors, in bytes: [`super::returns::size`].
pub fn sector_size(miner: &Address) -> Call {
    read(miner, "getSectorSize")
}

/// Asks for the bytes of its proven sectors: [`super::returns::size`].
pub fn power(miner: &Address) -> Call {
    read(miner, "getPower")
}

/// Asks for the money that its sectors lock up: [`super::returns::money`].
pub fn active_collateral(miner: &Address) -> Call {
    read(miner, "getActiveCollateral")
}

/// Asks for the number of the sector that it committed last: [`super::returns::sector`].
pub fn last_used_sector_id(miner: &Address) -> Call {
    read(miner, "getLastUsedSectorID")
}

/// Asks whether it was made in genesis, so that its proofs go unchecked: [`super::returns::flag`].
pub fn is_bootstrap_miner(miner: &Address) -> Call {
    read(miner, "isBootstrapMiner")
}

/// Asks how it stands with its proofs: [`super::returns::post_state`].
pub fn post_state(miner: &Address) -> Call {
    read(miner, "getPoStState")
}

/// Asks for the blocks in which its next proof is on time: [`super::returns::proving_window`].
pub fn proving_window(miner: &Address) -> Call {
    read(miner, "getProvingWindow")
}

/// Asks for the sectors that its next proof must cover: [`super::returns::commitments`].
pub fn proving_set_commitments(miner: &Address) -> Call {
    read(miner, "getProvingSetCommitments")
}
