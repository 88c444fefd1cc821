//! A deal is verified through an endpoint that tells the truth, that proves nothing, and that lies in one thing at a time.

use super::super::testing::{draft, key, now};
use super::super::verifying::{verify, Checking};
use super::*;
use crate::chain::calls::commit_sector;
use crate::chain::light::testing::{miner, state, SignedChain};
use crate::chain::light::{EntryProof, MessageProof, StateProof};
use crate::chain::view::{ChannelView, MinerView};
use crate::chain::{AttoFil, Call, ChainState, ChannelId, Policy, Receipt};
use crate::deal::verification::{Check, Trust, Verdict, Verification};
use crate::deal::{Draft, ProofInfo};
use crate::piece::{padded_for, Commitment, InclusionProof, SectorLayout, SectorSize};
use crate::ports::{Chain, Found, MessagePurpose, Sent};
use crate::wire::cbor::Bytes;
use alloc::string::ToString;

const SECTOR: u64 = 2;

/// An endpoint of a chain on which a deal is complete, and what it makes of its answers.
struct Endpoint {
    chain: SignedChain,
    draft: Draft,
    proof: ProofInfo,
    state: ChainState,
    found: Found,
    miner: MinerView,
    policy: Policy,
    /// `None`: it has no methods for proofs.
    record: Option<Vec<u8>>,
    alter_message: fn(&mut MessageProof),
    alter_state: fn(&mut StateProof),
    /// The height whose state it proves.
    proves: u64,
}

impl Endpoint {
    fn new() -> Self {
        let comm_p = Commitment([7; 32]);
        let mut layout = SectorLayout::new(SectorSize::S2KiB);
        layout.place(padded_for(1000).unwrap(), comm_p).unwrap();
        let inclusion = InclusionProof::prove(&layout, 0).unwrap();
        let (address, mut record) = miner(2, 3);
        let sector = record.sectors.get_mut(&SECTOR).unwrap();
        sector.comm_d = layout.comm_d();
        let draft = Draft {
            miner: address.clone(),
            comm_p,
            ..draft(2, 20_000)
        };
        let call = commit_sector(
            &address,
            SECTOR,
            &sector.comm_d,
            &sector.comm_r,
            &sector.comm_r_star,
            b"proof",
        );
        let commit = call.message(&key(2).address(), 5).sign(&key(2));
        let receipt = Receipt {
            exit_code: 0,
            returns: Vec::new(),
            gas_cost: AttoFil(1),
            error: String::new(),
        };
        let proof = ProofInfo {
            sector_id: SECTOR,
            comm_d: sector.comm_d,
            comm_r: sector.comm_r,
            comm_r_star: sector.comm_r_star,
            commitment_message: commit.cid(),
            piece_inclusion_proof: Some(Bytes(inclusion.to_bytes())),
        };
        let policy = Policy::default();
        let mut after = state(&policy, 3, 0);
        after.miners.insert(address.clone(), record);
        let message = commit.message();
        let found = Found::Known(CommitMessage {
            to: message.to.clone(),
            method: message.method.clone(),
            params: message.params.clone(),
            applied: Some((Epoch(1), 0)),
        });
        let mut chain = SignedChain::new(1, policy.clone());
        chain.push(Vec::new(), state(&policy, 3, 0));
        chain.push(alloc::vec![(commit, receipt)], after.clone());
        chain.push(Vec::new(), after.clone());
        Self {
            record: Some(chain.record.clone()),
            chain,
            draft,
            proof,
            found,
            miner: MinerView::of(&after, &address).unwrap(),
            state: after,
            policy,
            alter_message: |_| {},
            alter_state: |_| {},
            proves: 2,
        }
    }

    fn verify_with(&self, follower: &mut Follower) -> Verification {
        let checking = Checking {
            genesis: &self.chain.anchor.genesis().to_string(),
            source: self,
            follower,
        };
        now(verify(&self.draft, &self.proof, self, checking)).unwrap_or_else(|_| panic!("it answers"))
    }

    fn verify(&self) -> Verification {
        self.verify_with(&mut Follower::default())
    }
}

/// The endpoint is of a version without proofs.
#[derive(Debug)]
struct NoMethod;

impl ProofSource for Endpoint {
    type Error = NoMethod;

    async fn genesis_record(&self) -> Result<Vec<u8>, NoMethod> {
        self.record.clone().ok_or(NoMethod)
    }

    async fn message_proof(&self, id: &Cid) -> Result<Option<MessageProof>, NoMethod> {
        let mut proof = self.chain.message_proof(id);
        proof.iter_mut().for_each(self.alter_message);
        Ok(proof)
    }

    async fn state_proof(&self, keys: &[StateKey]) -> Result<StateProof, NoMethod> {
        let mut proof = self.chain.state_proof(self.proves, keys).ok_or(NoMethod)?;
        (self.alter_state)(&mut proof);
        Ok(proof)
    }

    fn unproven(_: &NoMethod) -> Unproven {
        Unproven::Cannot("there is no such method".into())
    }
}

impl Chain for Endpoint {
    type Error = NoMethod;

    async fn height(&self) -> Result<Epoch, NoMethod> {
        Ok(Epoch(2))
    }
    async fn policy(&self) -> Result<Policy, NoMethod> {
        Ok(self.policy.clone())
    }
    async fn miner(&self, _: &Address) -> Result<Option<MinerView>, NoMethod> {
        Ok(Some(self.miner.clone()))
    }
    async fn message(&self, _: &Cid) -> Result<Found, NoMethod> {
        Ok(self.found.clone())
    }
    async fn ask(&self, _: &Call) -> Result<Result<(), String>, NoMethod> {
        Ok(Ok(()))
    }
    async fn channel(&self, _: &Address, _: ChannelId) -> Result<Option<ChannelView>, NoMethod> {
        Err(NoMethod)
    }
    async fn send(&self, _: &Address, _: &str, _: MessagePurpose, _: Call) -> Result<Sent, NoMethod> {
        Err(NoMethod)
    }
    async fn sent(&self, _: &Address, _: &str, _: MessagePurpose) -> Result<Option<Sent>, NoMethod> {
        Err(NoMethod)
    }
    async fn settle(&self, _: &Address, _: &str, _: MessagePurpose) -> Result<(), NoMethod> {
        Err(NoMethod)
    }
}

/// The parts that lean on the chain's endpoint, with a letter each for what they lean on.
fn bases(found: &Verification) -> String {
    let letter = |check: &Check| match check.basis.as_ref().map(|basis| basis.trust) {
        Some(Trust::Checked) => 'c',
        Some(Trust::Claimed) => '-',
        Some(Trust::Wrong) => 'W',
        None => '?',
    };
    [&found.commit_message, &found.commitments, &found.proven]
        .map(letter)
        .into_iter()
        .collect()
}

/// The letters after a lie, whose parts must not hold.
fn lied(lie: impl FnOnce(&mut Endpoint)) -> String {
    let mut endpoint = Endpoint::new();
    lie(&mut endpoint);
    let found = endpoint.verify();
    for check in [&found.commit_message, &found.commitments, &found.proven] {
        if let Some(basis) = check.basis.as_ref().filter(|basis| basis.trust == Trust::Wrong) {
            assert_eq!((check.verdict, &check.detail), (Verdict::Fails, &basis.detail));
        }
    }
    bases(&found)
}

#[test]
fn what_an_honest_endpoint_says_is_checked_by_paths_to_signed_headers() {
    let found = Endpoint::new().verify();
    assert_eq!(found.verdict(), Verdict::Holds, "{found:?}");
    assert_eq!(bases(&found), "ccc");
    assert_eq!(found.inclusion.basis, None, "nothing of the chain is in it");
    assert_eq!(found.actor.basis.unwrap().trust, Trust::Claimed);
}

#[test]
fn what_an_endpoint_without_proofs_says_is_its_claim() {
    let mut endpoint = Endpoint::new();
    endpoint.record = None;
    let found = endpoint.verify();
    assert_eq!((found.verdict(), bases(&found).as_str()), (Verdict::Holds, "---"));
}

#[test]
fn an_exit_code_that_is_altered_is_caught() {
    fn other(endpoint: &mut Endpoint, code: u64) {
        if let Found::Known(message) = &mut endpoint.found {
            message.applied = Some((Epoch(1), code));
        }
    }
    // Said otherwise than proven, and proven falsely.
    assert_eq!(lied(|endpoint| other(endpoint, 46)), "Wcc");
    assert_eq!(
        lied(|endpoint| endpoint.alter_message = |proof| proof.receipt.exit_code = 46),
        "Wcc"
    );
    let both = lied(|endpoint| {
        other(endpoint, 46);
        endpoint.alter_message = |proof| proof.receipt.exit_code = 46;
    });
    assert_eq!(both, "Wcc");
}

#[test]
fn a_message_that_failed_cannot_be_shown_as_applied() {
    let mut endpoint = Endpoint::new();
    let mut failing = SignedChain::new(1, Policy::default());
    failing.push(Vec::new(), endpoint.state.clone());
    let MessageProof { message, receipt, .. } = endpoint
        .chain
        .message_proof(&endpoint.proof.commitment_message)
        .unwrap();
    let failed = Receipt {
        exit_code: 46,
        ..receipt
    };
    failing.push(alloc::vec![(message, failed)], endpoint.state.clone());
    failing.push(Vec::new(), endpoint.state.clone());
    endpoint.chain = failing;
    let found = endpoint.verify();
    assert_eq!(
        (found.commit_message.verdict, bases(&found).as_str()),
        (Verdict::Fails, "Wcc")
    );
}

#[test]
fn a_message_that_another_one_is_shown_for_is_caught() {
    let another = |proof: &mut MessageProof| proof.message.metered.gas_limit += 1;
    assert_eq!(lied(|endpoint| endpoint.alter_message = another), "Wcc");
    assert_eq!(
        lied(|endpoint| if let Found::Known(message) = &mut endpoint.found {
            message.params[0] = alloc::vec![9];
        }),
        "Wcc"
    );
}

#[test]
fn a_sector_with_other_commitments_is_caught() {
    let said = lied(|endpoint| {
        let sector = endpoint.miner.sectors.iter_mut().find(|sector| sector.id == SECTOR);
        sector.unwrap().comm_r = Commitment([9; 32]);
    });
    assert_eq!(said, "cWW");
    let proven = lied(|endpoint| {
        endpoint.alter_state = |proof| {
            for entry in &mut proof.entries {
                if let EntryProof::Present { key, value, .. } = entry {
                    let is_sector = key.0.first() == Some(&b's');
                    // Somewhere in one of the commitments.
                    value.0[20] ^= u8::from(is_sector);
                }
            }
        }
    });
    assert_eq!(proven, "cWW");
}

#[test]
fn a_sector_cannot_be_hidden_or_shown_under_another_number() {
    let hidden = lied(|endpoint| {
        endpoint.alter_state = |proof| {
            let Some(EntryProof::Present { key, .. }) = proof.entries.get(1).cloned() else {
                return;
            };
            let (before, after) = (None, None);
            proof.entries[1] = EntryProof::Absent { key, before, after };
        }
    });
    assert_eq!(hidden, "cWW");
    let other = lied(|endpoint| endpoint.alter_state = |proof| proof.entries.swap(0, 1));
    assert_eq!(other, "cWW");
    let fewer = lied(|endpoint| endpoint.alter_state = |proof| drop(proof.entries.pop()));
    assert_eq!(fewer, "cWW");
}

#[test]
fn a_sector_that_is_gone_is_proven_to_be_gone() {
    let mut endpoint = Endpoint::new();
    let (address, state) = (endpoint.draft.miner.clone(), &mut endpoint.state);
    state.miners.get_mut(&address).unwrap().sectors.remove(&SECTOR);
    endpoint.chain.push(Vec::new(), endpoint.state.clone());
    // The endpoint still says that it is there.
    endpoint.proves = 3;
    let found = endpoint.verify();
    assert_eq!(bases(&found), "ccc");
    assert_eq!(found.named(Verdict::Fails), ["commitments", "proven"]);
}

#[test]
fn an_older_state_than_was_shown_already_is_caught() {
    assert_eq!(lied(|endpoint| endpoint.proves = 1), "cWW");
    let endpoint = Endpoint::new();
    let mut follower = Follower::default();
    let mut ahead = Endpoint::new();
    ahead.chain.push(Vec::new(), ahead.state.clone());
    ahead.proves = 3;
    assert_eq!(bases(&ahead.verify_with(&mut follower)), "ccc");
    assert_eq!(bases(&endpoint.verify_with(&mut follower)), "cWW");
}

#[test]
fn rules_that_are_not_those_of_genesis_are_caught() {
    assert_eq!(lied(|endpoint| endpoint.policy.grace += 1), "ccW");
}

#[test]
fn a_record_or_a_header_of_another_network_is_caught() {
    let other = || SignedChain::new(9, Policy::default());
    assert_eq!(lied(|endpoint| endpoint.record = Some(other().record)), "WWW");
    let headers = |endpoint: &mut Endpoint| {
        endpoint.alter_message = |proof| proof.header.header.genesis = crate::chain::keys::cid_of_bytes(b"other");
        endpoint.alter_state = |proof| proof.header = proof.header.header.clone().sign(&key(9));
    };
    assert_eq!(lied(headers), "WWW");
}

#[test]
fn two_histories_of_one_authority_are_told() {
    let endpoint = Endpoint::new();
    let mut other = endpoint.chain.header(2).unwrap().header;
    other.time_ms += 1;
    let mut follower = Follower::default();
    let signed = other.sign(&endpoint.chain.authority);
    follower.take(&endpoint.chain.anchor, &signed).unwrap();
    let found = endpoint.verify_with(&mut follower);
    assert_eq!(bases(&found), "cWW");
    assert!(found.commitments.detail.contains("two histories"), "{found:?}");
}

#[test]
fn a_balance_that_is_altered_is_caught() {
    let mut endpoint = Endpoint::new();
    let (address, genesis) = (key(200).address(), endpoint.chain.anchor.genesis().to_string());
    let balance = endpoint.state.balance(&address);
    let ask = |endpoint: &Endpoint| {
        let mut follower = Follower::default();
        let mut light = now(Light::open(&genesis, endpoint, &mut follower)).unwrap();
        now(light.account(&address, Epoch(2))).unwrap()
    };
    let shown = ask(&endpoint);
    assert_eq!(shown.proven.unwrap().found.unwrap().balance, balance);
    assert_eq!(shown.basis.trust, Trust::Checked);
    endpoint.alter_state = |proof| {
        if let Some(EntryProof::Present { value, .. }) = proof.entries.first_mut() {
            *value = Bytes(crate::wire::encode(&Account {
                balance: AttoFil(1),
                nonce: 0,
            }));
        }
    };
    let shown = ask(&endpoint);
    assert_eq!(shown.proven, None);
    assert_eq!(shown.basis.trust, Trust::Wrong);
}
