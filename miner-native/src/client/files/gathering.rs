//! The files below what was named, in the order of their paths. Links are not followed, since they may lead anywhere, and say so.

use crate::client::error::ClientError;
use crate::client::report::Report;
use crate::client::source::FileFacts;
use shared::file::{is_under_way, ManifestError, RelativePath, MAX_DEPTH, MAX_FILES};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// What several files are called together unless their user says otherwise.
const NAME_OF_SEVERAL: &str = "files";

/// A file, and what it is called in the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub path: RelativePath,
    pub facts: FileFacts,
    /// Bytes that are stored of it: more than it has, if it is encrypted.
    pub stored: u64,
}

/// All files that are stored together.
#[derive(Debug)]
pub(super) struct Gathered {
    /// The name of the file or of the folder.
    pub name: RelativePath,
    pub is_folder: bool,
    /// In the order of their paths.
    pub files: Vec<Found>,
    /// Where they are, for errors.
    pub place: PathBuf,
}

impl Gathered {
    pub fn size(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.stored))
    }
}

/// Finds the files: one file is one, one folder is itself, and several files and folders are a folder of all of them.
pub(super) fn gather(paths: &[PathBuf], name: Option<&str>, report: &Report) -> Result<Gathered, ClientError> {
    let mut walk = Walk {
        files: Vec::new(),
        report,
    };
    let named = |given: &str| {
        let name = RelativePath::parse(given).map_err(ManifestError::from)?;
        match name.is_name() {
            true => Ok(name),
            false => Err(ClientError::Manifest(ManifestError::NotAName { name })),
        }
    };
    let (name, is_folder, place) = match paths {
        [one] => {
            let place = fs::canonicalize(one).map_err(ClientError::file("read", one))?;
            let own = place.file_name().unwrap_or(OsStr::new(NAME_OF_SEVERAL));
            let own = utf8(own, &place)?;
            let is_folder = place.is_dir();
            match is_folder {
                true => walk.folder(&place, "", 0)?,
                false => walk.file(&place, own)?,
            }
            (named(name.unwrap_or(own))?, is_folder, place)
        }
        several => {
            for path in several {
                let place = fs::canonicalize(path).map_err(ClientError::file("read", path))?;
                let own = utf8(place.file_name().unwrap_or_default(), &place)?;
                match place.is_dir() {
                    true => walk.folder(&place, own, 1)?,
                    false => walk.file(&place, own)?,
                }
            }
            let place = several.first().cloned().unwrap_or_default();
            (named(name.unwrap_or(NAME_OF_SEVERAL))?, true, place)
        }
    };
    let mut files = walk.files;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    // Before anything is read of them.
    let same = files
        .iter()
        .zip(files.iter().skip(1))
        .find(|(one, next)| one.path == next.path);
    if let Some((one, _)) = same {
        let path = one.path.clone();
        return Err(ManifestError::Duplicate { path }.into());
    }
    if let ([file], false) = (files.as_mut_slice(), is_folder) {
        file.path = name.clone();
    }
    Ok(Gathered {
        name,
        is_folder,
        files,
        place,
    })
}

fn utf8<'a>(name: &'a OsStr, path: &Path) -> Result<&'a str, ClientError> {
    let wrong = || ClientError::NotUtf8 { path: path.to_owned() };
    name.to_str().ok_or_else(wrong)
}

struct Walk<'a> {
    files: Vec<Found>,
    report: &'a Report,
}

impl Walk<'_> {
    fn file(&mut self, place: &Path, path: &str) -> Result<(), ClientError> {
        if self.files.len() >= MAX_FILES {
            let files = self.files.len().saturating_add(1);
            return Err(ManifestError::TooManyFiles { files }.into());
        }
        let parsed = RelativePath::parse(path).map_err(|source| ClientError::EntryName {
            path: place.to_owned(),
            source,
        })?;
        let facts = FileFacts::of_any(place)?;
        let stored = facts.size;
        let path = parsed;
        self.files.push(Found { path, facts, stored });
        Ok(())
    }

    /// All below a folder, each named by its path from `prefix`.
    fn folder(&mut self, place: &Path, prefix: &str, depth: usize) -> Result<(), ClientError> {
        if depth > MAX_DEPTH {
            let source = shared::file::PathError::TooDeep;
            let path = place.to_owned();
            return Err(ClientError::EntryName { path, source });
        }
        let unreadable = || ClientError::file("read", place);
        for entry in fs::read_dir(place).map_err(unreadable())? {
            let entry = entry.map_err(unreadable())?;
            let (below, kind) = (entry.path(), entry.file_type().map_err(unreadable())?);
            let name = entry.file_name();
            let name = utf8(&name, &below)?;
            if is_under_way(name) {
                let below = below.display();
                self.report.note(format!(
                    "{below} is left out: it is what has come of a file that is being brought back"
                ));
                continue;
            }
            let path = match prefix {
                "" => name.to_owned(),
                prefix => format!("{prefix}/{name}"),
            };
            if kind.is_dir() {
                self.folder(&below, &path, depth.saturating_add(1))?;
            } else if kind.is_file() {
                self.file(&below, &path)?;
            } else {
                let what = if kind.is_symlink() { "a link" } else { "not a file" };
                self.report
                    .note(format!("{} is left out: it is {what}", below.display()));
            }
        }
        Ok(())
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;

    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("there is room");
        fs::create_dir_all(dir.path().join("a/b")).expect("there is room");
        for (name, bytes) in [("z", "1"), ("a/b/c", "22"), ("a/empty", ""), ("a!", "333")] {
            fs::write(dir.path().join(name), bytes).expect("there is room");
        }
        dir
    }

    fn names(gathered: &Gathered) -> Vec<&str> {
        gathered.files.iter().map(|file| file.path.as_str()).collect()
    }

    #[test]
    fn all_files_below_a_folder_are_found_in_the_order_of_their_paths_also_empty_ones() {
        let dir = folder();
        let found = gather(&[dir.path().to_owned()], Some("name"), &Report::new()).expect("it can be read");
        assert_eq!(names(&found), ["a/b/c", "a/empty", "a!", "z"]);
        assert_eq!((found.is_folder, found.name.as_str(), found.size()), (true, "name", 6));
    }

    #[test]
    fn several_files_and_folders_are_a_folder_of_all_of_them() {
        let dir = folder();
        let paths = [dir.path().join("z"), dir.path().join("a")];
        let found = gather(&paths, None, &Report::new()).expect("they can be read");
        assert_eq!(names(&found), ["a/b/c", "a/empty", "z"]);
        assert_eq!((found.is_folder, found.name.as_str()), (true, NAME_OF_SEVERAL));
        let one = gather(&paths[..1], None, &Report::new()).expect("it can be read");
        assert_eq!((names(&one), one.is_folder), (vec!["z"], false));
    }

    #[test]
    fn what_has_come_of_a_file_that_is_being_brought_back_is_left_out() {
        let dir = folder();
        for name in [".sealdrop-x-y.pieces", "a/.sealdrop-1.partial"] {
            fs::write(dir.path().join(name), "half").expect("there is room");
        }
        let found = gather(&[dir.path().to_owned()], None, &Report::new()).expect("it can be read");
        assert_eq!(names(&found), ["a/b/c", "a/empty", "a!", "z"]);
    }

    #[test]
    fn what_is_named_twice_and_a_name_that_is_a_path_are_refused_before_anything_is_read() {
        let dir = folder();
        let twice = [dir.path().join("a"), dir.path().join("a")];
        let refused = gather(&twice, None, &Report::new()).expect_err("it is twice the same");
        let twice = matches!(refused, ClientError::Manifest(ManifestError::Duplicate { .. }));
        assert!(twice, "{refused}");
        let refused = gather(&[dir.path().to_owned()], Some("a/b"), &Report::new()).expect_err("it is a path");
        let a_path = matches!(refused, ClientError::Manifest(ManifestError::NotAName { .. }));
        assert!(a_path, "{refused}");
    }

    #[test]
    fn links_are_not_followed() {
        let dir = folder();
        std::os::unix::fs::symlink("/etc", dir.path().join("etc")).expect("there is room");
        std::os::unix::fs::symlink("z", dir.path().join("y")).expect("there is room");
        let found = gather(&[dir.path().to_owned()], None, &Report::new()).expect("it can be read");
        assert_eq!(names(&found), ["a/b/c", "a/empty", "a!", "z"]);
    }

    #[test]
    fn a_name_that_is_not_utf8_is_refused_with_its_path() {
        let dir = folder();
        fs::write(dir.path().join(OsStr::from_bytes(b"\xff")), b"x").expect("there is room");
        let refused = gather(&[dir.path().to_owned()], None, &Report::new());
        assert!(matches!(refused, Err(ClientError::NotUtf8 { .. })), "{refused:?}");
    }
}
