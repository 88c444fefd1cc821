use super::testing::{file, path, pieces, root, MIB};
use super::*;
use alloc::vec;

const SIZES: [u64; 3] = [7 * MIB, 7 * MIB, 5];
const SIZE: u64 = 14 * MIB + 5;

/// A file of three pieces with one thing changed.
fn changed(change: impl FnOnce(&mut Vec<FilePiece>)) -> Result<FileEntry, EntryError> {
    let mut pieces = pieces(&SIZES);
    change(&mut pieces);
    FileEntry::new(path("a"), SIZE, root(SIZE, 0), pieces)
}

fn folder(files: &[&str]) -> Result<Manifest, ManifestError> {
    let files = files.iter().map(|path| file(path, &[3])).collect();
    Manifest::folder(path("folder"), files)
}

#[test]
fn pieces_without_gaps_from_the_first_byte_to_the_last_are_a_file() {
    let file = changed(|_| {}).unwrap();
    assert_eq!((file.size(), file.root()), (SIZE, root(SIZE, 0)));
    assert_eq!(file.pieces(), pieces(&SIZES));
}

#[test]
fn pieces_with_a_gap_or_an_overlap_are_refused() {
    for found in [0, 7 * MIB - 1, 8 * MIB, u64::MAX] {
        assert_eq!(
            changed(|pieces| pieces[1].offset = found),
            Err(EntryError::Gap {
                index: 1,
                expected: 7 * MIB,
                found
            })
        );
    }
    assert_eq!(
        changed(|pieces| pieces[0].offset = MIB),
        Err(EntryError::Gap {
            index: 0,
            expected: 0,
            found: MIB
        })
    );
    assert_eq!(
        changed(|pieces| pieces.swap(0, 1)),
        Err(EntryError::Gap {
            index: 0,
            expected: 0,
            found: 7 * MIB
        })
    );
}

#[test]
fn a_piece_that_starts_within_a_leaf_is_refused() {
    let offset = 7 * MIB - 1;
    assert_eq!(
        changed(|pieces| {
            pieces[0].size = offset;
            pieces[1].offset = offset;
        }),
        Err(EntryError::Misaligned { index: 1, offset })
    );
}

#[test]
fn pieces_that_are_not_together_the_file_are_refused() {
    let size = SIZE;
    assert_eq!(
        changed(|pieces| pieces.truncate(2)),
        Err(EntryError::Sum { size, found: 14 * MIB })
    );
    assert_eq!(
        changed(|pieces| pieces[2].size = 6),
        Err(EntryError::Sum { size, found: size + 1 })
    );
    assert_eq!(changed(Vec::clear), Err(EntryError::Sum { size, found: 0 }));
    let (size, found) = (0, 3);
    assert_eq!(
        FileEntry::new(path("a"), size, root(size, 0), pieces(&[3])),
        Err(EntryError::Sum { size, found })
    );
}

#[test]
fn a_piece_of_a_size_that_no_piece_has_is_refused() {
    for size in [0, MAX_TRANSFER + 1, u64::MAX] {
        assert_eq!(
            changed(|pieces| pieces[2].size = size),
            Err(EntryError::PieceSize { index: 2, size })
        );
    }
}

#[test]
fn a_root_of_another_kind_is_refused() {
    let size = SIZE;
    // A leaf where there must be a node, another hash, another version of CIDs.
    let blake = crate::chain::keys::cid_of_bytes(b"");
    for other in [root(1, 0), blake] {
        assert_eq!(
            FileEntry::new(path("a"), size, other, pieces(&SIZES)),
            Err(EntryError::Root { root: other, size })
        );
        assert_eq!(
            changed(|pieces| pieces[0].data_cid = other),
            Err(EntryError::PieceRoot {
                index: 0,
                data_cid: other,
                size: 7 * MIB
            })
        );
    }
    assert_eq!(
        changed(|pieces| pieces[2].data_cid = root(size, 0)),
        Err(EntryError::PieceRoot {
            index: 2,
            data_cid: root(size, 0),
            size: 5
        })
    );
    let (size, other) = (0, root(1, 0));
    assert_eq!(
        FileEntry::new(path("a"), size, other, Vec::new()),
        Err(EntryError::Root { root: other, size })
    );
    assert!(FileEntry::new(path("a"), size, root(0, 0), Vec::new()).is_ok());
}

#[test]
fn a_file_of_one_piece_has_its_root() {
    let (root, data_cid) = (root(3, 9), root(3, 0));
    assert_eq!(
        FileEntry::new(path("a"), 3, root, pieces(&[3])),
        Err(EntryError::OnlyPiece { root, data_cid })
    );
}

#[test]
fn a_file_over_a_bound_is_refused() {
    let size = MAX_FILE + 1;
    assert_eq!(
        FileEntry::new(path("a"), size, root(size, 0), Vec::new()),
        Err(EntryError::TooLarge { size })
    );
    let most = vec![MIB; MAX_PIECES as usize + 1];
    let (size, pieces) = (MIB * most.len() as u64, most.len());
    assert_eq!(
        FileEntry::new(path("a"), size, root(size, 0), super::testing::pieces(&most)),
        Err(EntryError::TooManyPieces { pieces })
    );
}

#[test]
fn a_file_has_a_name_and_no_path() {
    assert!(Manifest::file(file("a", &[3])).is_ok());
    let name = path("a/b");
    assert_eq!(
        Manifest::file(file("a/b", &[3])),
        Err(ManifestError::NotAName { name: name.clone() })
    );
    assert_eq!(
        Manifest::folder(name.clone(), vec![file("a", &[3])]),
        Err(ManifestError::NotAName { name })
    );
}

#[test]
fn the_files_of_a_folder_stand_in_the_order_of_their_paths() {
    let manifest = folder(&["b", "a!", "a/c", "a/b"]).unwrap();
    let paths: Vec<_> = manifest.files().iter().map(|file| file.path().as_str()).collect();
    assert_eq!(paths, ["a/b", "a/c", "a!", "b"]);
    assert_eq!((manifest.name().as_str(), manifest.size()), ("folder", 12));
    let files = ["b", "a"].map(|path| file(path, &[3])).into();
    assert_eq!(
        Manifest::folder_in_order(path("folder"), files),
        Err(ManifestError::Order { path: path("a") })
    );
}

#[test]
fn a_path_is_there_once_and_is_a_file_or_a_folder() {
    assert_eq!(
        folder(&["a/b", "c", "a/b"]),
        Err(ManifestError::Duplicate { path: path("a/b") })
    );
    for files in [["a", "a!", "a/b"], ["a", "b", "a/b/c"], ["a/b", "a/b/c/d", "a0"]] {
        let refused = folder(&files);
        assert!(
            matches!(refused, Err(ManifestError::FileAndFolder { .. })),
            "{refused:?}"
        );
    }
    // Names that only look the same are two.
    assert!(folder(&["na\u{ef}ve", "nai\u{308}ve", "A", "a"]).is_ok());
}

#[test]
fn a_folder_without_files_or_over_a_bound_is_refused() {
    assert_eq!(folder(&[]), Err(ManifestError::NoFiles));
    let many = |count: usize, sizes: &[u64]| {
        let files = (0..count)
            .map(|index| file(&alloc::format!("{index}"), sizes))
            .collect();
        Manifest::folder(path("folder"), files)
    };
    assert!(many(MAX_FILES, &[3]).is_ok());
    let files = MAX_FILES + 1;
    assert_eq!(many(files, &[]), Err(ManifestError::TooManyFiles { files }));
    let pieces = MAX_PIECES + 2;
    assert_eq!(
        many(MAX_FILES / 2 + 1, &[MIB, 1]),
        Err(ManifestError::TooManyPieces { pieces })
    );
}

#[test]
fn names_that_a_file_system_takes_for_one_are_refused_before_anything_is_written() {
    for (files, first, second) in [
        (["A.txt", "a.TXT", "b"], "A.txt", "a.TXT"),
        (["x/\u{c4}", "x/\u{e4}", "y"], "x/\u{c4}", "x/\u{e4}"),
        (["A", "B", "a/b"], "A", "a/b"),
    ] {
        let manifest = folder(&files).unwrap();
        assert_eq!(manifest.writable_on(FileSystem::CaseSensitive), Ok(()));
        let (first, second) = (path(first), path(second));
        let same = Err(ManifestError::SameWithoutCase { first, second });
        assert_eq!(manifest.writable_on(FileSystem::CaseInsensitive), same);
        assert_eq!(manifest.writable_on(FileSystem::Windows), same);
    }
    let manifest = folder(&["A/x", "a/y"]).unwrap();
    assert_eq!(manifest.writable_on(FileSystem::Windows), Ok(()));
}

#[test]
fn a_name_that_is_no_file_on_windows_is_refused_there_whatever_has_it() {
    let (of_file, of_folder) = (
        Manifest::file(file("nul", &[3])).unwrap(),
        Manifest::folder(path("nul"), vec![file("a", &[3])]).unwrap(),
    );
    let within = folder(&["a/nul"]).unwrap();
    for manifest in [of_file, of_folder, within] {
        assert_eq!(manifest.writable_on(FileSystem::CaseInsensitive), Ok(()));
        assert!(matches!(
            manifest.writable_on(FileSystem::Windows),
            Err(ManifestError::Path(PathError::Device { .. }))
        ));
    }
}

#[test]
fn no_error_shows_a_name_as_it_is() {
    let name = "\u{1b}[2J\n";
    let one_piece = FileEntry::new(path(name), 3, root(3, 9), pieces(&[3]));
    let entry = |error| ManifestError::Entry {
        path: path(name),
        error,
    };
    for error in [
        folder(&[name, name]).unwrap_err(),
        folder(&[name, &alloc::format!("{name}/a")]).unwrap_err(),
        Manifest::file(file(&alloc::format!("a/{name}"), &[3])).unwrap_err(),
        folder(&[name]).unwrap().writable_on(FileSystem::Windows).unwrap_err(),
        folder(&[&alloc::format!("A{name}"), &alloc::format!("a{name}")])
            .unwrap()
            .writable_on(FileSystem::CaseInsensitive)
            .unwrap_err(),
        RelativePath::parse(&alloc::format!("../{name}")).unwrap_err().into(),
        entry(one_piece.unwrap_err()),
    ] {
        let text = alloc::format!("{error}");
        assert!(!text.chars().any(char::is_control), "{text:?}");
    }
}
