//! What a client gathers of the proofs on a chain ([`crate::client::evidence`]) is what the actors themselves had verified: a fake proof is a
//! hash of the claim, so it fits no other one.

use super::*;
use crate::chain::rpc::{MessageSummary, MessageView};
use crate::chain::verifier::{ProofVerifier, DEVELOPMENT_KEYS};
use crate::chain::view::{NetworkView, ReceiptView};
use crate::client::evidence::{gather, Evidence, Gathered, MAX_POSTS};
use crate::client::testing::{now, record};
use crate::deal::{Draft, ProofInfo};
use crate::ports::History;
use alloc::collections::BTreeMap;
use cid::Cid;

/// Messages in a list, so few that several lists are needed.
const PAGE: usize = 4;

/// A world whose blocks are kept.
struct Kept {
    world: World,
    miner: Address,
    /// By the height of the block after which they were so.
    states: BTreeMap<u64, ChainState>,
    messages: Vec<(u64, SignedMessage, Receipt)>,
    /// States, and messages, of blocks before it are not there any more.
    oldest: u64,
    keys: String,
}

/// Why the fake chain does not answer.
#[derive(Debug, PartialEq)]
enum No {
    Past,
    Future,
}

impl Kept {
    fn with_miner() -> Self {
        let (world, miner) = World::with_miner();
        Self {
            world,
            miner,
            states: BTreeMap::new(),
            messages: Vec::new(),
            oldest: 0,
            keys: DEVELOPMENT_KEYS.into(),
        }
    }

    /// In a block of its own.
    fn send(&mut self, call: Call) -> Cid {
        self.world.height += 1;
        self.send_along(call)
    }

    /// In the same block as the message before.
    fn send_along(&mut self, call: Call) -> Cid {
        let height = self.world.height;
        self.world.end_blocks();
        self.states
            .entry(height - 1)
            .or_insert_with(|| self.world.state.clone());
        let signed = self.world.sign(&self.world.owner, call);
        let receipt = self.world.apply(&signed).unwrap();
        let id = signed.cid();
        self.messages.push((height, signed, receipt));
        id
    }

    /// Pre-commits, waits for the seed and commits; the commit's id.
    fn commit(&mut self, id: u64) -> Cid {
        self.send(self.world.pre_commit(&self.miner, id));
        self.world.height += self.world.state.policy.seed_delay;
        self.send(self.world.commit_call(&self.miner, id))
    }

    /// Proves in the running window.
    fn prove(&mut self) -> Cid {
        self.advance_to_window();
        self.send(self.world.post_call(&self.miner, AttoFil::ZERO))
    }

    fn advance_to_window(&mut self) {
        let policy = self.world.state.policy.clone();
        let (start, _) = self.world.miner(&self.miner).proving_window(&policy).unwrap();
        self.world.height = start.0 + 3;
    }

    fn draft(&self) -> Draft {
        Draft {
            miner: self.miner.clone(),
            sector_size: SectorSize::S2KiB,
            ..record(2, 20_000).deal.draft
        }
    }

    fn gather(&self, sector: u64, commitment_message: Cid) -> Evidence {
        let proof = ProofInfo {
            sector_id: sector,
            comm_d: comm_d(),
            comm_r: comm_r(sector),
            comm_r_star: Commitment([9; 32]),
            commitment_message,
            piece_inclusion_proof: None,
        };
        now(gather(&self.draft(), &proof, self)).unwrap()
    }

    fn view(&self, (height, signed, receipt): &(u64, SignedMessage, Receipt)) -> MessageView {
        let message = signed.message();
        MessageView {
            message: signed.cid().to_string(),
            to: message.to.clone(),
            from: message.from.clone(),
            nonce: message.nonce,
            value: message.value,
            method: message.method.clone(),
            params: message.params.iter().map(hex::encode).collect(),
            gas_price: signed.metered.gas_price,
            gas_limit: signed.metered.gas_limit,
            height: Some(Epoch(*height)),
            receipt: Some(ReceiptView {
                message: signed.cid().to_string(),
                height: Epoch(*height),
                exit_code: receipt.exit_code,
                error: receipt.error.clone(),
                returns: Vec::new(),
                gas_cost: receipt.gas_cost,
            }),
            exit_text: None,
        }
    }
}

impl History for Kept {
    type Error = No;

    async fn network(&self) -> Result<NetworkView, No> {
        Ok(NetworkView {
            network: "test".into(),
            genesis: String::new(),
            height: Epoch(self.world.height),
            block_time_ms: 1000,
            policy: self.world.state.policy.clone(),
            verifying_keys: self.keys.clone(),
        })
    }

    async fn ticket(&self, height: Epoch) -> Result<Vec<u8>, No> {
        match height.0 > self.world.height {
            true => Err(No::Future),
            false => Ok(beacon(height).unwrap()),
        }
    }

    async fn messages(&self, address: &Address, before: Option<Epoch>) -> Result<Vec<MessageSummary>, No> {
        let below = |height: u64| before.is_none_or(|before| height < before.0);
        let own = self
            .messages
            .iter()
            .rev()
            .filter(|(_, signed, _)| signed.message().to == *address);
        let listed = own.filter(|(height, _, _)| below(*height) && *height >= self.oldest);
        let summary = |kept| {
            let view = self.view(kept);
            MessageSummary {
                message: view.message,
                to: view.to,
                from: view.from,
                nonce: view.nonce,
                value: view.value,
                method: view.method,
                gas_price: view.gas_price,
                gas_limit: view.gas_limit,
                height: view.height,
                exit_code: view.receipt.map(|receipt| receipt.exit_code),
                exit_text: None,
            }
        };
        Ok(listed.take(PAGE).map(summary).collect())
    }

    async fn message_view(&self, id: &Cid) -> Result<Option<MessageView>, No> {
        match self.messages.iter().find(|(_, signed, _)| signed.cid() == *id) {
            Some((height, ..)) if *height < self.oldest => Err(No::Past),
            found => Ok(found.map(|kept| self.view(kept))),
        }
    }

    async fn returned_at(&self, call: &Call, height: Epoch) -> Result<Vec<Vec<u8>>, No> {
        let kept = self.states.get(&height.0).filter(|_| height.0 >= self.oldest);
        let state = kept.ok_or(No::Past)?;
        let context = Context {
            height,
            ..self.world.context()
        };
        Ok(query(state, &context, None, &call.to, &call.method, call.params.clone()).unwrap())
    }

    fn is_past(error: &No) -> bool {
        *error == No::Past
    }
}

fn seal_holds(evidence: &Evidence) -> bool {
    matches!(&evidence.seal, Gathered::Claim(claim) if FakeVerifier::default().verify_seal(claim).unwrap())
}

/// Sectors of each proof-of-spacetime whose gathered claim is the one that the actor had.
fn proven(evidence: &Evidence) -> Vec<Vec<u64>> {
    let sectors = |claim: &WindowPoStClaim| claim.sectors.iter().map(|(sector, _)| *sector).collect();
    let posts = evidence.posts.iter().filter_map(|post| match &post.claim {
        Gathered::Claim(claim) => FakeVerifier::default()
            .verify_window_post(claim)
            .unwrap()
            .then(|| sectors(claim)),
        Gathered::Missing(_) => None,
    });
    posts.collect()
}

#[test]
fn a_seals_claim_and_those_of_every_window_are_what_the_actor_had_verified() {
    let mut kept = Kept::with_miner();
    let first = kept.commit(0);
    let second = kept.commit(1);
    kept.commit(2);
    kept.prove();
    kept.prove();
    kept.prove();
    let evidence = kept.gather(0, first);
    assert!(seal_holds(&evidence));
    assert_eq!(proven(&evidence), [vec![0, 1, 2], vec![0, 1, 2], vec![0]]);
    // The first window was before the second sector's time.
    let evidence = kept.gather(1, second);
    assert!(seal_holds(&evidence));
    assert_eq!(proven(&evidence), [[0, 1, 2], [0, 1, 2]]);
    assert_eq!(evidence.posts.len(), 2);
}

#[test]
fn a_sector_that_was_committed_again_has_the_claim_of_its_newest_pre_commit() {
    let mut kept = Kept::with_miner();
    kept.send(kept.world.pre_commit(&kept.miner, 0));
    kept.world.height += policy().pre_commit_expiry + 1;
    let message = kept.commit(0);
    assert!(seal_holds(&kept.gather(0, message)));
}

#[test]
fn sectors_that_the_message_gives_up_are_not_claimed() {
    let mut kept = Kept::with_miner();
    let first = kept.commit(0);
    kept.commit(1);
    kept.prove();
    kept.advance_to_window();
    let proof = kept.world.post_proof(&kept.miner, |id| *id != 1);
    let faults = FaultSet {
        ids: IntSet([1].into()),
        ..FaultSet::default()
    };
    kept.send(calls::submit_post_without(
        &kept.miner,
        &proof,
        &faults,
        &IntSet::default(),
        AttoFil::ZERO,
    ));
    assert_eq!(proven(&kept.gather(0, first)), [[0], [0]]);
}

#[test]
fn another_commitment_than_the_actors_makes_another_claim() {
    let mut kept = Kept::with_miner();
    let message = kept.commit(0);
    kept.prove();
    let proof = ProofInfo {
        sector_id: 0,
        comm_d: comm_d(),
        comm_r: comm_r(5),
        comm_r_star: Commitment([9; 32]),
        commitment_message: message,
        piece_inclusion_proof: None,
    };
    let evidence = now(gather(&kept.draft(), &proof, &kept)).unwrap();
    assert!(!seal_holds(&evidence));
    assert!(evidence.posts.is_empty(), "no window covers such a replica");
}

#[test]
fn what_the_chain_keeps_no_more_of_is_said_and_the_rest_is_gathered() {
    let mut kept = Kept::with_miner();
    let message = kept.commit(0);
    kept.prove();
    kept.prove();
    kept.oldest = kept.world.height - 1;
    let evidence = kept.gather(0, message);
    let Gathered::Missing(words) = &evidence.seal else {
        panic!("the message is not kept")
    };
    assert!(words.starts_with("the chain keeps no more of message"), "{words}");
    assert_eq!(proven(&evidence), [[0]]);
    kept.oldest = kept.world.height;
    let evidence = kept.gather(0, message);
    let Gathered::Missing(words) = &evidence.posts[0].claim else {
        panic!("the state is not kept")
    };
    assert!(words.starts_with("the chain keeps no more of its state"), "{words}");
}

/// Else a true proof would be shown as a wrong one.
#[test]
fn faults_that_were_declared_in_the_same_block_leave_the_claim_open() {
    let mut kept = Kept::with_miner();
    let message = kept.commit(0);
    kept.commit(1);
    kept.prove();
    kept.advance_to_window();
    kept.send(calls::post_state(&kept.miner));
    let faults = FaultSet {
        ids: IntSet([1].into()),
        ..FaultSet::default()
    };
    kept.send_along(calls::add_faults(&kept.miner, &faults));
    kept.send_along(kept.world.post_call(&kept.miner, AttoFil::ZERO));
    let evidence = kept.gather(0, message);
    let Gathered::Missing(words) = &evidence.posts[0].claim else {
        panic!("it is not known what was to be proven")
    };
    assert!(words.contains("addFaults"), "{words}");
}

/// Else anybody could keep a proof from being checked, for the gas of a message.
#[test]
fn a_message_that_failed_in_the_same_block_leaves_the_claim_as_it_is() {
    let mut kept = Kept::with_miner();
    let message = kept.commit(0);
    kept.prove();
    kept.advance_to_window();
    let refused = kept.send(calls::slash_storage_fault(&kept.miner));
    assert!(kept
        .messages
        .iter()
        .any(|(_, signed, receipt)| signed.cid() == refused && receipt.exit_code != 0));
    kept.send_along(kept.world.post_call(&kept.miner, AttoFil::ZERO));
    let evidence = kept.gather(0, message);
    assert!(matches!(evidence.posts[0].claim, Gathered::Claim(_)));
}

#[test]
fn under_keys_that_no_client_has_nothing_is_gathered_and_that_is_said() {
    let mut kept = Kept::with_miner();
    let message = kept.commit(0);
    kept.keys = "fake proofs".into();
    let evidence = kept.gather(0, message);
    let Gathered::Missing(words) = &evidence.seal else {
        panic!("nobody has these keys")
    };
    assert!(words.contains("fake proofs"), "{words}");
    assert!(evidence.posts.is_empty());
}

#[test]
fn only_the_newest_windows_are_gathered() {
    let mut kept = Kept::with_miner();
    let message = kept.commit(0);
    for _ in 0..MAX_POSTS + 2 {
        kept.prove();
    }
    let evidence = kept.gather(0, message);
    assert_eq!(evidence.posts.len(), MAX_POSTS);
    assert_eq!(evidence.posts[0].height, Epoch(kept.world.height));
}

/// A page's script reads it, so its words are fixed.
#[test]
fn a_page_gets_bytes_as_hexadecimal_and_sector_numbers_as_text() {
    let mut kept = Kept::with_miner();
    let message = kept.commit(0);
    kept.prove();
    let json = serde_json::to_value(kept.gather(0, message)).unwrap();
    let seal = &json["seal"]["claim"];
    assert_eq!((&seal["sectorSize"], &seal["sector"]), (&2048.into(), &"0".into()));
    assert_eq!(seal["commR"], comm_r(0).to_string());
    let post = &json["posts"][0];
    assert_eq!(post["height"], kept.world.height);
    assert_eq!(post["claim"]["sectors"][0][0], "0");
    assert!(post.get("missing").is_none());
    kept.keys = "fake proofs".into();
    let json = serde_json::to_value(kept.gather(0, message)).unwrap();
    assert!(json["seal"]["missing"].is_string() && json["seal"].get("claim").is_none());
}
