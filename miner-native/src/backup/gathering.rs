//! Puts a home together as it stands: copies of its databases, and its files held so that they stay as they are until they are written.
//!
//! All of it lies in `HOME/backup.part` meanwhile: large files as further names of the same bytes (hard links), small ones and those of file
//! systems without links as copies. The miner's files change by new names only, so what is held stays as it is. What a
//! backup that was killed left there goes away with the next one.

use super::error::{failed, BackupError};
use super::manifest::{checked, LeftOut, SectorEntry};
use super::needs::{self, Needs};
use super::restoring::FILE_SYSTEMS_OWN;
use crate::client::partial::{self, PartialFolder};
use sealdrop_database::Sqlite;
use sealdrop_miner::data_dir::DataDir;
use sealdrop_miner::storage_check::free_space_at;
use sealdrop_miner::store::server_of;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Where a home is put together, below it.
const WORK: &str = "backup.part";
/// Held meanwhile.
const LOCK: &str = "backup.lock";
/// Files of the home's own folder.
const OWN_FILES: [&str; 5] = [
    "network.json",
    "chain.json",
    "registered.json",
    "operator.token",
    CONFIGURATION,
];
const CONFIGURATION: &str = "sealdrop.toml";
/// What is made again, or belongs to a process, in the home's own folder.
const MADE_AGAIN: [&str; 6] = ["endpoints.json", "lock", "chain.lock", "params", "parents", WORK];
/// Endings of names of files that are of a moment, or another's.
const OF_A_MOMENT: [&str; 8] = [
    ".lock", ".new", ".part", ".partial", ".have", "-wal", "-shm", "-journal",
];
/// Ending of what earlier versions left beside its successor.
const EARLIER: &str = ".bak";
/// Ending of a database's name.
const DATABASE: &str = ".db";
/// Below this a copy costs less than it saves to ask for a link.
const SMALL: u64 = 1 << 20;
/// Folders in folders, at most: the home's own have three.
const MOST_DEEP: usize = 12;
/// How often the miner's database is copied again because a piece came and went meanwhile.
const MOST_COPIES: u32 = 4;
const BOOK: &str = "client/book/deals.db";

/// A file that stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    /// Below the home, with slashes.
    pub name: String,
    /// Where it is read.
    pub path: PathBuf,
}

/// A home as it stands. What it holds goes away with it.
#[derive(Debug)]
pub(super) struct Gathered {
    pub files: Vec<Held>,
    pub sectors: Vec<SectorEntry>,
    pub missing_pieces: Vec<String>,
    pub left_out: Vec<LeftOut>,
    pub miner: Option<String>,
    pub holds_chain: bool,
    _work: Work,
}

/// Refuses a folder for the backup's file that belongs to the home; whether it is on the home's disk.
pub fn check_place(home: &DataDir, folder: &Path) -> Result<bool, BackupError> {
    let real = fs::canonicalize(folder).map_err(failed("find", folder))?;
    // Parts may lie on other disks.
    for part in [home.root().to_owned(), home.miner(), home.client(), home.devnet()] {
        if fs::canonicalize(&part).is_ok_and(|part| real.starts_with(part)) {
            return Err(BackupError::InHome {
                folder: folder.to_owned(),
            });
        }
    }
    Ok(is_on_one_disk(&real, home.root()))
}

#[cfg(unix)]
fn is_on_one_disk(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let disk = |path: &Path| fs::metadata(path).ok().map(|found| found.dev());
    disk(one).is_some_and(|one| Some(one) == disk(other))
}

#[cfg(not(unix))]
fn is_on_one_disk(_: &Path, _: &Path) -> bool {
    false
}

/// Puts a home together. The order is that of [the module](super).
pub(super) fn gather(home: &DataDir, with_sectors: bool) -> Result<Gathered, BackupError> {
    if let Some(server) = server_of(&home.root().join("miner/store"))? {
        let home = home.root().to_owned();
        let server = server.lines().next().unwrap_or_default().to_owned();
        return Err(BackupError::OnServer { home, server });
    }
    for folder in ["miner/store", "devnet/chain"] {
        check_taken_over(&home.root().join(folder))?;
    }
    let mut gathering = Gathering {
        home: home.root(),
        work: Work::begin(home.root())?,
        held: BTreeMap::new(),
        left_out: Vec::new(),
    };
    let needs = match home.root().join("miner/store/miner.db").is_file() {
        true => gathering.miner(with_sectors)?,
        false => Needs::default(),
    };
    let (missing_pieces, sectors) = gathering.needed(&needs, with_sectors)?;
    gathering.rest_of("miner", &["store", "staging", "sectors", "index"])?;
    gathering.rest_of("client", &["locks"])?;
    gathering.rest_of("devnet", &[])?;
    gathering.own_files()?;
    gathering.configuration(home);
    let Gathering {
        work, held, left_out, ..
    } = gathering;
    if held.is_empty() {
        let home = home.root().to_owned();
        return Err(BackupError::Nothing { home });
    }
    let holds_chain = held.keys().any(|name| name.starts_with("devnet/chain/"));
    let files = held.into_iter().map(|(name, path)| Held { name, path });
    Ok(Gathered {
        files: files.collect(),
        sectors,
        missing_pieces,
        left_out,
        miner: needs.miner.map(|address| address.to_string()),
        holds_chain,
        _work: work,
    })
}

/// A database of version 0.1.0 is a folder of its own kind, which this version does not copy.
fn check_taken_over(folder: &Path) -> Result<(), BackupError> {
    let is_old = folder.join("conf").is_file() && folder.join("db").is_file();
    let mut names = fs::read_dir(folder).into_iter().flatten().flatten();
    let has_new = names.any(|entry| entry.file_name().to_string_lossy().ends_with(DATABASE));
    match is_old && !has_new {
        true => Err(BackupError::OldHome {
            folder: folder.to_owned(),
        }),
        false => Ok(()),
    }
}

struct Gathering<'a> {
    home: &'a Path,
    work: Work,
    /// By their names, which is their order in the archive, too.
    held: BTreeMap<String, PathBuf>,
    left_out: Vec<LeftOut>,
}

impl Gathering<'_> {
    /// Copies the miner's database with the pieces that it counts on: each is there before the copy, or comes to be held after it.
    fn miner(&mut self, with_sectors: bool) -> Result<Needs, BackupError> {
        let mut copies = 0;
        loop {
            let before = self.staged()?;
            let database = self.database("miner/store/miner.db")?;
            let mut all = before;
            all.extend(self.staged()?);
            let mut needs = needs::of(&database)?;
            copies += 1;
            let wanted = all
                .iter()
                .filter(|(piece, _)| with_sectors || needs.pieces.contains(*piece));
            let held = self.pieces(wanted)?;
            let lacks: BTreeSet<String> = needs
                .pieces
                .iter()
                .filter(|piece| !held.contains_key(*piece))
                .cloned()
                .collect();
            if !lacks.is_empty() && copies < MOST_COPIES {
                continue;
            }
            // What was not to be had again and again is not on the disk.
            needs.missing = lacks;
            for file in held.into_values() {
                self.held.insert(file.name, file.path);
            }
            return Ok(needs);
        }
    }

    /// The whole pieces that are staged now. They are held where that takes no room: not if they lie on another disk.
    fn staged(&self) -> Result<BTreeMap<String, Held>, BackupError> {
        let mut found = BTreeMap::new();
        for file in files_in(self.home, "miner/staging", 1)? {
            let Some(piece) = file.name.strip_prefix("miner/staging/").map(str::to_owned) else {
                continue;
            };
            // A whole piece's name is its CID alone.
            if piece.contains(['.', '-']) {
                continue;
            }
            let place = self.work.place(&file.name);
            make_folder_of(&place)?;
            let is_gone = |error: io::Error| error.kind() == ErrorKind::NotFound;
            if !place.exists() && link(&file.path, &place).is_err_and(is_gone) {
                continue;
            }
            // One that cannot be linked is copied when it is known to be needed.
            found.insert(piece, file);
        }
        Ok(found)
    }

    /// Holds pieces, those that are there still; copies take no more room than there is.
    fn pieces<'p>(
        &self,
        wanted: impl Iterator<Item = (&'p String, &'p Held)>,
    ) -> Result<BTreeMap<String, Held>, BackupError> {
        let wanted: Vec<_> = wanted.collect();
        let copied = wanted.iter().filter(|(_, file)| !self.work.place(&file.name).exists());
        let sizes = copied.map(|(_, file)| fs::metadata(&file.path).map_or(0, |found| found.len()));
        self.check_room(sizes.fold(0, u64::saturating_add))?;
        let mut held = BTreeMap::new();
        for (piece, file) in wanted {
            let path = self.work.place(&file.name);
            if self.work.hold(file, path.clone())? {
                let name = file.name.clone();
                held.insert(piece.clone(), Held { name, path });
            }
        }
        Ok(held)
    }

    fn check_room(&self, needed: u64) -> Result<(), BackupError> {
        // A file system that does not say what is free says when it is full.
        let free = free_space_at(self.home).unwrap_or(u64::MAX);
        match needed == 0 || needed < free {
            true => Ok(()),
            false => Err(BackupError::NoRoom {
                home: self.home.to_owned(),
                needed,
                free,
            }),
        }
    }

    /// What the miner's database counts on beside the pieces: its sectors' files, or a word that they are to be kept.
    fn needed(&mut self, needs: &Needs, with_sectors: bool) -> Result<(Vec<String>, Vec<SectorEntry>), BackupError> {
        let mut sectors = Vec::new();
        for id in &needs.sectors {
            let folder = format!("miner/sectors/{id}");
            let files = files_in(self.home, &folder, MOST_DEEP)?;
            let mut bytes = 0u64;
            for file in files.iter().filter(|file| !is_of_a_moment(&file.name)) {
                bytes = bytes.saturating_add(fs::metadata(&file.path).map_or(0, |found| found.len()));
                if with_sectors {
                    self.sector_file(file)?;
                }
            }
            let included = with_sectors && bytes > 0;
            sectors.push(SectorEntry {
                id: *id,
                included,
                bytes,
            });
        }
        if !needs.sectors.is_empty() && !with_sectors {
            self.leave_out(
                "miner/sectors",
                "keep this folder, or copy it beside the backup after it",
            );
        }
        Ok((needs.missing.iter().cloned().collect(), sectors))
    }

    /// A replica is large and never changes: where it cannot be linked, it is read from its place.
    fn sector_file(&mut self, file: &Held) -> Result<(), BackupError> {
        let place = self.work.place(&file.name);
        make_folder_of(&place)?;
        let path = match link(&file.path, &place) {
            Ok(()) => place,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(_) => file.path.clone(),
        };
        self.held.insert(file.name.clone(), path);
        Ok(())
    }

    /// Everything below a folder but these of its entries: the databases, in the order in which they speak of each other, then the files.
    fn rest_of(&mut self, folder: &str, without: &[&str]) -> Result<(), BackupError> {
        let mut found = Vec::new();
        for entry in listed(&self.home.join(folder))? {
            if without.contains(&entry.as_str()) {
                continue;
            }
            found.extend(files_in(self.home, &format!("{folder}/{entry}"), MOST_DEEP)?);
        }
        let (mut databases, files): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|file| file.name.ends_with(DATABASE));
        databases.sort_by_key(|file| (file.name != BOOK, file.name.clone()));
        for database in databases {
            self.database(&database.name)?;
        }
        for file in files {
            self.file(&file)?;
        }
        Ok(())
    }

    fn own_files(&mut self) -> Result<(), BackupError> {
        for name in listed(self.home)? {
            let path = self.home.join(&name);
            if OWN_FILES.contains(&name.as_str()) && path.is_file() {
                self.file(&Held { name, path })?;
            } else if !["miner", "client", "devnet", LOCK, FILE_SYSTEMS_OWN].contains(&name.as_str())
                && !MADE_AGAIN.contains(&name.as_str())
            {
                self.leave_out(&name, "it is none of a home's own files");
            }
        }
        Ok(())
    }

    /// Names the file that the daemon was configured by, where it lies elsewhere: that one is the machine's.
    fn configuration(&mut self, home: &DataDir) {
        // What a daemon says of itself is made again.
        let Some(file) = home.endpoints().ok().flatten().and_then(|endpoints| endpoints.config) else {
            return;
        };
        let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if real(Path::new(&file)) != real(&self.home.join(CONFIGURATION)) {
            self.leave_out(
                &file,
                "the daemon's configuration file, which is not the home's: keep a copy of it beside the backup, and bring it along",
            );
        }
    }

    fn file(&mut self, file: &Held) -> Result<(), BackupError> {
        if is_of_a_moment(&file.name) {
            return Ok(());
        }
        if file.name.split('/').any(|part| part.ends_with(EARLIER)) {
            self.leave_out(&file.name, "an earlier version's, which was taken over");
            return Ok(());
        }
        let place = self.work.place(&file.name);
        if self.work.hold(file, place.clone())? {
            self.held.insert(file.name.clone(), place);
        }
        Ok(())
    }

    /// Copies a database, in place of a copy that was made before.
    fn database(&mut self, name: &str) -> Result<PathBuf, BackupError> {
        let place = self.work.place(name);
        make_folder_of(&place)?;
        match fs::remove_file(&place) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed("remove", &place)(error)),
            _ => {}
        }
        Sqlite::copy_file(&self.home.join(name), &place)?;
        self.held.insert(name.to_owned(), place.clone());
        Ok(place)
    }

    fn leave_out(&mut self, path: &str, reason: &str) {
        self.left_out.push(LeftOut {
            path: path.to_owned(),
            reason: reason.to_owned(),
        });
    }
}

fn is_of_a_moment(name: &str) -> bool {
    let own = name.rsplit('/').next().unwrap_or_default();
    own == "lock" || own.starts_with('.') || OF_A_MOMENT.iter().any(|ending| own.ends_with(ending))
}

/// The names in a folder, in order; none where it is not there.
fn listed(folder: &Path) -> Result<Vec<String>, BackupError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind()) => return Ok(Vec::new()),
        Err(error) => return Err(failed("list", folder)(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed("list", folder))?.file_name();
        let name = name.into_string().map_err(|name| BackupError::Name {
            path: folder.join(name),
            reason: "which is not Unicode",
        })?;
        names.push(name);
    }
    names.sort();
    Ok(names)
}

/// The file of this name, or those in the folder of this name. Links are followed: a home may lie on several disks.
fn files_in(home: &Path, name: &str, deep: usize) -> Result<Vec<Held>, BackupError> {
    let path = home.join(name);
    let kind = match fs::metadata(&path) {
        Ok(kind) => kind,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed("look at", &path)(error)),
    };
    if kind.is_file() {
        checked(name).map_err(|reason| BackupError::Name {
            path: path.clone(),
            reason,
        })?;
        let name = name.to_owned();
        return Ok(vec![Held { name, path }]);
    }
    let mut found = Vec::new();
    if kind.is_dir() && deep > 0 {
        for entry in listed(&path)? {
            found.extend(files_in(home, &format!("{name}/{entry}"), deep - 1)?);
        }
    }
    Ok(found)
}

/// The folder in which a home is put together; it goes away with this.
#[derive(Debug)]
struct Work {
    folder: PartialFolder,
    _lock: File,
}

impl Work {
    fn begin(home: &Path) -> Result<Self, BackupError> {
        let path = home.join(LOCK);
        let open = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let lock = open.map_err(failed("open", &path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let home = home.to_owned();
                return Err(BackupError::UnderWay { home });
            }
            Err(TryLockError::Error(error)) => return Err(failed("lock", &path)(error)),
        }
        give_to_owner(&lock, home);
        let dir = home.join(WORK);
        match fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed("remove", &dir)(error)),
            _ => {}
        }
        let folder = PartialFolder::create(dir.clone()).map_err(failed("create", &dir))?;
        Ok(Self { folder, _lock: lock })
    }

    fn place(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Holds a file, which is not there any more when this is false.
    fn hold(&self, file: &Held, place: PathBuf) -> Result<bool, BackupError> {
        if place.exists() {
            return Ok(true);
        }
        make_folder_of(&place)?;
        let held = hold(&file.path, &place);
        match held {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(failed("hold", &file.path)(error)),
        }
    }
}

/// A lock that the superuser made has to open for the home's owner, too.
#[cfg(unix)]
fn give_to_owner(file: &File, home: &Path) {
    use std::os::unix::fs::{fchown, MetadataExt};
    let (Ok(now), Ok(home)) = (file.metadata(), fs::metadata(home)) else {
        return;
    };
    if (now.uid(), now.gid()) != (home.uid(), home.gid()) {
        // Only the superuser can.
        let _ = fchown(file, Some(home.uid()), Some(home.gid()));
    }
}

#[cfg(not(unix))]
fn give_to_owner(_: &File, _: &Path) {}

fn hold(from: &Path, to: &Path) -> io::Result<()> {
    let is_large = fs::metadata(from)?.len() > SMALL;
    if is_large && link(from, to).is_ok() {
        return Ok(());
    }
    fs::copy(from, to).map(drop)
}

/// A further name of a file's bytes; of those that a link leads to, not of the link, which may mean another file elsewhere.
fn link(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(fs::canonicalize(from)?, to)
}

/// Makes a folder for the owner alone.
fn make_folder(dir: &Path) -> Result<(), BackupError> {
    partial::make_folders(dir).map_err(failed("create", dir))
}

pub(super) fn make_folder_of(path: &Path) -> Result<(), BackupError> {
    path.parent().map_or(Ok(()), make_folder)
}
