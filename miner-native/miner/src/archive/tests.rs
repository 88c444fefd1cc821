//! What is put into an archive comes out as it was, goes on where it was cut off, and what somebody changed there is refused.

use super::manifest::{Entry, Manifest, PART_BYTES};
use super::*;
use sha2::{Digest, Sha256};
use std::fs;
use std::time::SystemTime;
use tempfile::TempDir;

/// Three parts, the last one short; none like another.
const BYTES: usize = 2 * PART_BYTES as usize + 777;

struct Place {
    dir: TempDir,
    archive: Archive,
}

fn config(place: &Path) -> ArchiveConfig {
    ArchiveConfig {
        place: place.to_str().expect("a text").into(),
        endpoint: None,
        region: None,
    }
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        fs::create_dir(dir.path().join("archive")).expect("made");
        let archive = config(&dir.path().join("archive")).open().expect("it is there");
        Self { dir, archive }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A sector's files.
    fn sector(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..BYTES)
            .map(|at| (at / 997 + at / PART_BYTES as usize) as u8)
            .collect();
        bytes.truncate(BYTES);
        fs::create_dir_all(self.path("here/cache")).expect("made");
        fs::write(self.path("here/sealed"), &bytes).expect("written");
        fs::write(self.path("here/cache/p_aux"), b"aux").expect("written");
        bytes
    }

    async fn put(&self) -> Result<u64, ArchiveError> {
        let files = ["cache/p_aux".into(), "sealed".into()];
        self.archive
            .put(&ITEM, Some("ab".into()), &self.path("here"), &files)
            .await
    }

    async fn fetch(&self) -> Result<(), ArchiveError> {
        let manifest = self.archive.manifest(&ITEM, u64::MAX).await?;
        self.archive.fetch(&ITEM, &manifest, &self.path("there")).await
    }

    /// The parts' files and when each was written.
    fn parts(&self) -> Vec<(PathBuf, SystemTime)> {
        let listed = fs::read_dir(self.path("archive/parts/sectors/7")).expect("parts");
        let mut found: Vec<_> = listed
            .map(|entry| {
                let path = entry.expect("listed").path();
                let at = fs::metadata(&path).and_then(|found| found.modified()).expect("known");
                (path, at)
            })
            .collect();
        found.sort();
        found
    }
}

const ITEM: Item = Item::Sector(7);

#[tokio::test(flavor = "multi_thread")]
async fn files_come_out_as_they_went_in() {
    let place = Place::new();
    let bytes = place.sector();
    assert_eq!(place.put().await.expect("put"), BYTES as u64 + 3);
    assert_eq!(
        place
            .archive
            .items()
            .await
            .expect("listed")
            .into_keys()
            .collect::<Vec<_>>(),
        [ITEM]
    );
    place.fetch().await.expect("brought");
    assert!(fs::read(place.path("there/sealed")).expect("there") == bytes);
    assert_eq!(fs::read(place.path("there/cache/p_aux")).expect("there"), b"aux");
    place.archive.remove(&ITEM).await.expect("removed");
    place.archive.remove(&ITEM).await.expect("twice is harmless");
    assert!(place.archive.items().await.expect("listed").is_empty());
    assert!(place.fetch().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_cut_off_goes_on_where_it_was() {
    let place = Place::new();
    let bytes = place.sector();
    place.put().await.expect("put");
    // As after a crash: no manifest yet, and one part of four is missing.
    fs::remove_file(place.path("archive/manifests/sectors/7")).expect("removed");
    let before = place.parts();
    assert_eq!(before.len(), 4);
    let (lost, kept) = before.split_first().expect("some");
    fs::remove_file(&lost.0).expect("removed");
    place.put().await.expect("put");
    let after = place.parts();
    assert_eq!(&after[1..], kept, "they are not written again");
    // On the way back likewise: what is here and right is asked for by nobody.
    fs::create_dir_all(place.path("there")).expect("made");
    let mut partial = bytes.clone();
    partial[PART_BYTES as usize + 5] ^= 1;
    fs::write(place.path("there/sealed"), &partial).expect("written");
    let right = hex::encode(Sha256::digest(&bytes[..PART_BYTES as usize]));
    fs::remove_file(place.path("archive/parts/sectors/7").join(right)).expect("removed");
    place.fetch().await.expect("brought without the part that is here");
    assert!(fs::read(place.path("there/sealed")).expect("there") == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_somebody_changed_is_refused() {
    let place = Place::new();
    place.sector();
    place.put().await.expect("put");
    let (path, _) = place.parts().swap_remove(1);
    let mut part = fs::read(&path).expect("there");
    part[0] ^= 1;
    fs::write(&path, &part).expect("written");
    let text = place.fetch().await.expect_err("it is another").to_string();
    assert!(text.contains("its bytes are others"), "{text}");
    part.push(0);
    fs::write(&path, &part).expect("written");
    let text = place.fetch().await.expect_err("it is longer").to_string();
    assert!(text.contains("at most"), "{text}");
    // Put again, the part of the wrong length is replaced.
    place.put().await.expect("put");
    place.fetch().await.expect("brought");
}

#[test]
fn a_manifest_leads_nowhere_else_and_takes_no_more_than_its_item() {
    let entry = |path: &str, bytes: u64, parts: usize| Entry {
        path: path.into(),
        bytes,
        parts: vec!["0".repeat(64); parts],
    };
    let read = |entry: Entry| {
        let text = serde_json::to_vec(&Manifest::new(None, vec![entry])).expect("a text");
        Manifest::read(&ITEM, &text, 3 * PART_BYTES)
    };
    read(entry("cache/p_aux", 2 * PART_BYTES, 2)).expect("it is in order");
    for wrong in [
        entry("../other", 1, 1),
        entry("/etc/passwd", 1, 1),
        entry("a/../../b", 1, 1),
        entry("", 1, 1),
        entry("sealed", PART_BYTES + 1, 1),
        entry("sealed", 4 * PART_BYTES, 4),
        entry("sealed", u64::MAX, 1),
        Entry {
            parts: vec!["../x".into()],
            ..entry("sealed", 1, 1)
        },
    ] {
        let text = format!("{wrong:?}");
        assert!(read(wrong).is_err(), "{text}");
    }
    let later = br#"{"format":2,"files":[]}"#;
    assert!(Manifest::read(&ITEM, later, 1).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_is_one_miners() {
    let place = Place::new();
    let owner = |miner: &str| Owner {
        network: "n".into(),
        miner: miner.into(),
        owner: "o".into(),
    };
    place.archive.claim(&owner("a")).await.expect("it was nobody's");
    place.archive.claim(&owner("a")).await.expect("it is ours");
    let refused = place.archive.claim(&owner("b")).await;
    assert!(matches!(refused, Err(ArchiveError::Others { .. })), "{refused:?}");
}

#[test]
fn a_folder_that_is_not_there_is_not_made() {
    let dir = tempfile::tempdir().expect("a folder");
    let missing = dir.path().join("not-mounted");
    assert!(config(&missing).open().is_err() && !missing.exists());
}
