//! What a receipt has of the chain: messages that are signed, applied and in their blocks, and tickets that are the authority's.

use super::{same, same_if_any, Anchoring, Finding};
use crate::chain::abi::{Abi, SectorNumber};
use crate::chain::calls::{self, commit_sector, redeem};
use crate::chain::light::header::ticket_is_valid;
use crate::chain::{Epoch, Message};
use crate::client::passport::artefact::{OnChain, Ticket};
use crate::client::passport::parts::{Parts, Placed};
use crate::client::passport::step::DealStep;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use cid::Cid;

impl Anchoring<'_> {
    /// The pre-commit announced the sector with the commitments that the miner tells its client.
    pub(super) fn pre_commit(&mut self) -> Finding {
        let Some(placed) = &self.parts.pre_commit else {
            return Ok(());
        };
        let is_proven = self.in_block(&placed.on_chain)?;
        let message = placed.on_chain.message.message();
        // Whose sector it is the miner has not said.
        let Some(info) = self.parts.proof_info() else {
            return Ok(());
        };
        let miner = &self.signed()?.proposal.miner_address;
        let (sector, comm_d, comm_r) = (info.sector_id, &info.comm_d, &info.comm_r);
        let expected = calls::pre_commit_sector(miner, sector, comm_d, comm_r, Epoch(0));
        same_call(message, &expected, 3)?;
        self.proven(|parts| parts.pre_commit.as_mut(), is_proven);
        Ok(())
    }

    /// The commit is the message that the miner named, with the same commitments.
    pub(super) fn commit(&mut self) -> Finding {
        let Some(placed) = &self.parts.commit else {
            return Ok(());
        };
        let is_proven = self.in_block(&placed.on_chain)?;
        let message = &placed.on_chain.message;
        let Some(info) = self.parts.proof_info() else {
            return Ok(());
        };
        let miner = &self.signed()?.proposal.miner_address;
        same("the commit's id", &message.cid(), &info.commitment_message)?;
        let (comm_d, comm_r, comm_c) = (&info.comm_d, &info.comm_r, &info.comm_r_star);
        let expected = commit_sector(miner, info.sector_id, comm_d, comm_r, comm_c, &[]);
        same_call(message.message(), &expected, 4)?;
        self.proven(|parts| parts.commit.as_mut(), is_proven);
        Ok(())
    }

    /// The tickets are the authority's, of the heights that pre-commit and rules call for: a seed that is known before the replica is made
    /// says beforehand which parts of it will be looked at.
    pub(super) fn tickets(&mut self) {
        self.run(DealStep::Commit, |all| {
            let tickets = [&all.parts.seal_ticket, &all.parts.seal_seed];
            tickets.into_iter().flatten().try_for_each(|ticket| all.ticket(ticket))
        });
        let (Some(pre), Some(seed)) = (&self.parts.pre_commit, &self.parts.seal_seed) else {
            return;
        };
        let Some(anchor) = &self.parts.anchor else { return };
        let due = pre.on_chain.height.plus(anchor.policy().seed_delay);
        let (found, is_proven) = (seed.height, pre.is_proven);
        let named = pre.on_chain.message.message().params.get(3);
        let named = named.and_then(|bytes| Epoch::from_abi(bytes).ok());
        self.run(DealStep::Commit, |all| match &all.parts.seal_ticket {
            Some(ticket) => same_if_any(
                "the height of the replica's ticket",
                Some(&ticket.height),
                named.as_ref(),
            ),
            None => Ok(()),
        });
        if found != due {
            // The seed's own height is signed; that of a pre-commit only where its block is shown.
            let step = match is_proven {
                true => DealStep::Commit,
                false => DealStep::Seal,
            };
            let reason = format!("the seed is of block {found}, and due in block {due}");
            self.run(step, |_| Err(reason));
            return;
        }
        self.parts.is_drawn = is_proven && self.parts.seal_ticket.is_some() && self.wrongs.spare(DealStep::Commit);
    }

    fn ticket(&self, ticket: &Ticket) -> Finding {
        let Some(anchor) = &self.parts.anchor else {
            return Ok(());
        };
        match ticket_is_valid(&ticket.ticket, anchor.authority(), anchor.genesis(), ticket.height) {
            true => Ok(()),
            false => Err(format!("the ticket of block {} is not the authority's", ticket.height)),
        }
    }

    pub(super) fn posts(&mut self) -> Finding {
        let miner = &self.signed()?.proposal.miner_address;
        let mut seen = BTreeSet::new();
        let mut proven = Vec::new();
        for (_, placed) in &self.parts.posts {
            let post = &placed.post;
            proven.push(self.in_block(&post.message)?);
            let message = post.message.message.message();
            if (&message.to, message.method.as_str()) != (miner, "submitPoSt") {
                return Err("a message proves no storage of this miner".to_string());
            }
            once(&mut seen, &post.message)?;
            let Some(claim) = &post.claim else { continue };
            self.ticket(&claim.window)?;
            if claim.window.height > post.message.height {
                return Err("a proof is older than the window that it is for".to_string());
            }
            let Some(info) = self.parts.proof_info() else { continue };
            let (sector, comm_r) = (info.sector_id, info.comm_r);
            if !claim.sectors.contains(&(sector, comm_r)) {
                return Err(format!("a proof does not cover sector {sector} with its commR"));
            }
        }
        for ((_, placed), is_proven) in self.parts.posts.iter_mut().zip(proven) {
            placed.is_proven = is_proven;
        }
        Ok(())
    }

    pub(super) fn redemptions(&mut self) -> Finding {
        let vouchers = self.parts.signed_vouchers();
        let claims: Vec<_> = vouchers.iter().map(|voucher| redeem(voucher, Vec::new())).collect();
        let (mut seen, mut redeemed) = (BTreeSet::new(), BTreeSet::new());
        let mut proven = Vec::new();
        for (_, placed) in &self.parts.redemptions {
            proven.push(self.in_block(&placed.on_chain)?);
            once(&mut seen, &placed.on_chain)?;
            let message = placed.on_chain.message.message();
            let redeems = claims.iter().zip(vouchers).position(|(claim, voucher)| {
                let same_method = ["redeem", "close"].contains(&message.method.as_str());
                let named = claim.params.get(..6).is_some() && claim.params.get(..6) == message.params.get(..6);
                message.to == claim.to && message.from == voucher.target && same_method && named
            });
            let voucher = redeems.ok_or_else(|| "a message redeems none of the deal's vouchers".to_string())?;
            redeemed.insert(voucher);
        }
        for ((_, placed), is_proven) in self.parts.redemptions.iter_mut().zip(proven) {
            placed.is_proven = is_proven;
        }
        self.parts.redeemed = redeemed.len();
        Ok(())
    }

    /// Checks a message: signed, applied, and in its block as far as that is shown; whether it is shown.
    pub(super) fn in_block(&self, on_chain: &OnChain) -> Result<bool, String> {
        let (method, height) = (&on_chain.message.message().method, on_chain.height);
        if !on_chain.message.is_signed_on(self.network) {
            return Err(format!("the sender of {method} in block {height} did not sign it"));
        }
        if !on_chain.receipt.is_ok() {
            let code = on_chain.receipt.exit_code;
            return Err(format!("{method} in block {height} failed with exit code {code}"));
        }
        let (Some(anchor), Some(proof)) = (&self.parts.anchor, on_chain.to_proof()) else {
            return Ok(false);
        };
        let found = proof.check(anchor).map_err(|e| e.to_string())?;
        same("the block's height", &height, &found.height())?;
        Ok(true)
    }

    pub(super) fn proven(&mut self, of: impl FnOnce(&mut Parts) -> Option<&mut Placed>, is_proven: bool) {
        if let Some(placed) = of(self.parts) {
            placed.is_proven = is_proven;
        }
    }
}

/// A message counts once, however often it is shown.
fn once(seen: &mut BTreeSet<Cid>, on_chain: &OnChain) -> Finding {
    let id = on_chain.message.cid();
    match seen.insert(id) {
        true => Ok(()),
        false => Err(format!("the message {id} is there twice")),
    }
}

/// All parameters before `rest` are the expected ones.
fn same_call(found: &Message, expected: &calls::Call, rest: usize) -> Finding {
    if (&found.to, &found.method) != (&expected.to, &expected.method) {
        let (method, to) = (&expected.method, &expected.to);
        return Err(format!("the message is not {method} of {to}"));
    }
    match found.params.get(..rest).is_some() && found.params.get(..rest) == expected.params.get(..rest) {
        true => Ok(()),
        false => Err(format!(
            "{} names another sector or other commitments than the miner's answer",
            found.method
        )),
    }
}

/// The number of a sector in a message's parameter.
pub(in crate::client::passport) fn sector_of(bytes: &[u8]) -> Option<u64> {
    SectorNumber::from_abi(bytes).ok().map(|SectorNumber(sector)| sector)
}
