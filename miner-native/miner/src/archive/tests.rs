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
        let pace: super::transfer::Pace = Arc::new(|| {});
        self.archive.put(&ITEM, (&self.path("here"), &files), &pace).await
    }

    async fn fetch(&self) -> Result<(), ArchiveError> {
        let manifest = self.archive.manifest(&ITEM, u64::MAX).await?;
        self.archive.fetch(&ITEM, &manifest, &self.path("there")).await
    }

    /// The parts' files and when each was written.
    fn parts(&self) -> Vec<(PathBuf, SystemTime)> {
        let listed = fs::read_dir(self.path("archive/parts").join(NAME)).expect("parts");
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

const ITEM: Item = Item::Sector(7, [0xab; 32]);
const NAME: &str = "sectors/7-abababababababababababababababababababababababababababababababab";

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
    fs::remove_file(place.path("archive/manifests").join(NAME)).expect("removed");
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
    fs::remove_file(place.path("archive/parts").join(NAME).join(right)).expect("removed");
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
    // Put again, what is wrong is replaced, of whatever length.
    place.put().await.expect("put");
    place.fetch().await.expect("brought");
    part.pop();
    fs::write(&path, &part).expect("written");
    place.put().await.expect("put");
    fs::remove_dir_all(place.path("there")).expect("removed");
    place.fetch().await.expect("brought");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_a_loss_of_power_left_empty_is_none() {
    let place = Place::new();
    place.sector();
    place.put().await.expect("put");
    fs::write(place.path("archive/manifests").join(NAME), "").expect("written");
    let there = place.archive.items().await.expect("listed");
    assert_eq!(there.get(&ITEM), Some(&false), "parts alone");
    place.put().await.expect("put");
    let there = place.archive.items().await.expect("listed");
    assert_eq!(there.get(&ITEM), Some(&true));
}

/// Whoever can write to the archive must not make the miner write or remove elsewhere.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn links_in_an_archive_lead_nowhere() {
    let place = Place::new();
    place.sector();
    place.put().await.expect("put");
    let (parts, keys) = (place.path("archive/parts").join(NAME), place.path("keys"));
    fs::create_dir(&keys).expect("made");
    fs::write(keys.join("key"), "secret").expect("written");
    fs::remove_dir_all(&parts).expect("removed");
    std::os::unix::fs::symlink(&keys, &parts).expect("linked");
    assert!(place.archive.remove(&ITEM).await.is_err());
    assert!(place.put().await.is_err() && place.fetch().await.is_err());
    assert_eq!(fs::read_dir(&keys).expect("there").count(), 1);
}

#[test]
fn a_manifest_leads_nowhere_else_and_takes_no_more_than_its_item() {
    let entry = |path: &str, bytes: u64, parts: usize| Entry {
        path: path.into(),
        bytes,
        parts: vec!["0".repeat(64); parts],
    };
    let read = |entry: Entry| {
        let text = serde_json::to_vec(&Manifest::new(vec![entry])).expect("a text");
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

#[test]
fn a_name_is_an_items_in_one_form_only() {
    let of = |name: &str| Item::of(&Location::from(format!("manifests/{name}")));
    assert_eq!(of(NAME), Some(ITEM));
    for other in [
        "sectors/7",
        "sectors/07-ab",
        "sectors/+7-abababababababababababababababababababababababababababababababab",
        "pieces/x",
        "other/7",
    ] {
        assert_eq!(of(other), None, "{other}");
    }
    assert_eq!(of(&NAME.to_uppercase()), None);
}

#[test]
fn a_key_in_a_place_or_an_endpoint_is_refused_and_not_shown() {
    let refused = |place: &str, endpoint: Option<&str>| {
        let config = ArchiveConfig {
            place: place.into(),
            endpoint: endpoint.map(str::to_owned),
            region: None,
        };
        let text = config.check().expect_err("it is refused").to_string();
        assert!(!text.contains("hush"), "{text}");
    };
    refused("s3://KEY:hush@bucket/a", None);
    refused("https://KEY:hush@host/a", None);
    refused("s3://bucket/a", Some("https://KEY:hush@host"));
    refused("s3://bucket/a", Some("https://host/?X-Amz-Signature=hush"));
    refused("s3://bucket/a", Some("host:9000"));
}

#[test]
fn a_folder_that_is_not_there_is_not_made() {
    let dir = tempfile::tempdir().expect("a folder");
    let missing = dir.path().join("not-mounted");
    assert!(config(&missing).open().is_err() && !missing.exists());
}
