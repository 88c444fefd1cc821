//! A whole miner in one process for tests: a development chain whose blocks are made by hand, FAKE proofs, a client with
//! money, and a store that can be closed and opened again as after a kill.

mod archiving;
mod explaining;
mod keeping;
mod lifecycle;
mod offers;
mod paying;
mod power_loss;
mod redirecting;
mod scenarios;
mod setbacks;
mod upkeep;
mod worker;

pub(crate) use redirecting::redirecting;

use crate::assembly::Assembly;
use crate::block_index::BlockIndex;
use crate::chain_access::{Account, ChainAccess};
use crate::coming::Coming;
use crate::intake::Intake;
use crate::network::propose;
use crate::piece_reader::PieceReader;
use crate::prover::fake::FakeEngine;
use crate::prover::{Prover, Resuming};
use crate::proving::PostError;
use crate::settings::{Kept, Settings, SettingsStore};
use crate::staging::Staging;
use crate::storage_check::StorageDoubt;
use crate::store::{DealRecord, MinerStore};
use crate::supervisor::Lifeline;
use crate::{ask_publisher, deal_expiry, packing, proving, redeeming, registration, sealing, slashing};
use cid::Cid;
use libp2p::PeerId;
use sealdrop_database::Memory;
use sealdrop_devnet::testing::{config, key, produce};
use sealdrop_devnet::Devnet;
use shared::chain::address::MaybeAddress;
use shared::chain::view::MinerView;
use shared::chain::{calls, Address, AttoFil, BytesAmount, ChannelId, Epoch, Policy, SecretKey};
use shared::deal::{MinerInput, MinerStage, PaymentInfo, Proposal, Response, SignedProposal};
use shared::payment::{unsigned_vouchers, Terms};
use shared::piece::{PieceDigest, PieceSummary, SectorSize};
use shared::ports::verifier::{prover_id, FakeVerifier};
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

pub(crate) const SIZE: SectorSize = SectorSize::S2KiB;
/// The client's and the miner's keys.
pub(crate) const CLIENT: u8 = 1;
const MINER: u8 = 3;
/// Real time between two blocks while something waits for the chain.
const TICK: Duration = Duration::from_millis(3);

/// What the tasks of a running miner remember from head to head.
#[derive(Default)]
pub(crate) struct Tasks {
    proving: proving::Watch,
    redeeming: redeeming::Watch,
    slashing: slashing::Slasher,
}

pub(crate) struct World {
    pub dir: TempDir,
    pub devnet: Devnet,
    /// Where the miner finds the chain when it is opened.
    chain: String,
    pub client: ChainAccess,
    miner: Option<Arc<Assembly>>,
    pub tasks: Tasks,
}

/// A chain's outbox that is gone with the test.
fn outbox() -> Arc<Memory> {
    Arc::default()
}

impl World {
    /// A registered miner that asks for 1 attoFIL, and a client with money.
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let devnet = Devnet::open(config(&dir.path().join("devnet"))).expect("a new chain");
        let running = devnet.clone();
        tokio::spawn(async move { running.run().await });
        let client = ChainAccess::connect(&devnet.url(), outbox(), key(CLIENT))
            .await
            .expect("the chain");
        client.faucet(&client.address()).await.expect("money");
        produce(&devnet);
        let mut world = Self {
            dir,
            chain: devnet.url(),
            devnet,
            client,
            miner: None,
            tasks: Tasks::default(),
        };
        world.open().await;
        world
    }

    pub fn miner(&self) -> &Arc<Assembly> {
        self.miner.as_ref().expect("it is open between restarts")
    }

    pub fn sectors(&self) -> PathBuf {
        self.dir.path().join("sectors")
    }

    async fn open(&mut self) {
        let path = self.dir.path().join("store");
        let store = loop {
            // The last task of the killed miner may still hold the database for a moment.
            match tokio::task::block_in_place(|| MinerStore::open(&path)) {
                Ok(store) => break store,
                Err(_) => tokio::time::sleep(TICK).await,
            }
        };
        let miner = self
            .during(assemble(&self.chain, store, self.dir.path().to_owned()))
            .await;
        let miner = Arc::new(miner);
        self.during(ask_publisher::ensure(&miner.ask_publisher()))
            .await
            .expect("the ask is published");
        self.miner = Some(miner);
        self.tasks = Tasks::default();
    }

    /// As after a kill: everything in memory is gone.
    pub async fn reopen(&mut self) {
        self.miner = None;
        self.open().await;
    }

    /// Makes blocks until `work` is done.
    pub async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = tokio::time::sleep(TICK) => drop(produce(&self.devnet)),
            }
        }
    }

    pub fn height(&self) -> Epoch {
        self.devnet.head().height
    }

    /// Makes blocks up to `height`, and waits until the miner has heard of it.
    pub async fn skip_to(&self, height: Epoch) {
        while self.height() < height {
            produce(&self.devnet);
        }
        let mut heads = self.miner().chain.heads();
        let seen = heads.wait_for(|head| head.height >= height).await;
        seen.expect("the chain access lives");
    }

    pub async fn skip(&self, blocks: u64) {
        self.skip_to(self.height().plus(blocks)).await;
    }

    /// What the miner's services do at one head, one after the other. Nothing of it may fail, but a proof of sectors whose
    /// files a test took away, which is tried again at the next head, as in the daemon.
    pub async fn tick(&mut self) {
        let lifeline = Lifeline::unsupervised();
        let (miner, height, mut tasks) = (self.miner().clone(), self.height(), std::mem::take(&mut self.tasks));
        let work = async {
            match tasks.proving.tick(&miner.proving(), height, &lifeline).await {
                Ok(()) | Err(PostError::Faulty { .. }) => {}
                Err(error) => panic!("at {height} nothing is proven: {error}"),
            }
            tasks
                .redeeming
                .tick(&miner.redeeming(), height)
                .await
                .expect("vouchers are looked at");
            deal_expiry::tick(&miner.deal_expiry(), height)
                .await
                .expect("deals are ended");
            tasks
                .slashing
                .tick(&miner.slashing(), height)
                .await
                .expect("late miners are looked for");
        };
        self.during(work).await;
        self.tasks = tasks;
    }

    /// Goes on, ten blocks at a time, until the chain shows what is waited for.
    pub async fn until(&mut self, reached: impl Fn(&MinerView) -> bool) {
        for _ in 0..200 {
            if reached(&self.view().await) {
                return;
            }
            self.skip(10).await;
            self.tick().await;
        }
        panic!("not reached by {}: {:?}", self.height(), self.view().await)
    }

    pub async fn view(&self) -> MinerView {
        let miner = self.miner();
        let view = miner.chain.miner(&miner.address).await.expect("the chain answers");
        view.expect("the miner is registered")
    }

    pub fn deal(&self, cid: &Cid) -> DealRecord {
        let found = self.miner().store.deal(cid).expect("the store is whole");
        found.expect("the deal is kept")
    }

    pub async fn propose(&self, signed: SignedProposal) -> Response {
        let reviewer = self.miner().reviewer();
        let decided = self.during(propose::decide(&reviewer, signed, PeerId::random())).await;
        decided.expect("the miner answers")
    }

    /// A proposal of a piece over a new channel, paid at `price`.
    pub async fn paid(&self, piece: &PieceSummary, price: u128, duration: u64) -> SignedProposal {
        let (owner, start) = (self.miner().owner.clone(), self.height());
        let total = AttoFil(price * u128::from(piece.size) * u128::from(duration));
        let eol = start.plus(duration + 2000);
        let purpose = format!("channel/{}/{start}", piece.data_cid);
        let call = calls::create_channel(&owner, eol, total);
        let (message, receipt) = self.during(self.client.call(&purpose, call)).await.expect("opened");
        let receipt = receipt.receipt().expect("a receipt");
        let channel = calls::channel_id(&receipt).expect("a channel");
        self.skip(1).await;
        self.proposal(piece, total, duration, start, Some((channel, message)))
    }

    pub fn free(&self, piece: &PieceSummary, duration: u64) -> SignedProposal {
        self.proposal(piece, AttoFil::ZERO, duration, self.height(), None)
    }

    fn proposal(
        &self,
        piece: &PieceSummary,
        total: AttoFil,
        duration: u64,
        start: Epoch,
        channel: Option<(ChannelId, Cid)>,
    ) -> SignedProposal {
        let (miner, payer) = (self.miner(), key(CLIENT));
        let signed = |channel: ChannelId| {
            let terms = Terms {
                payer: payer.address(),
                target: miner.owner.clone(),
                miner: miner.address.clone(),
                channel,
                total,
                duration,
                start,
                comm_p: piece.comm_p,
                size: BytesAmount(piece.size),
            };
            let mut vouchers = unsigned_vouchers(&terms).expect("a schedule");
            for voucher in &mut vouchers {
                voucher.signature = Some(payer.sign(&voucher.payload()).0.to_vec().into());
            }
            vouchers
        };
        let broker = Address::id(Address::PAYMENT_BROKER);
        let proposal = Proposal {
            piece_ref: piece.data_cid,
            size: Some(BytesAmount(piece.size)),
            total_price: total,
            duration,
            miner_address: miner.address.clone(),
            payment: PaymentInfo {
                payer: payer.address(),
                pay_ch_actor: MaybeAddress(channel.is_some().then_some(broker)),
                channel: channel.map(|(id, _)| id),
                channel_msg_cid: channel.map(|(_, message)| message),
                vouchers: channel.map(|(id, _)| signed(id)),
            },
        };
        proposal.sign(&payer)
    }

    /// The piece arrives whole.
    pub fn deliver(&self, cid: &Cid, piece: &PieceSummary, bytes: &[u8]) {
        let mut import = self.miner().staging.import().expect("room");
        import.push(bytes).expect("written");
        import.finish().expect("staged");
        let input = MinerInput::PieceReceived { comm_p: piece.comm_p };
        self.miner()
            .store
            .advance_deal(cid, input)
            .expect("the deal waits for its piece");
    }

    /// Seals everything that is staged, with a kill between all steps when `killed`.
    pub async fn seal(&mut self, killed: bool) {
        packing::place(&self.miner().packing(), 0).expect("placed");
        packing::close_all(&self.miner().packing(), 0).expect("closed");
        let (closed, _) = packing::place(&self.miner().packing(), 0).expect("listed");
        for id in closed {
            loop {
                if killed {
                    self.reopen().await;
                }
                let miner = self.miner().clone();
                if !self
                    .during(sealing::step(&miner.sealing(), id))
                    .await
                    .expect("a step is done")
                {
                    break;
                }
            }
        }
    }

    /// A complete deal over a paid channel.
    pub async fn complete(&mut self, number: u8, duration: u64) -> Cid {
        let (bytes, piece) = piece(number, 500);
        let signed = self.paid(&piece, 1, duration).await;
        let cid = signed.cid();
        assert_eq!(self.propose(signed).await.message, "");
        self.deliver(&cid, &piece, &bytes);
        self.seal(false).await;
        assert!(matches!(self.deal(&cid).deal.stage, MinerStage::Complete { .. }));
        cid
    }
}

/// Bytes that differ by `number`, and their names.
pub(crate) fn piece(number: u8, size: usize) -> (Vec<u8>, PieceSummary) {
    let bytes = vec![number; size];
    let mut digest = PieceDigest::new();
    digest.push(&bytes).expect("bytes");
    (bytes, digest.finish().expect("a piece"))
}

async fn assemble(chain: &str, store: MinerStore, dir: PathBuf) -> Assembly {
    let worker: SecretKey = key(MINER);
    let chain = ChainAccess::connect(chain, store.outbox(), worker.clone())
        .await
        .expect("the chain");
    let view = registration::register(&chain, &store, SIZE, &[0, 1, 2]).await;
    let view = view.expect("the miner is registered");
    let engine = FakeEngine {
        prover_id: prover_id(&view.address),
        size: SIZE,
        dir: dir.join("sectors"),
        refuses_own: false,
    };
    let settings = Settings {
        price: AttoFil(1),
        ..Settings::default()
    };
    let first = Kept {
        settings,
        ..Kept::default()
    };
    let kept = store.settings().expect("the store is whole").unwrap_or(first);
    let owner = view.owner.clone();
    let account = Account::of(worker);
    let store_of_prover = store.rates();
    let prover = Arc::new(Prover::start(Arc::new(Resuming(engine)), SIZE, store_of_prover));
    let settings = Arc::new(SettingsStore::new(kept));
    let intake = Intake::new(SIZE, store.clone(), prover.clone(), settings.clone());
    let staging = Staging::open(dir.join("staging")).expect("a folder");
    let reader = PieceReader::new(store.clone(), staging.clone(), prover.clone());
    Assembly {
        address: view.address,
        owner,
        sector_size: SIZE,
        policy: Policy::default(),
        settings,
        prover,
        intake: Arc::new(intake),
        store,
        staging,
        reader,
        index: BlockIndex::of(Arc::new(Memory::default())),
        worker_chain: chain.with_account(account.clone()),
        chain,
        worker: account,
        verifier: Arc::new(FakeVerifier::default()),
        wake: Arc::default(),
        sectors: dir.join("sectors"),
        storage_doubt: StorageDoubt::default(),
        coming: Coming::nothing(),
        redemptions: Arc::default(),
    }
}
