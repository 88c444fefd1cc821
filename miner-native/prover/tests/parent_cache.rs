//! The parent cache, alone in its process: a damaged one would make other sealing wrong, too.

mod fixture;

use fixture::{bytes, identity, open, piece, SIZE, TICKET};
use sealdrop_prover::{init, pre_commit1, write_unsealed, Implementation, SectorFiles};
use std::fs;
use std::path::{Path, PathBuf};

/// The only file of a directory, but for hidden ones.
fn only_file(dir: &Path) -> PathBuf {
    let entries = fs::read_dir(dir).expect("lists");
    let mut paths = entries.map(|entry| entry.expect("an entry").path());
    let path = paths.next().expect("a file");
    assert_eq!(paths.next(), None);
    path
}

#[test]
fn a_half_written_parent_cache_is_made_again_and_not_sealed_with() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (params, parents) = (dir.path().join("params"), dir.path().join("parents"));
    init(&params, &parents).expect("first initialisation");
    let files = SectorFiles::new(dir.path().join("sector"));
    let data = vec![bytes(2032, 7)];
    let pieces = [piece(&data[0], 2048)];
    write_unsealed(SIZE, &files, &pieces, &mut open(&data)).expect("stages");
    let last_layer = || {
        pre_commit1(&identity(1), &files, TICKET, &pieces, Implementation::own()).expect("labels");
        let names = fs::read_dir(files.cache()).expect("lists");
        let mut layers: Vec<PathBuf> = names.map(|entry| entry.expect("an entry").path()).collect();
        layers.retain(|path| path.to_string_lossy().contains("layer-"));
        layers.sort();
        fs::read(layers.last().expect("a layer")).expect("reads")
    };
    let right = last_layer();

    let cache = only_file(&parents);
    let whole = fs::read(&cache).expect("reads");
    let mut half = whole.clone();
    half[whole.len() / 2..].fill(0);
    fs::write(&cache, half).expect("damages");
    assert_eq!(last_layer(), right);
    assert_eq!(fs::read(only_file(&parents)).expect("reads"), whole);
}
