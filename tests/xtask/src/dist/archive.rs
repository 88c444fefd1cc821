//! The release archive: the same bytes for the same files, whoever packs them, when and where. Names are in order; times, owners and modes are
//! ours.
//!
//! gzip and not zstd: every tar of every system opens it without another program.

use std::fs::File;
use std::io::{BufReader, Write};
use std::path::Path;

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};

use super::stage::below;

const PROGRAM: u32 = 0o755;
const PLAIN: u32 = 0o644;

/// Packs everything below `files` into `path`, in a folder of this name.
pub fn write(files: &Path, folder: &str, time: u64, path: &Path) -> Result<()> {
    let file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
    let packed = pack(files, folder, time, file)?;
    packed
        .sync_all()
        .with_context(|| format!("cannot write {}", path.display()))
}

fn pack<W: Write>(files: &Path, folder: &str, time: u64, to: W) -> Result<W> {
    // Without the packing machine's name of its system: 255 is none.
    let gzip = GzBuilder::new()
        .mtime(0)
        .operating_system(255)
        .write(to, Compression::best());
    let mut archive = Builder::new(gzip);
    for name in below(files)? {
        let path = files.join(&name);
        let file = File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_size(file.metadata()?.len());
        header.set_mode(mode(&name));
        header.set_mtime(time);
        header.set_uid(0);
        header.set_gid(0);
        archive
            .append_data(&mut header, Path::new(folder).join(&name), BufReader::new(file))
            .with_context(|| format!("cannot pack {}", path.display()))?;
    }
    Ok(archive.into_inner()?.finish()?)
}

/// Programs may be run, and everything may be read.
fn mode(name: &Path) -> u32 {
    if name.starts_with("bin") {
        PROGRAM
    } else {
        PLAIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use std::fs;
    use std::path::PathBuf;

    /// A folder that goes away with the test.
    struct Folder(PathBuf);

    impl Folder {
        fn with(name: &str, files: &[&str]) -> Self {
            let dir = std::env::temp_dir().join(format!("xtask-archive-{name}-{}", std::process::id()));
            for file in files {
                let path = dir.join(file);
                fs::create_dir_all(path.parent().expect("it has a folder")).expect("there is room");
                fs::write(&path, file).expect("there is room");
            }
            Self(dir)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_same_files_give_the_same_bytes_in_whatever_order_and_at_whatever_time_they_came() {
        let one = Folder::with("one", &["share/b", "bin/sealdrop", "share/a/c"]);
        let other = Folder::with("other", &["share/a/c", "share/b", "bin/sealdrop"]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mine = fs::Permissions::from_mode(0o600);
            fs::set_permissions(other.0.join("bin/sealdrop"), mine).expect("it is ours");
        }
        let packed = |folder: &Folder| pack(&folder.0, "sealdrop-1", 7, Vec::new()).expect("they can be read");
        assert_eq!(packed(&one), packed(&other));
        let bytes = packed(&one);
        let mut archive = tar::Archive::new(GzDecoder::new(&bytes[..]));
        let entries: Vec<(String, u32, u64, u64)> = archive
            .entries()
            .expect("it is an archive")
            .map(|entry| {
                let entry = entry.expect("it is whole");
                let header = entry.header();
                let path = entry.path().expect("it is a path").to_string_lossy().into_owned();
                let number = |read: std::io::Result<u64>| read.expect("it is a number");
                let mode = header.mode().expect("it is a number");
                (path, mode, number(header.mtime()), number(header.uid()))
            })
            .collect();
        let expected = [
            ("sealdrop-1/bin/sealdrop", PROGRAM),
            ("sealdrop-1/share/a/c", PLAIN),
            ("sealdrop-1/share/b", PLAIN),
        ];
        assert_eq!(entries, expected.map(|(path, mode)| (path.to_owned(), mode, 7, 0)));
    }
}
