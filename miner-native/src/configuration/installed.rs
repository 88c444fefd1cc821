//! Where an installed program finds the page and the browser client when nobody names their folders: beside itself, as an archive or a
//! package lays them, or where the system keeps such files.

use std::path::{Path, PathBuf};

/// From the program's folder: `bin/sealdrop` and `share/sealdrop` lie beside each other.
const BESIDE: &str = "../share/sealdrop";
/// A distribution's package may have the program elsewhere.
const OF_THE_SYSTEM: &str = "/usr/share/sealdrop";

/// What the folder of the page is called, and that of the browser client.
pub(super) const PAGE: &str = "www";
pub(super) const CLIENT: &str = "client";

/// An installed folder of this name, if there is one.
pub(super) fn folder(name: &str) -> Option<PathBuf> {
    // A link in a folder of programs leads to where the rest lies, too.
    let program = std::env::current_exe().and_then(|program| program.canonicalize()).ok();
    find(program.as_deref(), Path::new(OF_THE_SYSTEM), name)
}

fn find(program: Option<&Path>, system: &Path, name: &str) -> Option<PathBuf> {
    let beside = program
        .and_then(Path::parent)
        .map(|bin| bin.join(BESIDE).join(name))
        // Without the `..`, for whoever is shown it; one that is not there has no such form.
        .and_then(|folder| folder.canonicalize().ok());
    let system = system.join(name);
    beside.into_iter().chain([system]).find(|folder| folder.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_page_is_found_beside_the_program_before_that_of_the_system() {
        let dir = tempfile::tempdir().expect("there is room for a directory");
        let root = dir.path().canonicalize().expect("it is there");
        let program = root.join("opt/bin/sealdrop");
        let (own, system) = (root.join("opt/share/sealdrop/www"), root.join("usr/share/sealdrop"));
        fs::create_dir_all(root.join("opt/bin")).expect("there is room");
        let found = || find(Some(&program), &system, PAGE);
        assert_eq!(found(), None);
        fs::create_dir_all(system.join(PAGE)).expect("there is room");
        assert_eq!(found(), Some(system.join(PAGE)));
        fs::create_dir_all(&own).expect("there is room");
        assert_eq!(found(), Some(own));
        assert_eq!(find(Some(&program), &system, CLIENT), None);
        assert_eq!(find(None, &system, PAGE), Some(system.join(PAGE)));
    }
}
