//! The miner's store: proposals reviewed and persisted a second, with few and with many deals in it, and the restart.
//!
//! ```text
//! cargo xtask bench store [DEALS]    deals of the large store, 100 000 unless given
//! ```
//! Where `SEALDROP_POSTGRES` names a server (`cargo xtask bench scale`), a store with 20 000 sectors, too, is brought there instead, and it is measured
//! what the operator's status reads of it, and how long taking a job takes among a thousand.
//! A proposal has ten signed vouchers. It is reviewed with all its signatures, decided on and kept; it counts when it is on the disk. Many
//! come at once, as from many peers. What is given per core is by processor time; the last line is JSON.

use nix::sys::resource::{getrusage, UsageWho};
use nix::sys::time::TimeValLike;
use sealdrop_database::jobs::{Jobs, NewJob};
use sealdrop_miner::store::{DealRecord, Decision, EffectKind, MinerStore};
use shared::chain::address::MaybeAddress;
use shared::chain::{Address, AttoFil, BytesAmount, ChannelId, Epoch, SecretKey};
use shared::deal::review::price_of;
use shared::deal::{
    review, MinerDeal, MinerStage, OperatorTerms, PaymentInfo, ProofInfo, Proposal, ReviewContext, SignedProposal,
};
use shared::payment::{unsigned_vouchers, ChannelFacts, Terms};
use shared::piece::{Commitment, PieceDigest, PieceSummary, SectorSize};
use shared::sector::{SectorInput, SectorPiece};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Deals in the small store.
const FEW: u64 = 100;
/// Deals in the large store.
const MANY: u64 = 100_000;
/// Proposals that are measured.
const PROPOSALS: u64 = 3000;
/// Peers that propose at once.
const PEERS: usize = 64;
/// Blocks of a deal: ten vouchers.
const DURATION: u64 = 10_000;
const SIZE: u64 = 1000;
const PRICE: AttoFil = AttoFil(1);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|text| text != "--bench").collect();
    let many = arguments
        .first()
        .map_or(MANY, |text| text.parse().expect("a number of deals"));
    let maker = Maker::new();
    if let Ok(url) = std::env::var("SEALDROP_POSTGRES") {
        return on_server(&maker, &url, many);
    }
    let few = Measured::of(&maker, FEW);
    let large = Measured::of(&maker, many);
    println!();
    println!("deals in the store    proposals/s    per core and s    restart");
    for measured in [&few, &large] {
        println!(
            "{:>18} {:>14.0} {:>17.0} {:>8.2} s",
            measured.deals, measured.per_second, measured.per_core, measured.restart_s
        );
    }
    let ratio = large.per_core / few.per_core;
    println!("the large store is {ratio:.2} times as fast as the small one, by processor time");
    println!(
        "{{\"benchmark\":\"store\",\"few\":{},\"many\":{},\"ratio\":{ratio:.3}}}",
        few.json(),
        large.json()
    );
}

struct Measured {
    deals: u64,
    per_second: f64,
    per_core: f64,
    restart_s: f64,
}

impl Measured {
    fn of(maker: &Maker, deals: u64) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("bench-store")
            .tempdir_in(".")
            .expect("room");
        let path = dir.path().join("store");
        let store = MinerStore::open(&path).expect("a store");
        let begun = Instant::now();
        fill(&store, maker, deals);
        eprintln!("{deals} deals written in {:.1} s", begun.elapsed().as_secs_f64());
        let proposals: Vec<_> = (0..PROPOSALS)
            .map(|number| maker.proposal(deals + number, true))
            .collect();
        let (begun, cpu) = (Instant::now(), cpu_s());
        propose(&store, maker, &proposals);
        let (wall, cpu) = (begun.elapsed().as_secs_f64(), cpu_s() - cpu);
        drop(store);
        Self {
            deals,
            per_second: PROPOSALS as f64 / wall,
            per_core: PROPOSALS as f64 / cpu,
            restart_s: restart(&path),
        }
    }

    fn json(&self) -> String {
        format!(
            "{{\"deals\":{},\"perSecond\":{:.0},\"perCoreSecond\":{:.0},\"restartSeconds\":{:.3}}}",
            self.deals, self.per_second, self.per_core, self.restart_s
        )
    }
}

/// Opens the store and asks what the services ask when they start.
fn restart(path: &Path) -> f64 {
    let begun = Instant::now();
    let store = MinerStore::open(path).expect("the store opens");
    store.unfinished_sectors().expect("answered");
    store.owed_to_nobody().expect("answered");
    store.releasing().expect("answered");
    store.unwanted_pieces().expect("answered");
    store.deals_past_end(Epoch(50), 64).expect("answered");
    store.earning(None, 64).expect("answered");
    store.deals_by_state().expect("answered");
    store.tally(&EffectKind::ALL).expect("answered");
    store.newest_deals(100, |_| true).expect("answered");
    store.earned().expect("answered");
    begun.elapsed().as_secs_f64()
}

/// Sectors of the store on a server, and jobs that wait there.
const SECTORS: u64 = 20_000;
const JOBS: u64 = 1000;
/// How often what is measured there is done.
const TIMES: usize = 100;

/// A large store on a server.
fn on_server(maker: &Maker, url: &str, deals: u64) {
    let dir = tempfile::Builder::new()
        .prefix("bench-store")
        .tempdir_in(".")
        .expect("room");
    let local = MinerStore::open(dir.path()).expect("a store");
    let begun = Instant::now();
    fill(&local, maker, deals);
    eprintln!("{deals} deals written in {:.1} s", begun.elapsed().as_secs_f64());
    let begun = Instant::now();
    prove(&local, maker, SECTORS);
    eprintln!("{SECTORS} sectors written in {:.1} s", begun.elapsed().as_secs_f64());
    drop(local);
    let begun = Instant::now();
    let jobs = Jobs::at(url, sealdrop_miner::store::SPACE).expect("the server answers");
    let store = MinerStore::on_server(url, "bench", dir.path()).expect("it is brought to the server");
    let brought_s = begun.elapsed().as_secs_f64();
    let status = median_ms(|| {
        store.deals_by_state().expect("answered");
        store.newest_sectors(200).expect("answered");
        store.last_post().expect("answered");
        store.earned().expect("answered");
        jobs.list(1000).expect("answered");
        jobs.machines().expect("answered");
    });
    for number in 0..JOBS {
        let key = format!("job {number}");
        let job = NewJob {
            key: &key,
            kind: "commit-2",
            rank: 0,
            sector: Some(number),
            sticks: false,
            lease: sealdrop_database::jobs::LEASE,
            input: &[7; 60_000],
        };
        jobs.post(&job).expect("kept");
    }
    let claim = median_ms(|| {
        let open = jobs.open("machine", &["commit-2"]).expect("answered");
        let ids: Vec<i64> = open.iter().map(|job| job.id).collect();
        jobs.claim("machine", &ids).expect("answered").expect("one waits");
    });
    println!();
    println!("{deals} deals and {SECTORS} sectors, brought to the server in {brought_s:.1} s");
    println!("what the status reads   {status:>7.1} ms");
    println!("taking one of {JOBS} jobs {claim:>7.1} ms");
    println!("{{\"brought_s\":{brought_s:.1},\"status_ms\":{status:.2},\"claim_ms\":{claim:.2}}}");
}

/// The median of some times, in milliseconds.
fn median_ms(mut work: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..TIMES)
        .map(|_| {
            let begun = Instant::now();
            work();
            begun.elapsed().as_secs_f64() * 1000.0
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[TIMES / 2]
}

/// Sectors with a piece of the operator's own, sealed and proven.
fn prove(store: &MinerStore, maker: &Maker, sectors: u64) {
    at_once(sectors, |number| {
        let data = data_of(&number.to_be_bytes()).data_cid;
        let piece = SectorPiece {
            deal: data,
            data_cid: data,
            size: 2032,
            comm_p: maker.comm_p,
        };
        let sector = store.add_piece(piece, SectorSize::S2KiB, 0).expect("kept");
        let inputs = [
            SectorInput::Close,
            SectorInput::TicketDrawn {
                epoch: Epoch(1),
                ticket: [7; 32],
            },
            SectorInput::PreCommit1Done { output: vec![7; 1000] },
            SectorInput::PreCommit2Done {
                comm_d: maker.comm_p,
                comm_r: maker.comm_p,
                comm_c: maker.comm_p,
            },
            SectorInput::PreCommitted { seed_epoch: Epoch(2) },
            SectorInput::SeedDrawn { seed: [7; 32] },
            SectorInput::Commit1Done { output: vec![7; 1000] },
            SectorInput::Commit2Done { proof: vec![7; 192] },
            SectorInput::Committed {
                message: maker.data,
                height: Epoch(3),
            },
        ];
        for input in inputs {
            store.advance_sector(sector, input, 0).expect("kept");
        }
    });
}

/// Complete deals, with what a deal carries in a proven sector.
fn fill(store: &MinerStore, maker: &Maker, deals: u64) {
    at_once(deals, |number| {
        let proposal = maker.proposal(number, false);
        let mut deal = MinerDeal::accepted(proposal, Epoch(10));
        deal.stage = MinerStage::Complete {
            comm_p: maker.comm_p,
            proof: maker.proof(number),
        };
        store.accept(&record(deal, number)).expect("kept");
    });
}

fn propose(store: &MinerStore, maker: &Maker, proposals: &[SignedProposal]) {
    let context = maker.context();
    at_once(proposals.len() as u64, |number| {
        let signed = &proposals[number as usize];
        review(signed, &context).expect("a good proposal");
        let source = format!("peer {}", number % PEERS as u64);
        let decided = store.decide(signed, &source, |known| {
            assert!(known.deal.is_none() && !known.channel_is_promised);
            let deal = MinerDeal::accepted(signed.clone(), Epoch(10));
            Ok(Decision::Keep(Box::new(record(deal, number)), ()))
        });
        decided.expect("kept");
    });
}

/// Does `work` for every number, by as many threads as there are peers.
fn at_once(count: u64, work: impl Fn(u64) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..PEERS {
            scope.spawn(|| loop {
                let number = next.fetch_add(1, Ordering::Relaxed) as u64;
                if number >= count {
                    break;
                }
                work(number);
            });
        }
    });
}

fn record(deal: MinerDeal, number: u64) -> DealRecord {
    DealRecord {
        deal,
        created_ms: number,
        source: "peer".into(),
    }
}

fn data_of(bytes: &[u8]) -> PieceSummary {
    let mut digest = PieceDigest::new();
    digest.push(bytes).expect("short");
    digest.finish().expect("a piece")
}

/// Makes proposals of one client to one miner.
struct Maker {
    payer: SecretKey,
    owner: Address,
    miner: Address,
    data: cid::Cid,
    comm_p: Commitment,
}

impl Maker {
    fn new() -> Self {
        let key = |byte| SecretKey::from_bytes(&[byte; 32]).expect("a small number is a key");
        let piece = data_of(&[7; SIZE as usize]);
        let owner = key(2).address();
        Self {
            payer: key(1),
            miner: Address::actor(&owner, 0),
            owner,
            data: piece.data_cid,
            comm_p: piece.comm_p,
        }
    }

    /// A proposal over a channel of its own; without signatures it is made faster.
    fn proposal(&self, number: u64, is_signed: bool) -> SignedProposal {
        let total = price_of(PRICE, SIZE, DURATION).expect("a small price");
        let channel = ChannelId(number);
        let terms = Terms {
            payer: self.payer.address(),
            target: self.owner.clone(),
            miner: self.miner.clone(),
            channel,
            total,
            duration: DURATION,
            start: Epoch(10),
            comm_p: self.comm_p,
            size: BytesAmount(SIZE),
        };
        let mut vouchers = unsigned_vouchers(&terms).expect("a schedule");
        for voucher in &mut vouchers {
            let signature = match is_signed {
                true => self.payer.sign(&voucher.payload()).0.to_vec(),
                false => vec![7; 65],
            };
            voucher.signature = Some(signature.into());
        }
        let proposal = Proposal {
            piece_ref: self.data,
            size: Some(BytesAmount(SIZE)),
            total_price: total,
            duration: DURATION,
            miner_address: self.miner.clone(),
            payment: PaymentInfo {
                payer: self.payer.address(),
                pay_ch_actor: MaybeAddress(Some(Address::id(Address::PAYMENT_BROKER))),
                channel: Some(channel),
                channel_msg_cid: Some(self.data),
                vouchers: Some(vouchers),
            },
        };
        proposal.sign(&self.payer)
    }

    fn proof(&self, number: u64) -> ProofInfo {
        ProofInfo {
            sector_id: number / 8 + 1,
            comm_d: self.comm_p,
            comm_r: self.comm_p,
            comm_r_star: self.comm_p,
            commitment_message: self.data,
            piece_inclusion_proof: Some(vec![7; 400].into()),
        }
    }

    fn context(&self) -> ReviewContext {
        let total = price_of(PRICE, SIZE, DURATION).expect("a small price");
        ReviewContext {
            miner: self.miner.clone(),
            owner: self.owner.clone(),
            terms: OperatorTerms::at_price(PRICE),
            height: Epoch(10),
            usable: 2032,
            channel: Some(ChannelFacts {
                target: self.owner.clone(),
                amount: total,
                amount_redeemed: AttoFil::ZERO,
                eol: Epoch(10_000_000),
                agreed_eol: Epoch(10_000_000),
                session: None,
            }),
            channel_is_promised: false,
        }
    }
}

/// Processor time of this process, in seconds.
fn cpu_s() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("the system tells");
    let used = usage.user_time() + usage.system_time();
    used.num_microseconds() as f64 / 1e6
}
