//! What of a chain endpoint's answers a client need not believe, and what it does.
//!
//! Called with every verification ([`super::verifying`]), in a browser and in a terminal. All that is known beforehand is the
//! network's genesis id, which a deal's record has kept since the deal was made. What the endpoint proves is used in place of what
//! it says; what it proves wrongly, or shows otherwise than it proves, is told as wrong; what it cannot prove remains its claim.
//!
//! Believed in any case: the network's one authority. Two histories that it signs are told when this client sees both
//! ([`crate::chain::light::Follower`]).

use crate::chain::light::follower::FollowError;
use crate::chain::light::{Anchor, Follower, SignedHeader, StateEntry, StateKey};
use crate::chain::state::Account;
use crate::chain::{Address, Epoch};
use crate::deal::verification::{Basis, MinerRecord};
use crate::ports::{CommitMessage, ProofSource, Unproven};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use cid::Cid;

/// Something that an endpoint was asked to prove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown<T> {
    /// What was proven; `None` when nothing was.
    pub proven: Option<T>,
    pub basis: Basis,
}

impl<T> Shown<T> {
    fn checked(proven: T, detail: String) -> Self {
        Self {
            proven: Some(proven),
            basis: Basis::checked(detail),
        }
    }

    fn not(basis: Basis) -> Self {
        Self { proven: None, basis }
    }

    /// Tells it as wrong when the endpoint also said something else of it.
    pub fn against<S>(self, said: &S, contradicts: impl Fn(&T, &S) -> Option<String>) -> Self {
        let contradiction = self.proven.as_ref().and_then(|proven| contradicts(proven, said));
        match contradiction {
            Some(reason) => Self {
                basis: Basis::wrong(format!("the chain's endpoint says otherwise than it proves: {reason}")),
                ..self
            },
            None => self,
        }
    }
}

/// Entries of the newest state that an endpoint proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven<T> {
    /// Of the block after which it is so.
    pub height: Epoch,
    pub found: T,
}

/// One network, seen through an endpoint that is not believed.
pub struct Light<'a, P> {
    source: &'a P,
    follower: &'a mut Follower,
    anchor: Result<Anchor, Basis>,
}

impl<'a, P: ProofSource> Light<'a, P> {
    /// Begins with the network's genesis id; the `follower` keeps the headers that this client has seen of the network.
    ///
    /// # Errors
    /// The endpoint is away.
    pub async fn open(genesis: &str, source: &'a P, follower: &'a mut Follower) -> Result<Self, P::Error> {
        let anchor = match source.genesis_record().await {
            Ok(record) => anchor(genesis, &record),
            Err(error) => Err(unproven::<P>(error)?),
        };
        Ok(Self {
            source,
            follower,
            anchor,
        })
    }

    /// The network's anchor, once its record is known.
    pub fn anchor(&self) -> Option<&Anchor> {
        self.anchor.as_ref().ok()
    }

    /// A message that is in a block, with its height and exit code.
    ///
    /// # Errors
    /// The endpoint is away.
    pub async fn message(&mut self, id: &Cid) -> Result<Shown<CommitMessage>, P::Error> {
        let anchor = match &self.anchor {
            Ok(anchor) => anchor,
            Err(basis) => return Ok(Shown::not(basis.clone())),
        };
        let proof = match self.source.message_proof(id).await {
            Ok(Some(proof)) => proof,
            Ok(None) => {
                let none = "the endpoint says that the message is in no block, which it cannot prove";
                return Ok(Shown::not(Basis::claimed(none)));
            }
            Err(error) => return Ok(Shown::not(unproven::<P>(error)?)),
        };
        let shown = match proof.check(anchor) {
            Ok(shown) if shown.id() == id => shown,
            Ok(shown) => return Ok(Shown::not(wrong(format!("it proves message {}, not {id}", shown.id())))),
            Err(error) => return Ok(Shown::not(wrong(error))),
        };
        if let Err(error) = self.follower.take(anchor, &proof.header) {
            return Ok(Shown::not(untaken(&error)));
        }
        let message = shown.message().message();
        let found = CommitMessage {
            to: message.to.clone(),
            method: message.method.clone(),
            params: message.params.clone(),
            applied: Some((shown.height(), shown.receipt().exit_code)),
        };
        Ok(Shown::checked(found, by(&proof.header, proof.path.siblings.len())))
    }

    /// What the newest state has of a miner and of its sector with this number. `told` is a height that the endpoint has shown
    /// already: it must not prove an older state.
    ///
    /// # Errors
    /// The endpoint is away.
    pub async fn sector(
        &mut self,
        miner: &Address,
        sector: u64,
        told: Epoch,
    ) -> Result<Shown<Proven<Option<MinerRecord>>>, P::Error> {
        let keys = [
            StateKey::Miner(miner.clone()),
            StateKey::Sector {
                miner: miner.clone(),
                sector,
            },
        ];
        let shown = self.entries(&keys, told).await?;
        Ok(shown.map(|found| match found.as_slice() {
            [Some(StateEntry::Miner(miner)), sector] => Some(MinerRecord {
                slashed_at: miner.slashed_at,
                sector: match sector {
                    Some(StateEntry::Sector(sector)) => Some(sector.clone().into()),
                    _ => None,
                },
            }),
            _ => None,
        }))
    }

    /// Money and nonce of an account in the newest state; `None` when the chain does not know it.
    ///
    /// # Errors
    /// The endpoint is away.
    pub async fn account(
        &mut self,
        address: &Address,
        told: Epoch,
    ) -> Result<Shown<Proven<Option<Account>>>, P::Error> {
        let shown = self.entries(&[StateKey::Account(address.clone())], told).await?;
        Ok(shown.map(|found| match found.into_iter().next() {
            Some(Some(StateEntry::Account(account))) => Some(account),
            _ => None,
        }))
    }

    async fn entries(
        &mut self,
        keys: &[StateKey],
        told: Epoch,
    ) -> Result<Shown<Proven<Vec<Option<StateEntry>>>>, P::Error> {
        let anchor = match &self.anchor {
            Ok(anchor) => anchor,
            Err(basis) => return Ok(Shown::not(basis.clone())),
        };
        let proof = match self.source.state_proof(keys).await {
            Ok(proof) => proof,
            Err(error) => return Ok(Shown::not(unproven::<P>(error)?)),
        };
        let (header, entries) = match proof.check(anchor) {
            Ok(checked) => checked,
            Err(error) => return Ok(Shown::not(wrong(error))),
        };
        if !entries.iter().map(|(key, _)| key).eq(keys) {
            return Ok(Shown::not(wrong(
                "it proves other entries of the state than it was asked for",
            )));
        }
        let height = header.header().height;
        let seen = self.follower.head().map_or(told, |head| head.height.max(told));
        if height < seen {
            let reason = format!("it proves the state after block {height}, and has shown block {seen} already");
            return Ok(Shown::not(wrong(reason)));
        }
        if let Err(error) = self.follower.take(anchor, &proof.header) {
            return Ok(Shown::not(untaken(&error)));
        }
        let found = entries.into_iter().map(|(_, found)| found).collect();
        let hashes = proof.entries.iter().map(crate::chain::light::EntryProof::hashes).sum();
        Ok(Shown::checked(Proven { height, found }, by(&proof.header, hashes)))
    }
}

impl<T> Shown<Proven<T>> {
    fn map<U>(self, change: impl FnOnce(T) -> U) -> Shown<Proven<U>> {
        Shown {
            proven: self.proven.map(|Proven { height, found }| Proven {
                height,
                found: change(found),
            }),
            basis: self.basis,
        }
    }
}

fn anchor(genesis: &str, record: &[u8]) -> Result<Anchor, Basis> {
    let unknown = |_| Basis::claimed("the network's genesis id is not known here");
    let genesis = Cid::try_from(genesis).map_err(unknown)?;
    Anchor::open(&genesis, record).map_err(wrong)
}

fn by(signed: &SignedHeader, hashes: usize) -> String {
    let (height, block) = (signed.header.height, signed.header.id());
    format!("{hashes} hashes lead to the header of block {height} ({block}), which the network's authority signed")
}

fn wrong(reason: impl core::fmt::Display) -> Basis {
    Basis::wrong(format!("what the chain's endpoint sent does not prove it: {reason}"))
}

fn untaken(error: &FollowError) -> Basis {
    match error {
        FollowError::Header(error) => wrong(error),
        FollowError::Equivocation(_) => Basis::wrong(format!("this network is not to be relied upon: {error}")),
    }
}

/// What an error means; one of the host when the endpoint is away.
fn unproven<P: ProofSource>(error: P::Error) -> Result<Basis, P::Error> {
    match P::unproven(&error) {
        Unproven::Cannot(reason) => Ok(Basis::claimed(format!(
            "the chain's endpoint cannot prove it: {reason}"
        ))),
        Unproven::Malformed(reason) => Ok(wrong(reason)),
        Unproven::Away => Err(error),
    }
}

#[cfg(test)]
mod tests;
