//! Finished phases of real sealing are found again, and nothing else is taken for them. No commit 2: seconds.

use sealdrop_miner::prover::{Commitments, Engine, ProverError, RealEngine, Resuming};
use sealdrop_miner::staging::Staging;
use shared::piece::{PieceSummary, SectorSize};
use shared::sector::{Sealed, Sector, SectorInput, SectorPiece};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;
use tempfile::TempDir;

const TICKET: [u8; 32] = [0xf1; 32];
const SEED: [u8; 32] = [0xf2; 32];

struct Bench {
    _dir: TempDir,
    engine: Resuming<RealEngine>,
    staging: Staging,
    piece: PieceSummary,
    sector: Sector,
}

impl Bench {
    fn new() -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            // No phase before commit 2 reads parameters.
            let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("resuming");
            sealdrop_prover::init(&dir.join("params"), &dir.join("parents")).expect("the first call");
        });
        let dir = tempfile::tempdir().expect("a folder");
        let staging = Staging::open(dir.path().join("staging")).expect("a folder");
        let mut import = staging.import().expect("room");
        import.push(&[7; 1000]).expect("written");
        let piece = import.finish().expect("staged");
        let mut prover_id = [0; 32];
        prover_id[..20].fill(0xee);
        let engine = RealEngine::new(prover_id, SectorSize::S2KiB, dir.path().join("sectors"));
        let mut sector = Sector::new(1, SectorSize::S2KiB);
        let placed = SectorPiece {
            deal: piece.data_cid,
            data_cid: piece.data_cid,
            size: piece.size,
            comm_p: piece.comm_p,
        };
        sector.handle(SectorInput::PieceAdded(placed)).expect("room");
        Self {
            _dir: dir,
            engine: Resuming(engine.expect("a size with proofs")),
            staging,
            piece,
            sector,
        }
    }

    fn p1(&self, ticket: [u8; 32]) -> Result<Vec<u8>, ProverError> {
        self.engine.pre_commit1(&self.sector, ticket, &self.staging)
    }

    fn p2(&self, output: &[u8]) -> Result<Commitments, ProverError> {
        self.engine.pre_commit2(&self.sector, TICKET, output)
    }

    /// From here on phase 1 cannot be computed: what it gives was found.
    fn lose_the_piece(&self) {
        self.staging.remove(&self.piece.data_cid).expect("removed");
    }

    fn cache(&self, part: &str) -> PathBuf {
        let cache = self.engine.dir(1).join("cache");
        let entries = fs::read_dir(cache).expect("a cache");
        let mut files = entries.map(|entry| entry.expect("an entry").path());
        files
            .find(|path| path.to_string_lossy().contains(part))
            .expect("it is there")
    }
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).expect("it is there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).expect("written");
}

#[test]
fn phase_1_is_found_again_also_after_phase_2_and_only_under_its_ticket() {
    let bench = Bench::new();
    let output = bench.p1(TICKET).expect("computed");
    bench.lose_the_piece();
    assert_eq!(bench.p1(TICKET).expect("found"), output);
    bench.p2(&output).expect("computed");
    assert_eq!(bench.p1(TICKET).expect("found"), output);
    assert!(bench.p1([7; 32]).is_err(), "another ticket's");
}

#[test]
fn phase_1_is_not_found_when_a_label_or_the_data_changed() {
    let changes: [fn(&Bench) -> PathBuf; 3] = [
        |bench| bench.cache("layer-1"),
        |bench| bench.cache("tree-d"),
        |bench| bench.engine.dir(1).join("unsealed"),
    ];
    for change in changes {
        let bench = Bench::new();
        let output = bench.p1(TICKET).expect("computed");
        let expected = bench.p2(&output).expect("computed");
        flip(&change(&bench));
        assert_eq!(bench.p1(TICKET).expect("computed anew"), output);
        assert_eq!(bench.p2(&output).expect("consistent"), expected);
        let changed = change(&bench);
        flip(&changed);
        bench.lose_the_piece();
        assert!(bench.p1(TICKET).is_err(), "{} changed", changed.display());
    }
}

#[test]
fn phase_2_is_found_again_and_a_changed_replica_is_encoded_anew_with_the_same_commitments() {
    let bench = Bench::new();
    let output = bench.p1(TICKET).expect("computed");
    let expected = bench.p2(&output).expect("computed");
    let sealed = bench.engine.dir(1).join("sealed");
    let written = || {
        let metadata = fs::metadata(&sealed).expect("it is there");
        metadata.modified().expect("the file system keeps times")
    };
    let encoded = written();
    assert_eq!(bench.p2(&output).expect("found"), expected);
    assert_eq!(written(), encoded, "it was encoded again");
    for changed in [sealed.clone(), bench.cache("p_aux")] {
        flip(&changed);
        assert_eq!(bench.p2(&output).expect("computed anew"), expected);
    }
}

#[test]
fn openings_are_found_again_for_their_seed_only_and_nothing_after_the_cache_is_cleared() {
    let bench = Bench::new();
    let output = bench.p1(TICKET).expect("computed");
    let Commitments { comm_d, comm_r, comm_c } = bench.p2(&output).expect("computed");
    let sealed = Sealed {
        ticket_epoch: shared::chain::Epoch(3),
        ticket: TICKET,
        comm_d,
        comm_r,
        comm_c,
    };
    let openings = bench.engine.commit1(&bench.sector, &sealed, SEED).expect("computed");
    let replica = bench.engine.dir(1).join("sealed");
    fs::remove_file(&replica).expect("it is there");
    let again = bench.engine.commit1(&bench.sector, &sealed, SEED).expect("found");
    assert_eq!(again, openings);
    assert!(
        bench.engine.commit1(&bench.sector, &sealed, [9; 32]).is_err(),
        "another seed's"
    );
    bench.engine.clear_cache(1).expect("cleared");
    bench.lose_the_piece();
    assert!(bench.p1(TICKET).is_err(), "its labels are gone");
}
