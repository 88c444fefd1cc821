//! Where the daemon's proofs come from.
//!
//! The product has one answer, [`RealProofs`]. The trait is there for the daemon that tests kill again and again
//! (`tests/src/bin/killable-daemon.rs`), which must not take minutes for each proof; its fakes are in that program, and no
//! option of this one leads to them.

use super::{parameters, DaemonConfig, DaemonError, Role};
use sealdrop_miner::data_dir::DataDir;
use sealdrop_miner::prover::{Engine, RealEngine, RealVerifier, Resuming};
use sealdrop_prover::params::Source;
use sealdrop_verify::BuiltIn;
use shared::chain::verifier::Verifier;
use shared::piece::SectorSize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A way to prove and to verify.
pub trait Proofs {
    /// Gets ready, before any other thread exists; may take minutes.
    fn prepare(&self, config: &DaemonConfig, home: &DataDir) -> Result<(), DaemonError>;
    /// The same for a machine that only seals: for sectors of `size`, by parameters in `params`.
    fn prepare_worker(&self, params: &Path, size: SectorSize, source: Source) -> Result<(), DaemonError>;
    /// The prover of a miner, working in `sectors`.
    fn engine(&self, prover_id: [u8; 32], size: SectorSize, sectors: PathBuf) -> Result<Arc<dyn Engine>, DaemonError>;
    /// What the chain and the miner check proofs with.
    fn verifier(&self, config: &DaemonConfig) -> Verifier;
    /// Names the verifying keys, so that nodes which verify differently find out.
    fn verifying_keys(&self, config: &DaemonConfig) -> String;
}

/// filecoin-proofs; for a chain alone on development parameters, `sealdrop-verify`, which has the keys in it.
pub struct RealProofs;

impl Proofs for RealProofs {
    fn prepare(&self, config: &DaemonConfig, home: &DataDir) -> Result<(), DaemonError> {
        if verifies_by_itself(config) {
            return Ok(());
        }
        let params = config.params.clone().unwrap_or_else(|| home.params());
        let source = source(config);
        let parents = match source {
            Source::Generated => params.join("parents"),
            // Official files may lie where this user writes nothing.
            Source::Official => home.root().join("parents"),
        };
        // Sets environment variables for the proof library.
        sealdrop_prover::init_from(&params, &parents, source)?;
        Ok(parameters::ensure(&params, config.sector_size, source)?)
    }

    fn prepare_worker(&self, params: &Path, size: SectorSize, source: Source) -> Result<(), DaemonError> {
        sealdrop_prover::init_from(params, &params.join("parents"), source)?;
        Ok(parameters::ensure(params, size, source)?)
    }

    fn engine(&self, prover_id: [u8; 32], size: SectorSize, sectors: PathBuf) -> Result<Arc<dyn Engine>, DaemonError> {
        Ok(Arc::new(Resuming(RealEngine::new(prover_id, size, sectors)?)))
    }

    fn verifier(&self, config: &DaemonConfig) -> Verifier {
        match verifies_by_itself(config) {
            true => Arc::new(BuiltIn::all()),
            false => Arc::new(RealVerifier),
        }
    }

    fn verifying_keys(&self, config: &DaemonConfig) -> String {
        hex::encode(sealdrop_prover::params::verifying_keys_digest(source(config)))
    }
}

/// Whether the daemon makes no proofs, and has the keys to verify them without the library, its parameters and their folder.
fn verifies_by_itself(config: &DaemonConfig) -> bool {
    let makes_none = matches!(config.role, Role::Chain);
    makes_none && matches!(source(config), Source::Generated) && config.sector_size != SectorSize::S32GiB
}

fn source(config: &DaemonConfig) -> Source {
    parameters::source(&config.network, config.official_params)
}
