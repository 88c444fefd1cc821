//! A whole deal's receipt, made of signed messages, signed headers and proofs of the fake verifier, for tests.

use super::artefact::{
    split, Answer, Artefact, ArtefactKind, ManifestCopy, OnChain, Piece, Post, PostClaim, Retrieved, Terms, Ticket,
};
use super::inspection::{Claims, ProofVerdict, Verdicts};
use super::receipt::Receipt;
use crate::chain::abi::Abi;
use crate::chain::calls::{self, Call};
use crate::chain::keys::{cid_of, cid_of_bytes};
use crate::chain::light::header::ticket;
use crate::chain::light::proofs::receipt_leaf;
use crate::chain::light::{BlockHeader, MessageProof, Tree};
use crate::chain::randomness::{draw, Purpose};
use crate::chain::verifier::{prover_id, FakeVerifier, ProofVerifier, SealClaim, WindowPoStClaim, DEVELOPMENT_KEYS};
use crate::chain::{
    Address, AttoFil, BytesAmount, ChannelId, Epoch, Policy, Receipt as MessageReceipt, SecretKey, SignedMessage,
};
use crate::deal::{ClientDeal, ClientStage, DealState, Draft, ProofInfo, Response, SignedProposal, SignedResponse};
use crate::file::{FileEntry, FilePiece, Manifest, RelativePath};
use crate::piece::commp::CommPHasher;
use crate::piece::node::raw_cid;
use crate::piece::{Commitment, InclusionProof, PieceSize, SectorLayout, SectorSize, SizedPieceCid};
use crate::wire::cbor::Bytes;
use alloc::vec::Vec;
use alloc::{format, vec};
use cid::Cid;
use serde::Serialize;

/// The sector that the piece is in.
const SECTOR: u64 = 7;
/// Bytes of the piece.
const SIZE: usize = 1000;

#[derive(Serialize)]
struct Genesis {
    network: &'static str,
    verifying_keys: &'static str,
    policy: Policy,
    authority: Address,
}

/// A key: 1 is the payer's, 2 the miner's owner's, 3 its worker's.
pub fn key(byte: u8) -> SecretKey {
    SecretKey::from_bytes(&[byte; 32]).expect("a valid key")
}

/// A network of one authority.
pub struct World {
    record: Vec<u8>,
    pub genesis: Cid,
    authority: SecretKey,
}

impl Default for World {
    fn default() -> Self {
        let authority = key(9);
        let genesis = Genesis {
            network: "test",
            verifying_keys: DEVELOPMENT_KEYS,
            policy: Policy::default(),
            authority: authority.address(),
        };
        let mut record = Vec::new();
        ciborium::into_writer(&genesis, &mut record).expect("a vector takes everything");
        let genesis = cid_of_bytes(&record);
        Self {
            record,
            genesis,
            authority,
        }
    }
}

impl World {
    fn ticket(&self, height: u64) -> Ticket {
        let height = Epoch(height);
        Ticket {
            height,
            ticket: ticket(&self.authority, &self.genesis, height),
        }
    }

    /// A message in a block with two others, with its proof.
    fn mined(&self, message: SignedMessage, height: u64, returns: Vec<Bytes>) -> OnChain {
        let receipt = MessageReceipt {
            exit_code: 0,
            returns,
            gas_cost: AttoFil(100),
            error: Default::default(),
        };
        let other = receipt_leaf(&cid_of_bytes(b"other"), &receipt);
        let tree = Tree::of(vec![other, receipt_leaf(&message.cid(), &receipt), other]);
        let header = BlockHeader {
            genesis: self.genesis,
            height: Epoch(height),
            parent: cid_of_bytes(b"parent"),
            ticket: self.ticket(height).ticket,
            time_ms: 1_700_000_000_000,
            receipts_root: tree.root(),
            state_root: [2; 32],
            state_digest: [3; 32],
        };
        OnChain::proven(MessageProof {
            header: header.sign(&self.authority),
            message,
            receipt,
            path: tree.path(1).expect("there are three"),
        })
    }
}

fn sent(call: Call, from: &SecretKey, nonce: u64) -> SignedMessage {
    call.message(&from.address(), nonce).sign(from)
}

fn miner() -> Address {
    Address::actor(&Address::id(7), 0)
}

fn answer(state: DealState, proposal: &SignedProposal, proof_info: Option<ProofInfo>) -> Answer {
    let response: SignedResponse = Response {
        state,
        message: Default::default(),
        proposal_cid: proposal.cid(),
        proof_info,
    }
    .sign(&key(3));
    Answer {
        worker: key(3).address(),
        response,
    }
}

struct Data {
    data_cid: Cid,
    comm_p: Commitment,
    comm_d: Commitment,
    path: InclusionProof,
}

fn data() -> Data {
    let bytes: Vec<u8> = (0..SIZE).map(|at| (at % 251) as u8).collect();
    let hashed = |bytes: &[u8]| {
        let mut hasher = CommPHasher::new();
        hasher.push(bytes).expect("it is short");
        hasher.finish().expect("it is not empty")
    };
    let mut layout = SectorLayout::new(SectorSize::S2KiB);
    let (piece, beside) = (hashed(&bytes), hashed(&bytes[..100]));
    for placed in [&beside, &piece] {
        layout.place(placed.padded, placed.comm_p).expect("there is room");
    }
    Data {
        data_cid: raw_cid(&bytes),
        comm_p: piece.comm_p,
        comm_d: layout.comm_d(),
        path: InclusionProof::prove(&layout, 1).expect("it is there"),
    }
}

fn draft(data: &Data, price: AttoFil) -> Draft {
    Draft {
        data_cid: data.data_cid,
        comm_p: data.comm_p,
        size: SIZE as u64,
        payer: key(1).address(),
        miner: miner(),
        owner: key(2).address(),
        worker: key(3).address(),
        sector_size: SectorSize::S2KiB,
        price,
        duration: 2500,
        start: Epoch(100),
    }
}

fn manifest(data: &Data) -> ManifestCopy {
    let piece = FilePiece {
        offset: 0,
        size: SIZE as u64,
        data_cid: data.data_cid,
        comm_p: data.comm_p,
    };
    let path = RelativePath::parse("letter.txt").expect("a name");
    let file = FileEntry::new(path, SIZE as u64, data.data_cid, vec![piece]).expect("a file");
    let manifest = Manifest::file(file)
        .expect("a manifest")
        .to_bytes()
        .expect("it is short");
    ManifestCopy {
        cid: Manifest::cid_of(&manifest),
        manifest: Bytes(manifest),
    }
}

/// The receipt of a complete and proven deal of which two vouchers are redeemed and whose file came back; its proofs are the fake verifier's.
pub fn receipt() -> Receipt {
    receipt_signed_by(&key(1))
}

/// The same, with this key's signature under vouchers and proposal.
pub fn receipt_signed_by(signer: &SecretKey) -> Receipt {
    let world = World::default();
    let data = data();
    let draft = draft(&data, AttoFil(1_000_000));
    let total = draft.total().expect("it is small");
    let open = calls::create_channel(&draft.owner, draft.channel_eol(), total);
    let open = sent(open, &key(1), 0);
    let channel = ChannelId(11);
    let stage = ClientStage::ChannelOpen {
        channel: channel.0,
        message: open.cid(),
    };
    let deal = ClientDeal {
        draft: draft.clone(),
        stage,
    };
    let proposal = deal.sign(signer).expect("a schedule");
    let (rest, vouchers) = split(&proposal);
    let vouchers = vouchers.expect("it is paid");
    let seal = Seal::of(&world, &data);
    let complete = answer(DealState::Complete, &proposal, Some(seal.info.clone()));
    let redeemed = |number: usize, height| {
        let redeemer = seal.info.evidence().expect("there is a path").parameters();
        let call = calls::redeem(&vouchers[number], redeemer);
        world.mined(sent(call, &key(2), number as u64), height, Vec::new())
    };
    let piece = Piece {
        data_cid: data.data_cid,
        size: SIZE as u64,
        comm_p: data.comm_p,
        piece_cid: format!(
            "{}",
            SizedPieceCid::new(data.comm_p, PieceSize::new(SIZE as u64).expect("it is one"))
        ),
    };
    let terms = Terms {
        payer: draft.payer.clone(),
        miner: miner(),
        price: draft.price,
        duration: draft.duration,
        sector_size: BytesAmount(draft.sector_size.bytes()),
        paid: Some((draft.owner.clone(), draft.start)),
    };
    let retrieved = Retrieved {
        data_cid: data.data_cid,
        size: SIZE as u64,
    };
    use ArtefactKind as Kind;
    let artefacts = vec![
        Artefact::of(Kind::Manifest, &manifest(&data)),
        Artefact::of(Kind::Piece, &piece),
        Artefact::of(Kind::Terms, &terms),
        Artefact::of(Kind::Channel, &world.mined(open, 101, vec![Bytes(channel.to_abi())])),
        Artefact::of(Kind::Vouchers, &vouchers),
        Artefact::of(Kind::Proposal, &rest),
        Artefact::of(Kind::Accepted, &answer(DealState::Accepted, &proposal, None)),
        Artefact::of(Kind::Started, &answer(DealState::Started, &proposal, None)),
        Artefact::of(Kind::Staged, &answer(DealState::Staged, &proposal, None)),
        Artefact::of(Kind::PreCommit, &seal.pre_commit),
        Artefact::of(Kind::Commit, &seal.commit),
        Artefact::of(Kind::SealTicket, &seal.ticket),
        Artefact::of(Kind::SealSeed, &seal.seed),
        Artefact::of(Kind::Complete, &complete),
        Artefact::of(Kind::Post, &post(&world, &seal.info, 300)),
        Artefact::of(Kind::Post, &post(&world, &seal.info, 600)),
        Artefact::of(Kind::Redemption, &redeemed(0, 1200)),
        Artefact::of(Kind::Redemption, &redeemed(1, 2200)),
        Artefact::of(Kind::Retrieved, &retrieved),
    ];
    Receipt {
        genesis: world.genesis,
        record: Some(Bytes(world.record.clone())),
        artefacts,
    }
}

/// The receipt of the same deal for nothing: no channel, no vouchers, nothing redeemed, and no file of which its piece would be one of several.
pub fn free_receipt() -> Receipt {
    use ArtefactKind as Kind;
    let whole = receipt();
    let data = data();
    let draft = draft(&data, AttoFil::ZERO);
    let stage = ClientStage::Drafted;
    let proposal = ClientDeal { draft, stage }.sign(&key(1)).expect("nothing is paid");
    let reworded = |artefact: Artefact| match artefact.kind {
        Kind::Channel | Kind::Vouchers | Kind::Redemption | Kind::Manifest => None,
        Kind::Proposal => Some(Artefact::of(Kind::Proposal, &proposal)),
        Kind::Terms => {
            let terms: Terms = artefact.read().expect("it is one");
            let (price, paid) = (AttoFil::ZERO, None);
            Some(Artefact::of(Kind::Terms, &Terms { price, paid, ..terms }))
        }
        kind @ (Kind::Accepted | Kind::Started | Kind::Staged | Kind::Complete) => {
            let old: Answer = artefact.read().expect("it is one");
            let old = old.response.response;
            Some(Artefact::of(kind, &answer(old.state, &proposal, old.proof_info)))
        }
        _ => Some(artefact),
    };
    let artefacts = whole.artefacts.into_iter().filter_map(reworded).collect();
    Receipt { artefacts, ..whole }
}

struct Seal {
    info: ProofInfo,
    pre_commit: OnChain,
    commit: OnChain,
    ticket: Ticket,
    seed: Ticket,
}

impl Seal {
    fn of(world: &World, data: &Data) -> Self {
        let (comm_d, comm_r, comm_c) = (data.comm_d, Commitment([5; 32]), Commitment([6; 32]));
        let ticket = world.ticket(110);
        let seed = world.ticket(120 + Policy::default().seed_delay);
        let claim = SealClaim {
            sector_size: SectorSize::S2KiB,
            comm_r,
            comm_d,
            prover_id: prover_id(&miner()),
            sector: SECTOR,
            ticket: draw(Purpose::SealTicket, &ticket.ticket.0, &miner()),
            seed: draw(Purpose::SealSeed, &seed.ticket.0, &miner()),
            proof: Vec::new(),
        };
        let pre_commit = calls::pre_commit_sector(&miner(), SECTOR, &comm_d, &comm_r, ticket.height);
        let proof = FakeVerifier::seal_tag(&claim);
        let commit = calls::commit_sector(&miner(), SECTOR, &comm_d, &comm_r, &comm_c, &proof);
        let commit = sent(commit, &key(3), 1);
        let info = ProofInfo {
            sector_id: SECTOR,
            comm_d,
            comm_r,
            comm_r_star: comm_c,
            commitment_message: cid_of(&commit),
            piece_inclusion_proof: Some(Bytes(data.path.to_bytes())),
        };
        Self {
            info,
            pre_commit: world.mined(sent(pre_commit, &key(3), 0), 120, Vec::new()),
            commit: world.mined(commit, 130, Vec::new()),
            ticket,
            seed,
        }
    }
}

/// A proof-of-spacetime over three sectors.
fn post(world: &World, info: &ProofInfo, height: u64) -> Post {
    let window = world.ticket(height - 20);
    let sectors = vec![
        (3, Commitment([8; 32])),
        (info.sector_id, info.comm_r),
        (9, Commitment([9; 32])),
    ];
    let claim = WindowPoStClaim {
        sector_size: SectorSize::S2KiB,
        prover_id: prover_id(&miner()),
        randomness: draw(Purpose::WindowPoSt, &window.ticket.0, &miner()),
        sectors: sectors.clone(),
        proof: Vec::new(),
    };
    let proof = FakeVerifier::window_post_tag(&claim);
    let call = calls::submit_post(&miner(), &proof, AttoFil::ZERO);
    Post {
        message: world.mined(sent(call, &key(3), height), height, Vec::new()),
        claim: Some(PostClaim { window, sectors }),
    }
}

/// What the fake verifier says of them.
pub fn verdicts(claims: &Claims) -> Verdicts {
    let verdict = |holds: bool| match holds {
        true => ProofVerdict::Holds { key: "fake".into() },
        false => ProofVerdict::Fails {
            reason: "it is another tag".into(),
        },
    };
    let verifier = FakeVerifier::default();
    let seal = claims.seal.as_ref();
    let posts = claims.posts.iter();
    let post = |claim: &WindowPoStClaim| verdict(verifier.verify_window_post(claim).expect("it is not broken"));
    Verdicts {
        seal: seal.map(|claim| verdict(verifier.verify_seal(claim).expect("it is not broken"))),
        posts: posts.map(|claim| claim.as_ref().map(post)).collect(),
    }
}
