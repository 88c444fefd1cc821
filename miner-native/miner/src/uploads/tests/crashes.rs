//! The miner dies at each step of an upload, or its machine loses its power, and the upload ends as if it had not. Each life is a process of
//! its own, which goes on with what the one before left on the disk.

use super::*;
use crate::failpoint;
use sealdrop_database::testing::child;
use sealdrop_database::testing::power_loss::{interposer, record, Disk, Recording};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Names the folder that a life is in.
const FOLDER: &str = "SEALDROP_TEST_UPLOAD";
/// Names the file in which a life writes how long the record was when its client had heard that the miner has the piece.
const HEARD: &str = "SEALDROP_TEST_UPLOAD_HEARD";
const NAME: &str = "uploads::tests::crashes::an_upload_whose_miner_is_killed_at_any_step_ends_as_if_it_had_not_been";
/// The steps of an upload, of which some are in [`crate::staging`] and in [`crate::store`].
const STEPS: [&str; 8] = [
    "upload.begun",
    "upload.chunk",
    "upload.chunk:2",
    "upload.complete",
    "staging.synced",
    "staging.renamed",
    "staging.finished",
    "deal.received",
];
/// States of the disk that are looked at, about.
const STATES: usize = 60;

/// Of two chunks, since the power is not cut in the middle of so many bytes each time.
fn two_chunks() -> (Vec<u8>, PieceSummary) {
    file(8 * LEAF_BYTES as usize + 9, 3)
}

/// A life: the deal and its upload, from wherever they stand.
fn live(folder: &Path) {
    failpoint::arm().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.unwrap().block_on(async {
        let world = World::at(folder.join("staging"), MinerStore::open(&folder.join("store")).unwrap());
        let (bytes, summary) = two_chunks();
        let deal = world.deal(1, summary.data_cid, summary.size, 1000);
        if world.stage(&deal) == MinerStage::Accepted {
            let client = world.open(&deal).await;
            let view = client.view().await;
            if view.nodes_missing {
                assert_eq!(client.nodes(&summary).await.status, StatusCode::NO_CONTENT);
            }
            for chunk in view.missing.iter().flat_map(|(from, to)| *from..*to) {
                assert_eq!(client.chunk(&bytes, chunk).await.status, StatusCode::NO_CONTENT);
            }
            assert_eq!(client.finalize().await.status, StatusCode::OK);
        }
        if let (Some(heard), Some(log)) = (std::env::var_os(HEARD), std::env::var_os("RECORD_LOG")) {
            let length = std::fs::metadata(log).unwrap().len();
            std::fs::write(heard, length.to_string()).unwrap();
        }
    });
}

fn life(folder: &Path, dies_at: Option<&str>) -> Command {
    let mut life = child(NAME, FOLDER);
    life.env(FOLDER, folder);
    match dies_at {
        Some(step) => life.env(failpoint::VARIABLE, step),
        None => life.env_remove(failpoint::VARIABLE),
    };
    life
}

fn ended_well(output: &Output) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
}

/// The deal has gone on, and its piece is whole and there alone.
fn has_all(folder: &Path) -> Result<(), String> {
    let (_, summary) = two_chunks();
    let store = MinerStore::open(&folder.join("store")).map_err(|error| error.to_string())?;
    let world = World::at(folder.join("staging"), store);
    let deal = world.deal(1, summary.data_cid, summary.size, 1000);
    let stage = world.stage(&deal);
    if stage != (MinerStage::Received { comm_p: summary.comm_p }) {
        return Err(format!("the deal is {stage:?}"));
    }
    let digest = world.staging.digest(&summary.data_cid, summary.size);
    digest.map(drop).map_err(|error| error.to_string())
}

#[test]
fn an_upload_whose_miner_is_killed_at_any_step_ends_as_if_it_had_not_been() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return live(&PathBuf::from(folder));
    }
    for step in STEPS {
        let folder = tempfile::tempdir().unwrap();
        let killed = life(folder.path(), Some(step)).output().unwrap();
        assert_eq!(killed.status.signal(), Some(9), "{step}: {killed:?}");
        ended_well(&life(folder.path(), None).output().unwrap());
        assert_eq!(has_all(folder.path()), Ok(()), "{step}");
        let names = std::fs::read_dir(folder.path().join("staging")).unwrap();
        assert_eq!(names.count(), 1, "{step}: the piece and nothing else");
    }
}

/// The finding: after a crash between the piece's renaming and the sync of its folder the next life told its client that it has the piece,
/// and a loss of power took it away.
#[test]
fn what_an_uploads_client_has_heard_of_is_there_when_the_power_fails() {
    let Some(library) = interposer() else {
        eprintln!("left out: there is no C compiler here");
        return;
    };
    for lives in [
        vec![None],
        vec![Some("staging.renamed"), None],
        vec![Some("upload.chunk"), None],
    ] {
        let (root, beside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (mut disk, heard_at) = (Disk::default(), beside.path().join("heard"));
        let mut checked = 0;
        for (number, dies_at) in lives.iter().enumerate() {
            let log = beside.path().join(number.to_string());
            let mut life = life(root.path(), *dies_at);
            record(&mut life, &library, root.path(), &log);
            let output = life.env(HEARD, &heard_at).output().unwrap();
            if dies_at.is_none() {
                ended_well(&output);
            }
            let recording = Recording::parse(&std::fs::read(&log).unwrap()).0;
            let heard = std::fs::read_to_string(&heard_at).map_or(usize::MAX, |at| at.parse().unwrap());
            let step = (recording.len() / STATES).max(1);
            let last = recording.len().saturating_sub(1);
            for (place, (length, event)) in recording.iter().enumerate() {
                disk.happens(event);
                if *length >= heard && (place % step == 0 || place == last) {
                    let left = disk.lay_out(None, root.path());
                    assert_eq!(has_all(left.path()), Ok(()), "{lives:?}: event {place}");
                    checked += 1;
                }
            }
        }
        assert!(checked > 0, "{lives:?}: the client heard of it");
    }
}
