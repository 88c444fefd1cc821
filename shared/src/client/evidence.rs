//! Which proofs of a deal's sector are on the chain, and what exactly each of them claims, so that a client can check them by itself.
//!
//! Called by the terminal's `client verify` and by the page; what they have here goes to a [`crate::ports::verifier::ProofVerifier`]
//! (natively) or to the module that the page loads for it. Everything is gathered from the chain's messages, the tickets of its blocks and its
//! past states, never from the miner. Where the chain keeps too little, or proves under keys that no client has, that is said instead: then the
//! proof is what the chain claims, and no more.

use crate::chain::abi::{Abi, SectorNumber};
use crate::chain::calls::{proving_set_commitments, proving_window, returns};
use crate::chain::faults::FaultSet;
use crate::chain::randomness::{draw, Purpose};
use crate::chain::rpc::{MessageSummary, MessageView};
use crate::chain::view::NetworkView;
use crate::chain::{exit, Epoch};
use crate::deal::{Draft, ProofInfo};
use crate::ports::verifier::{prover_id, SealClaim, WindowPoStClaim, DEVELOPMENT_KEYS, FAKE_KEYS};
use crate::ports::History;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use cid::Cid;
use serde::{Serialize, Serializer};

/// Proofs-of-spacetime that are gathered, the newest: each takes four questions, and says as much as those before it.
pub const MAX_POSTS: usize = 8;
/// Lists of messages that are asked for, of some hundred each: a busy miner sends more than its proofs.
pub const MAX_PAGES: usize = 8;
/// Proofs-of-spacetime that are looked at for those that cover the sector: each takes the chain four questions.
pub const MAX_WINDOWS: usize = 64;
/// Pre-commits that are looked at for the one of the sector.
pub const MAX_PRE_COMMITS: usize = 64;

/// Methods after which the proving set is not what it was at the end of the block before.
const CHANGING: [&str; 4] = ["addFaults", "recoverFaults", "restartProving", "slashStorageFault"];

/// What a proof claims, or why that cannot be known any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gathered<C> {
    Claim(C),
    /// In words; the proof is claimed by the chain.
    Missing(String),
}

/// The ticket of a block that randomness was drawn from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawn {
    pub height: Epoch,
    pub ticket: Vec<u8>,
}

/// Where a seal's claim comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealSource {
    /// The preCommitSector message.
    pub pre_commit: String,
    /// What the replica was encoded with.
    pub ticket: Drawn,
    /// What the proof's challenges were drawn from.
    pub seed: Drawn,
}

/// A proof-of-spacetime that covers the sector, or may do so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostEvidence {
    /// The submitPoSt message.
    pub message: String,
    /// Of its block.
    pub height: Epoch,
    pub claim: Gathered<WindowPoStClaim>,
    /// What the claim's randomness was drawn from; there when the claim is.
    pub window: Option<Drawn>,
}

/// The proofs of a deal's sector on the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// What the commitSector message proves.
    pub seal: Gathered<SealClaim>,
    /// There when the claim is.
    pub seal_source: Option<SealSource>,
    /// Newest first, at most [`MAX_POSTS`].
    pub posts: Vec<PostEvidence>,
}

/// Why something is not gathered: the host's own error, or words for [`Gathered::Missing`].
enum Lack<E> {
    Host(E),
    Words(String),
}

impl<E> From<String> for Lack<E> {
    fn from(words: String) -> Self {
        Self::Words(words)
    }
}

/// Gathers what is on the chain about a complete deal's sector; `proof` is what its miner answered.
///
/// # Errors
/// Those of the host: the chain is away.
pub async fn gather<H: History>(draft: &Draft, proof: &ProofInfo, chain: &H) -> Result<Evidence, H::Error> {
    let network = chain.network().await?;
    if network.verifying_keys != DEVELOPMENT_KEYS {
        let words = match network.verifying_keys.as_str() {
            FAKE_KEYS => "this network's proofs are fake: they prove nothing, and it exists only for tests".into(),
            keys => format!(
                "this network's proofs are not made under verifying keys that are known here, but under \"{keys}\""
            ),
        };
        return Ok(Evidence {
            seal: Gathered::Missing(words),
            seal_source: None,
            posts: Vec::new(),
        });
    }
    let gathering = Gathering {
        draft,
        proof,
        network: &network,
        chain,
    };
    let (seal, committed_at) = match gathering.commit().await {
        Ok((commit, height)) => (gathered(gathering.seal(&commit, height).await)?, height),
        Err(lack) => (gathered(Err(lack))?, Epoch(0)),
    };
    let (seal, seal_source) = apart(seal);
    Ok(Evidence {
        seal,
        seal_source,
        posts: gathering.posts(committed_at).await?,
    })
}

fn gathered<C, E>(found: Result<C, Lack<E>>) -> Result<Gathered<C>, E> {
    match found {
        Ok(claim) => Ok(Gathered::Claim(claim)),
        Err(Lack::Words(words)) => Ok(Gathered::Missing(words)),
        Err(Lack::Host(error)) => Err(error),
    }
}

/// A claim, and where it comes from.
fn apart<C, S>(found: Gathered<(C, S)>) -> (Gathered<C>, Option<S>) {
    match found {
        Gathered::Claim((claim, source)) => (Gathered::Claim(claim), Some(source)),
        Gathered::Missing(words) => (Gathered::Missing(words), None),
    }
}

struct Gathering<'a, H> {
    draft: &'a Draft,
    proof: &'a ProofInfo,
    network: &'a NetworkView,
    chain: &'a H,
}

impl<H: History> Gathering<'_, H> {
    /// The commitSector message, applied, and its height.
    async fn commit(&self) -> Result<(MessageView, Epoch), Lack<H::Error>> {
        let message = self.message(&self.proof.commitment_message.to_string()).await?;
        let applied = message
            .receipt
            .as_ref()
            .filter(|receipt| receipt.exit_code == exit::SUCCESS);
        let height = applied.map(|receipt| receipt.height);
        let height = height.ok_or_else(|| "the commit message is not applied".to_string())?;
        if (&message.to, message.method.as_str()) != (&self.draft.miner, "commitSector") {
            return Err(format!("message {} commits no sector of this miner", message.message).into());
        }
        Ok((message, height))
    }

    /// The seal's claim: this deal's sector with the commitments that its miner told the client, and the proof of the message.
    async fn seal(&self, commit: &MessageView, height: Epoch) -> Result<(SealClaim, SealSource), Lack<H::Error>> {
        let proof = self.param(commit, 4)?;
        let (pre_commit, ticket, at) = self.pre_commit(height).await?;
        let ticket = self.drawn(ticket).await?;
        let seed = self.drawn(at.plus(self.network.policy.seed_delay)).await?;
        let claim = SealClaim {
            sector_size: self.draft.sector_size,
            comm_r: self.proof.comm_r,
            comm_d: self.proof.comm_d,
            prover_id: prover_id(&self.draft.miner),
            sector: self.proof.sector_id,
            ticket: self.randomness(Purpose::SealTicket, &ticket),
            seed: self.randomness(Purpose::SealSeed, &seed),
            proof,
        };
        let source = SealSource {
            pre_commit,
            ticket,
            seed,
        };
        Ok((claim, source))
    }

    /// Id, ticket height and own height of the pre-commit that a commit in the block at `height` completed: the newest of its sector.
    async fn pre_commit(&self, height: Epoch) -> Result<(String, Epoch, Epoch), Lack<H::Error>> {
        let oldest = height.0.saturating_sub(self.network.policy.pre_commit_expiry);
        let mut before = Some(height);
        let mut left = MAX_PRE_COMMITS;
        for _ in 0..MAX_PAGES {
            let page = self.page(before).await?;
            for (summary, at) in applied(&page, "preCommitSector").take(left) {
                left = left.saturating_sub(1);
                let message = self.message(&summary.message).await?;
                let SectorNumber(sector) = self.value(&message, 0)?;
                if message.to == self.draft.miner && sector == self.proof.sector_id {
                    return Ok((summary.message.clone(), self.value(&message, 3)?, at));
                }
            }
            before = page.iter().filter_map(|summary| summary.height).min();
            if before.is_none_or(|before| before.0 <= oldest) {
                break;
            }
        }
        Err("the sector's pre-commit is not among the messages that the chain shows"
            .to_string()
            .into())
    }

    /// The newest proofs-of-spacetime after the commit that cover the sector.
    async fn posts(&self, committed_at: Epoch) -> Result<Vec<PostEvidence>, H::Error> {
        let (mut posts, mut before, mut looked_at) = (Vec::new(), None, 0_usize);
        for _ in 0..MAX_PAGES {
            let page = match self.page(before).await {
                Ok(page) => page,
                Err(Lack::Host(error)) => return Err(error),
                Err(Lack::Words(_)) => break,
            };
            for (summary, height) in applied(&page, "submitPoSt") {
                if posts.len() == MAX_POSTS || looked_at == MAX_WINDOWS || height <= committed_at {
                    return Ok(posts);
                }
                if summary.to != self.draft.miner {
                    continue;
                }
                looked_at = looked_at.saturating_add(1);
                let (claim, window) = match apart(gathered(self.window(summary, height, &page).await)?) {
                    (Gathered::Claim(claim), _) if !self.covers(&claim) => continue,
                    found => found,
                };
                posts.push(PostEvidence {
                    message: summary.message.clone(),
                    height,
                    claim,
                    window,
                });
            }
            before = page.iter().filter_map(|summary| summary.height).min();
            if before.is_none_or(|before| before <= committed_at) {
                break;
            }
        }
        Ok(posts)
    }

    fn covers(&self, claim: &WindowPoStClaim) -> bool {
        let own = |(sector, comm_r)| sector == self.proof.sector_id && comm_r == self.proof.comm_r;
        claim.sectors.iter().copied().any(own)
    }

    /// What a submitPoSt message in the block at `height` claims: the proving set of the block before, without the faults that it names.
    async fn window(
        &self,
        summary: &MessageSummary,
        height: Epoch,
        page: &[MessageSummary],
    ) -> Result<(WindowPoStClaim, Drawn), Lack<H::Error>> {
        // One that failed has changed nothing; anybody may send such ones.
        let changing = |other: &&MessageSummary| {
            other.height == Some(height)
                && other.to == self.draft.miner
                && other.exit_code == Some(exit::SUCCESS)
                && CHANGING.contains(&other.method.as_str())
        };
        if let Some(other) = page.iter().find(changing) {
            let method = &other.method;
            return Err(format!("{method} in the same block may have changed what was to be proven").into());
        }
        let message = self.message(&summary.message).await?;
        let faults: FaultSet = self.value(&message, 1)?;
        let before = Epoch(height.0.saturating_sub(1));
        let set = self
            .returned(&proving_set_commitments(&self.draft.miner), before)
            .await?;
        let set = returns::commitments(&set).map_err(|e| unreadable(&e))?;
        let window = self.returned(&proving_window(&self.draft.miner), before).await?;
        let window = returns::proving_window(&window).map_err(|e| unreadable(&e))?;
        let (start, _) = window.ok_or_else(|| "the chain had set no window".to_string())?;
        let faults: BTreeSet<u64> = faults.ids.0;
        let sectors = set.0.into_iter().filter(|(sector, _)| !faults.contains(sector));
        let drawn = self.drawn(start).await?;
        let claim = WindowPoStClaim {
            sector_size: self.draft.sector_size,
            prover_id: prover_id(&self.draft.miner),
            randomness: self.randomness(Purpose::WindowPoSt, &drawn),
            sectors: sectors.map(|(sector, found)| (sector, found.comm_r)).collect(),
            proof: self.param(&message, 0)?,
        };
        Ok((claim, drawn))
    }

    async fn page(&self, before: Option<Epoch>) -> Result<Vec<MessageSummary>, Lack<H::Error>> {
        let page = self.chain.messages(&self.draft.miner, before).await;
        kept::<H, _>(page, || "the miner's messages".to_string())
    }

    async fn message(&self, id: &str) -> Result<MessageView, Lack<H::Error>> {
        let cid: Cid = id.parse().map_err(|e| unreadable(&e))?;
        let message = kept::<H, _>(self.chain.message_view(&cid).await, || format!("message {id}"))?;
        message.ok_or_else(|| format!("the chain does not know message {id}").into())
    }

    async fn returned(&self, call: &crate::chain::Call, height: Epoch) -> Result<Vec<Vec<u8>>, Lack<H::Error>> {
        let returned = self.chain.returned_at(call, height).await;
        kept::<H, _>(returned, || format!("its state after block {height}"))
    }

    async fn drawn(&self, height: Epoch) -> Result<Drawn, Lack<H::Error>> {
        let ticket = kept::<H, _>(self.chain.ticket(height).await, || {
            format!("the ticket of block {height}")
        })?;
        Ok(Drawn { height, ticket })
    }

    fn randomness(&self, purpose: Purpose, drawn: &Drawn) -> [u8; 32] {
        draw(purpose, &drawn.ticket, &self.draft.miner)
    }

    fn param(&self, message: &MessageView, index: usize) -> Result<Vec<u8>, Lack<H::Error>> {
        let text = message.params.get(index);
        let text = text.ok_or_else(|| format!("message {} has too few parameters", message.message))?;
        Ok(hex::decode(text).map_err(|e| unreadable(&e))?)
    }

    fn value<V: Abi>(&self, message: &MessageView, index: usize) -> Result<V, Lack<H::Error>> {
        let bytes = self.param(message, index)?;
        Ok(V::from_abi(&bytes).map_err(|e| unreadable(&e))?)
    }
}

/// An answer; or words when the chain keeps no more of `what`.
fn kept<H: History, T>(answer: Result<T, H::Error>, what: impl Fn() -> String) -> Result<T, Lack<H::Error>> {
    answer.map_err(|error| match H::is_past(&error) {
        true => Lack::Words(format!("the chain keeps no more of {}", what())),
        false => Lack::Host(error),
    })
}

fn unreadable(error: &dyn core::fmt::Display) -> String {
    format!("the chain's answer cannot be read: {error}")
}

/// Messages of a method that took effect, with their heights, in the page's order.
fn applied<'p>(page: &'p [MessageSummary], method: &'p str) -> impl Iterator<Item = (&'p MessageSummary, Epoch)> {
    let own = page.iter().filter(move |summary| summary.method == method);
    let applied = own.filter(|summary| summary.exit_code == Some(exit::SUCCESS));
    applied.filter_map(|summary| Some((summary, summary.height?)))
}

// For a page: bytes as hexadecimal, sector numbers as decimal text, since JavaScript's numbers end at 2^53.

/// A [`SealClaim`] for a page.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SealView {
    sector_size: u64,
    comm_r: String,
    comm_d: String,
    prover_id: String,
    sector: String,
    ticket: String,
    seed: String,
    proof: String,
}

/// A [`WindowPoStClaim`] for a page.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WindowView {
    sector_size: u64,
    prover_id: String,
    randomness: String,
    sectors: Vec<(String, String)>,
    proof: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProofView<C> {
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<Epoch>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claim: Option<C>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<String>,
}

#[derive(Serialize)]
struct EvidenceView {
    seal: ProofView<SealView>,
    posts: Vec<ProofView<WindowView>>,
}

/// A claim for a page.
pub fn seal_view(claim: &SealClaim) -> SealView {
    SealView {
        sector_size: claim.sector_size.bytes(),
        comm_r: claim.comm_r.to_string(),
        comm_d: claim.comm_d.to_string(),
        prover_id: hex::encode(claim.prover_id),
        sector: claim.sector.to_string(),
        ticket: hex::encode(claim.ticket),
        seed: hex::encode(claim.seed),
        proof: hex::encode(&claim.proof),
    }
}

/// A claim for a page.
pub fn window_view(claim: &WindowPoStClaim) -> WindowView {
    let sectors = claim.sectors.iter();
    WindowView {
        sector_size: claim.sector_size.bytes(),
        prover_id: hex::encode(claim.prover_id),
        randomness: hex::encode(claim.randomness),
        sectors: sectors
            .map(|(sector, comm_r)| (sector.to_string(), comm_r.to_string()))
            .collect(),
        proof: hex::encode(&claim.proof),
    }
}

fn proof_view<C, V>(found: &Gathered<C>, view: fn(&C) -> V, place: Option<(&str, Epoch)>) -> ProofView<V> {
    let (claim, missing) = match found {
        Gathered::Claim(claim) => (Some(view(claim)), None),
        Gathered::Missing(words) => (None, Some(words.clone())),
    };
    ProofView {
        message: place.map(|(message, _)| message.to_string()),
        height: place.map(|(_, height)| height),
        claim,
        missing,
    }
}

impl Serialize for Evidence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let posts = self.posts.iter();
        let view = EvidenceView {
            seal: proof_view(&self.seal, seal_view, None),
            posts: posts
                .map(|post| proof_view(&post.claim, window_view, Some((&post.message, post.height))))
                .collect(),
        };
        view.serialize(serializer)
    }
}
