//! What the miner's services are made of, and how each gets what it needs and no more.
//!
//! Held by the program's `daemon` while it puts the services together, and by tests; no service holds it.

use crate::archive::{ArchiveConfig, Archiving, Owner};
use crate::ask_publisher::AskPublisher;
use crate::block_index::{BlockIndex, Indexing};
use crate::chain_access::{Account, ChainAccess, ChainError};
use crate::coming::Coming;
use crate::deal_expiry::DealExpiry;
use crate::explaining::ExplainerParts;
use crate::http::Reading;
use crate::intake::Intake;
use crate::logging::Log;
use crate::network::{Answers, Closing, RetrievalServer, Reviewer, StreamLimiter, TransferParts};
use crate::packing::Packing;
use crate::piece_reader::PieceReader;
use crate::prover::Prover;
use crate::proving::Proving;
use crate::redeeming::Redeeming;
use crate::scrubbing::Scrubbing;
use crate::sealing::{Sealing, SealingWake};
use crate::self_checks::SelfChecks;
use crate::settings::SettingsStore;
use crate::slashing::Slashing;
use crate::staging::Staging;
use crate::storage_check::{StorageCheck, StorageDoubt};
use crate::store::MinerStore;
use crate::uploads::{UploadParts, Uploads};
use shared::chain::{Address, Policy};
use shared::piece::SectorSize;
use shared::ports::verifier::ProofVerifier;
use std::path::PathBuf;
use std::sync::Arc;

/// The parts of one miner.
pub struct Assembly {
    pub address: Address,
    pub owner: Address,
    pub sector_size: SectorSize,
    pub policy: Policy,
    pub store: MinerStore,
    pub staging: Staging,
    /// Signs as the owner.
    pub chain: ChainAccess,
    /// Signs as the worker, whoever that is.
    pub worker_chain: ChainAccess,
    pub worker: Account,
    pub prover: Arc<Prover>,
    /// Reads what is given away, over whichever way.
    pub reader: PieceReader,
    /// Finds blocks in pieces.
    pub index: BlockIndex,
    pub verifier: Arc<dyn ProofVerifier + Send + Sync>,
    pub settings: Arc<SettingsStore>,
    pub intake: Arc<Intake>,
    pub wake: Arc<SealingWake>,
    /// Where sectors lie.
    pub sectors: PathBuf,
    pub storage_doubt: StorageDoubt,
    /// What the archive brings back, if there is one.
    pub coming: Coming,
    /// Redemptions, ordered and by themselves, take turns.
    pub redemptions: Arc<tokio::sync::Mutex<()>>,
}

impl Assembly {
    pub fn packing(&self) -> Packing {
        Packing {
            sector_size: self.sector_size,
            policy: self.policy.clone(),
            store: self.store.clone(),
            settings: self.settings.clone(),
            chain: self.chain.clone(),
        }
    }

    pub fn sealing(&self) -> Sealing {
        Sealing {
            address: self.address.clone(),
            policy: self.policy.clone(),
            store: self.store.clone(),
            staging: self.staging.clone(),
            chain: self.worker_chain.clone(),
            prover: self.prover.clone(),
            verifier: self.verifier.clone(),
            packing: self.packing(),
            wake: self.wake.clone(),
            coming: self.coming.clone(),
        }
    }

    pub fn proving(&self) -> Proving {
        Proving {
            address: self.address.clone(),
            sector_size: self.sector_size,
            policy: self.policy.clone(),
            store: self.store.clone(),
            chain: self.worker_chain.clone(),
            prover: self.prover.clone(),
            verifier: self.verifier.clone(),
            coming: self.coming.clone(),
        }
    }

    pub fn redeeming(&self) -> Redeeming {
        Redeeming {
            store: self.store.clone(),
            chain: self.chain.clone(),
            settings: self.settings.clone(),
            turn: self.redemptions.clone(),
        }
    }

    pub fn deal_expiry(&self) -> DealExpiry {
        DealExpiry {
            address: self.address.clone(),
            store: self.store.clone(),
            staging: self.staging.clone(),
            chain: self.chain.clone(),
            prover: self.prover.clone(),
            redeeming: self.redeeming(),
        }
    }

    pub fn self_checks(&self, log: Log) -> SelfChecks {
        SelfChecks {
            chain: self.chain.clone(),
            store: self.store.clone(),
            prover: self.prover.clone(),
            log,
        }
    }

    pub fn scrubbing(&self) -> Scrubbing {
        Scrubbing {
            store: self.store.clone(),
            staging: self.staging.clone(),
            prover: self.prover.clone(),
            settings: self.settings.clone(),
            coming: self.coming.clone(),
        }
    }

    pub fn archiving(&self, config: ArchiveConfig, network: String) -> Archiving {
        Archiving {
            config,
            owner: Owner {
                network,
                miner: self.address.to_string(),
                owner: self.owner.to_string(),
            },
            address: self.address.clone(),
            sector_size: self.sector_size,
            chain: self.chain.clone(),
            store: self.store.clone(),
            staging: self.staging.clone(),
            prover: self.prover.clone(),
            coming: self.coming.clone(),
            sectors: self.sectors.clone(),
        }
    }

    pub fn slashing(&self) -> Slashing {
        Slashing {
            address: self.address.clone(),
            chain: self.chain.clone(),
            settings: self.settings.clone(),
        }
    }

    pub fn ask_publisher(&self) -> AskPublisher {
        AskPublisher {
            address: self.address.clone(),
            store: self.store.clone(),
            chain: self.worker_chain.clone(),
            settings: self.settings.clone(),
            prover: self.prover.clone(),
        }
    }

    pub fn storage_check(&self) -> StorageCheck {
        StorageCheck {
            sector_size: self.sector_size,
            store: self.store.clone(),
            staging: self.staging.clone(),
            sectors: self.sectors.clone(),
            doubt: self.storage_doubt.clone(),
        }
    }

    pub fn reviewer(&self) -> Reviewer {
        Reviewer {
            address: self.address.clone(),
            owner: self.owner.clone(),
            sector_size: self.sector_size,
            store: self.store.clone(),
            staging: self.staging.clone(),
            chain: self.chain.clone(),
            settings: self.settings.clone(),
            intake: self.intake.clone(),
            packing: self.packing(),
            waiting: StreamLimiter::of_waiting(),
            closing: Closing::default(),
        }
    }

    pub fn answers(&self) -> Answers {
        Answers {
            store: self.store.clone(),
            signer: self.worker.clone(),
        }
    }

    pub fn transfer_parts(&self) -> TransferParts {
        TransferParts {
            store: self.store.clone(),
            staging: self.staging.clone(),
            settings: self.settings.clone(),
            heads: self.chain.heads(),
            wake: self.wake.clone(),
        }
    }

    /// Fails when the chain's genesis id is no CID.
    pub fn uploads(&self) -> Result<Uploads, ChainError> {
        Ok(Uploads::new(UploadParts {
            address: self.address.clone(),
            network: self.chain.network_id()?,
            store: self.store.clone(),
            staging: self.staging.clone(),
            heads: self.chain.heads(),
            wake: self.wake.clone(),
        }))
    }

    pub fn retrieval(&self) -> RetrievalServer {
        RetrievalServer::new(self.reader.clone(), self.index.clone())
    }

    pub fn indexing(&self) -> Indexing {
        Indexing {
            store: self.store.clone(),
            staging: self.staging.clone(),
            reader: self.reader.clone(),
            index: self.index.clone(),
        }
    }

    pub fn reading(&self) -> Reading {
        Reading {
            reader: self.reader.clone(),
            index: self.index.clone(),
        }
    }

    pub fn explainer_parts(&self) -> ExplainerParts {
        ExplainerParts {
            address: self.address.clone(),
            sector_size: self.sector_size,
            policy: self.policy.clone(),
            store: self.store.clone(),
            staging: self.staging.clone(),
            chain: self.chain.clone(),
            prover: self.prover.clone(),
            settings: self.settings.clone(),
            intake: self.intake.clone(),
        }
    }
}
