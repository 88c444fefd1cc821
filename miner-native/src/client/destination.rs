//! Where a result's bytes go (finding E1). What stands there already decides how: a device or a FIFO is written into, a
//! file is replaced as a whole and keeps its mode and its owner, a link stays a link and its target is replaced.
//!
//! Called by [`super::fetching`] and by the commands that write files. Nothing is touched before the bytes are whole.

use super::error::ClientError;
use super::partial::{self, folder_of, Partial};
use std::fs::{self, File, Metadata};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};

/// Links that are followed from a path, at most; as the kernel.
const MOST_LINKS: usize = 40;
/// What errors call the standard output.
const STDOUT: &str = "the standard output";

/// Where a result goes.
#[derive(Debug, Clone)]
pub struct Destination {
    given: PathBuf,
    target: Target,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    Stdout,
    /// A file or nothing yet, with all links followed: replaced as a whole.
    File(PathBuf),
    /// A FIFO, a device, or a file that must not be replaced: written into.
    Open(PathBuf),
}

impl Destination {
    /// The standard output; the bytes are whole before the first one is written.
    pub fn stdout() -> Self {
        let (given, target) = ("-".into(), Target::Stdout);
        Self { given, target }
    }

    /// A path as users give it: `-` is the standard output. Refuses what cannot be written before anything is done for it.
    pub fn at(given: PathBuf) -> Result<Self, ClientError> {
        if given.as_os_str() == "-" {
            return Ok(Self::stdout());
        }
        let target = Target::of(&given).map_err(ClientError::file("write", &given))?;
        Ok(Self { given, target })
    }

    /// The path as it was given; `None` for the standard output.
    pub fn path(&self) -> Option<&Path> {
        (self.target != Target::Stdout).then_some(&self.given)
    }

    /// The file that is written or replaced, with links followed; `None` where bytes are written into something else.
    pub(super) fn file(&self) -> Option<&Path> {
        match &self.target {
            Target::File(path) => Some(path),
            Target::Stdout | Target::Open(_) => None,
        }
    }

    /// Writes a result that is whole.
    pub fn write(&self, bytes: &[u8]) -> Result<(), ClientError> {
        let mut spool = Spool::create(self)?;
        spool.write(bytes)?;
        spool.keep()
    }
}

impl Target {
    fn of(given: &Path) -> io::Result<Self> {
        let found = match fs::metadata(given) {
            Ok(found) => found,
            // Nothing is there, or a link to nothing: the target is made.
            Err(e) if e.kind() == io::ErrorKind::NotFound => return followed(given).map(Self::File),
            Err(error) => return Err(error),
        };
        if found.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        // Another user's terminal or pipe cannot be opened by its name, but it is open already.
        if is_stdout(&found) {
            return Ok(Self::Stdout);
        }
        if !found.is_file() {
            return Ok(Self::Open(given.to_owned()));
        }
        // A file that may not be written must not be replaced either.
        File::options().write(true).open(given)?;
        Ok(Self::File(fs::canonicalize(given)?))
    }
}

/// A path that leads to nothing, with its links followed.
fn followed(given: &Path) -> io::Result<PathBuf> {
    let mut path = given.to_owned();
    for _ in 0..MOST_LINKS {
        match fs::read_link(&path) {
            Ok(target) => path = folder_of(&path).join(target),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("too many links"))
}

#[cfg(unix)]
fn is_stdout(found: &Metadata) -> bool {
    use std::os::fd::AsFd;
    use std::os::unix::fs::MetadataExt;
    let own = io::stdout().as_fd().try_clone_to_owned().map(File::from);
    let own = own.and_then(|file| file.metadata());
    own.is_ok_and(|own| (own.dev(), own.ino()) == (found.dev(), found.ino()))
}

#[cfg(not(unix))]
fn is_stdout(_: &Metadata) -> bool {
    false
}

/// Bytes that are not checked yet: in a file that goes away unless it is kept.
pub struct Spool {
    to: Destination,
    bytes: Bytes,
}

enum Bytes {
    /// Beside the destination, so that the last step is a rename.
    Beside(Partial),
    Unnamed(File),
}

impl Spool {
    /// Makes room for what goes to `to`.
    pub fn create(to: &Destination) -> Result<Self, ClientError> {
        let mut to = to.clone();
        let beside = match &to.target {
            Target::File(path) => Some((path.clone(), Partial::create(folder_of(path)))),
            Target::Stdout | Target::Open(_) => None,
        };
        let bytes = match beside {
            Some((_, Ok(partial))) => Bytes::Beside(partial),
            // Its folder takes no new file, but the file itself may be written.
            Some((path, Err(_))) if path.is_file() => {
                to.target = Target::Open(path);
                Bytes::Unnamed(unnamed()?)
            }
            Some((path, Err(source))) => return Err(ClientError::file("create", path)(source)),
            None => Bytes::Unnamed(unnamed()?),
        };
        Ok(Self { to, bytes })
    }

    /// What is in a file already, beside the destination's own if it has a name.
    pub(super) fn of(to: &Destination, file: File, path: Option<PathBuf>) -> Result<Self, ClientError> {
        let (to, given) = (to.clone(), to.given.clone());
        let bytes = match path {
            Some(path) => Bytes::Beside(Partial::adopt(path, file).map_err(ClientError::file("write", given))?),
            None => Bytes::Unnamed(file),
        };
        Ok(Self { to, bytes })
    }

    /// Adds bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        let written = self.bytes.file().write_all(bytes);
        written.map_err(ClientError::file("write", &self.to.given))
    }

    /// Gives the checked bytes their place.
    pub fn keep(self) -> Result<(), ClientError> {
        let Self { to, bytes } = self;
        let kept = match (&to.target, bytes) {
            (Target::File(path), Bytes::Beside(partial)) => replace(path, partial),
            (Target::File(path) | Target::Open(path), bytes) => write_into(path, bytes.file()),
            (Target::Stdout, bytes) => return copy_to_stdout(bytes.file()),
        };
        kept.map_err(ClientError::file("write", to.given))
    }
}

impl Bytes {
    fn file(&self) -> &File {
        match self {
            Self::Beside(partial) => partial.file(),
            Self::Unnamed(file) => file,
        }
    }
}

fn unnamed() -> Result<File, ClientError> {
    partial::unnamed().map_err(ClientError::file("create a file in", std::env::temp_dir()))
}

/// The file as a whole, with owner and mode of the one before.
fn replace(path: &Path, partial: Partial) -> io::Result<()> {
    let Ok(before) = fs::metadata(path) else {
        return partial.keep_as(path);
    };
    if !same_owner(&before, &partial)? {
        // Not ours to give away: the file stays, and gets other bytes.
        return write_into(path, partial.file());
    }
    fs::set_permissions(partial.path(), before.permissions())?;
    partial.keep_as(path)
}

/// Whether the new file belongs, or could be given, to whom the old one belongs.
#[cfg(unix)]
fn same_owner(before: &Metadata, partial: &Partial) -> io::Result<bool> {
    use std::os::unix::fs::{fchown, MetadataExt};
    let now = partial.file().metadata()?;
    let is_same = (now.uid(), now.gid()) == (before.uid(), before.gid());
    Ok(is_same || fchown(partial.file(), Some(before.uid()), Some(before.gid())).is_ok())
}

#[cfg(not(unix))]
fn same_owner(_: &Metadata, _: &Partial) -> io::Result<bool> {
    Ok(true)
}

fn write_into(path: &Path, mut bytes: &File) -> io::Result<()> {
    bytes.rewind()?;
    let mut file = File::options().write(true).truncate(true).open(path)?;
    let copied = io::copy(&mut bytes, &mut file).map(drop);
    let synced = match file.metadata()?.is_file() {
        true => copied.and_then(|()| file.sync_all()),
        false => copied,
    };
    heard_enough(synced)
}

/// Writes a file to the standard output from its beginning.
pub fn copy_to_stdout(mut bytes: &File) -> Result<(), ClientError> {
    let mut stdout = io::stdout().lock();
    let copied = bytes
        .rewind()
        .and_then(|()| io::copy(&mut bytes, &mut stdout))
        .and_then(|_| stdout.flush());
    heard_enough(copied).map_err(ClientError::file("write", STDOUT))
}

/// A reader that has heard enough, such as `head`, is no error.
fn heard_enough(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::{symlink, FileTypeExt, PermissionsExt};

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("there is room for a directory")
    }

    fn write(path: &Path, bytes: &[u8]) -> Result<(), ClientError> {
        Destination::at(path.to_owned())?.write(bytes)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("it is there").permissions().mode() & 0o7777
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_once_its_bytes_are_there_and_keeps_its_mode() {
        let dir = folder();
        let path = dir.path().join("out");
        for bits in [0o600, 0o640, 0o755] {
            fs::write(&path, b"something longer").expect("it can be written");
            fs::set_permissions(&path, fs::Permissions::from_mode(bits)).expect("it is ours");
            let mut spool = Spool::create(&Destination::at(path.clone()).expect("a file")).expect("there is room");
            spool.write(b"new").expect("there is room");
            assert_eq!(fs::read(&path).expect("it is there"), b"something longer");
            spool.keep().expect("it can be kept");
            assert_eq!(fs::read(&path).expect("it is there"), b"new");
            assert_eq!(mode(&path), bits);
        }
        assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 1);
    }

    #[test]
    fn a_link_stays_and_its_target_is_written_whether_it_is_there_or_not() {
        let dir = folder();
        let inner = dir.path().join("inner");
        fs::create_dir(&inner).expect("there is room");
        let link = dir.path().join("link");
        symlink("inner/target", &link).expect("there is room");
        for bytes in [b"first".as_slice(), b"second"] {
            write(&link, bytes).expect("it can be written");
            assert!(fs::symlink_metadata(&link).expect("it is there").is_symlink());
            assert_eq!(fs::read(inner.join("target")).expect("it is there"), bytes);
        }
        let around = dir.path().join("around");
        symlink("around", &around).expect("there is room");
        assert!(write(&around, b"x").is_err());
    }

    #[test]
    fn a_device_is_written_into_and_its_error_is_one() {
        write(Path::new("/dev/null"), b"bytes").expect("it takes everything");
        let null = fs::metadata("/dev/null").expect("it is there");
        assert!(null.file_type().is_char_device());
        let full = write(Path::new("/dev/full"), b"bytes");
        assert!(
            matches!(full, Err(ClientError::File { action: "write", .. })),
            "{full:?}"
        );
    }

    #[test]
    fn a_folder_is_refused_before_anything_is_done() {
        let dir = folder();
        assert!(Destination::at(dir.path().to_owned()).is_err());
    }
}
