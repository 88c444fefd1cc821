//! A disk after a power loss: everything that was not synced is gone, or half there.
//!
//! `record_writes.c` is preloaded into a process and records every write, sync, rename and removal below a folder, in order.
//! [`Recording`] reads that record, [`Disk`] lives through it, and [`Disk::lay_out`] makes the folder as it would stand if the power
//! failed at that moment: with nothing but what was synced, or with some of what came after, torn. Folders themselves count as made,
//! or as removed, at once: only the names in them need a sync of the folder. A [`Disk`] may live through the records of several
//! processes, one after the other, and goes on from [`Disk::of`] after a loss.
#![allow(clippy::unwrap_used)] // What tests share: what goes wrong fails the test.
#![allow(clippy::indexing_slicing)] // For tests: a recording that is none fails them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Bytes of an event before its data.
const HEAD: usize = 21;

/// Makes a process record what it writes below `root` in `log`; `library` is what [`interposer`] made.
pub fn record(command: &mut Command, library: &TempDir, root: &Path, log: &Path) {
    super::preload(command, &library.path().join("record.so"));
    command.env("RECORD_ROOT", root).env("RECORD_LOG", log);
}

/// The library that is preloaded, made by a C compiler; `None` where there is none.
pub fn interposer() -> Option<TempDir> {
    super::preloaded("record_writes.c", "record.so")
}

/// What happened to a file.
pub enum Event {
    Opened { inode: u64, is_cut: bool, path: PathBuf },
    Written { inode: u64, at: usize, bytes: Vec<u8> },
    Cut { inode: u64, length: usize },
    Synced { inode: u64, path: PathBuf },
    Renamed { from: PathBuf, to: PathBuf },
    Removed { path: PathBuf },
    FolderRemoved { path: PathBuf },
}

/// All events in order, each with the length of the record up to and with it.
pub struct Recording(pub Vec<(usize, Event)>);

impl Recording {
    /// Of a record's bytes; one that was cut off in the middle of an event ends before it.
    pub fn parse(mut log: &[u8]) -> Self {
        let (mut events, whole) = (Vec::new(), log.len());
        while let Some((head, rest)) = log.split_at_checked(HEAD) {
            let number = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().unwrap());
            let length = u32::from_le_bytes(head[17..].try_into().unwrap()) as usize;
            let Some((data, rest)) = rest.split_at_checked(length) else {
                break;
            };
            log = rest;
            let text = || String::from_utf8(data.to_vec()).unwrap();
            let inode = number(1);
            let event = match head[0] {
                b'O' => Event::Opened {
                    inode,
                    is_cut: number(9) != 0,
                    path: text().into(),
                },
                b'W' => Event::Written {
                    inode,
                    at: number(9) as usize,
                    bytes: data.to_vec(),
                },
                b'T' => Event::Cut {
                    inode,
                    length: number(9) as usize,
                },
                b'S' => Event::Synced {
                    inode,
                    path: text().into(),
                },
                b'R' => {
                    let both = text();
                    let (from, to) = both.split_once('\n').unwrap();
                    Event::Renamed {
                        from: from.into(),
                        to: to.into(),
                    }
                }
                b'U' => Event::Removed { path: text().into() },
                b'D' => Event::FolderRemoved { path: text().into() },
                other => panic!("{other}"),
            };
            events.push((whole - log.len(), event));
        }
        Self(events)
    }
}

/// A file's bytes: as synced, and what came since.
#[derive(Default)]
struct Content {
    synced: Vec<u8>,
    since: Vec<Change>,
}

enum Change {
    Write(usize, Vec<u8>),
    Cut(usize),
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>, share: (usize, usize)) {
        match self {
            Self::Write(at, bytes) => {
                let bytes = &bytes[..bytes.len() * share.0 / share.1];
                if content.len() < at + bytes.len() {
                    content.resize(at + bytes.len(), 0);
                }
                content[*at..at + bytes.len()].copy_from_slice(bytes);
            }
            Self::Cut(length) => content.resize(*length, 0),
        }
    }
}

/// A disk, with what it holds for good and what it would lose.
#[derive(Default)]
pub struct Disk {
    files: Vec<Content>,
    by_inode: BTreeMap<u64, usize>,
    names: BTreeMap<PathBuf, usize>,
    synced_names: BTreeMap<PathBuf, usize>,
}

impl Disk {
    /// A disk on which everything below `root` is synced.
    pub fn of(root: &Path) -> Self {
        let (mut disk, mut folders) = (Self::default(), vec![root.to_owned()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                disk.names.insert(path.clone(), disk.files.len());
                disk.files.push(Content {
                    synced: fs::read(path).unwrap(),
                    since: Vec::new(),
                });
            }
        }
        disk.synced_names = disk.names.clone();
        disk
    }

    /// Names that are on it for good.
    pub fn len(&self) -> usize {
        self.synced_names.len()
    }

    pub fn is_empty(&self) -> bool {
        self.synced_names.is_empty()
    }

    /// Takes one event in.
    pub fn happens(&mut self, event: &Event) {
        match event {
            Event::Opened { inode, is_cut, path } => {
                let file = *self.names.entry(path.clone()).or_insert_with(|| {
                    self.files.push(Content::default());
                    self.files.len() - 1
                });
                self.by_inode.insert(*inode, file);
                if *is_cut {
                    self.files[file].since.push(Change::Cut(0));
                }
            }
            Event::Written { inode, at, bytes } => self.change(*inode, Change::Write(*at, bytes.clone())),
            Event::Cut { inode, length } => self.change(*inode, Change::Cut(*length)),
            Event::Synced { inode, path } => match self.by_inode.get(inode).filter(|_| self.names.contains_key(path)) {
                Some(file) => {
                    let content = &mut self.files[*file];
                    for change in std::mem::take(&mut content.since) {
                        change.apply(&mut content.synced, (1, 1));
                    }
                }
                None => self.sync_folder(path),
            },
            Event::Renamed { from, to } => {
                if let Some(file) = self.names.remove(from) {
                    self.names.insert(to.clone(), file);
                }
            }
            Event::Removed { path } => drop(self.names.remove(path)),
            Event::FolderRemoved { path } => {
                self.names.retain(|name, _| !name.starts_with(path));
                self.synced_names.retain(|name, _| !name.starts_with(path));
            }
        }
    }

    fn change(&mut self, inode: u64, change: Change) {
        if let Some(file) = self.by_inode.get(&inode) {
            self.files[*file].since.push(change);
        }
    }

    fn sync_folder(&mut self, folder: &Path) {
        let is_in = |path: &Path| path.parent() == Some(folder);
        self.synced_names.retain(|path, _| !is_in(path));
        let own = self.names.iter().filter(|(path, _)| is_in(path));
        self.synced_names.extend(own.map(|(path, file)| (path.clone(), *file)));
    }

    /// Makes the folder that was `root` anew, as the power loss leaves it, in a temporary one; in memory, if that can be.
    pub fn lay_out(&self, torn: Option<u64>, root: &Path) -> TempDir {
        let memory = Path::new("/dev/shm");
        let left = match memory.is_dir() {
            true => tempfile::tempdir_in(memory),
            false => tempfile::tempdir(),
        };
        let left = left.unwrap();
        self.write_to(left.path(), torn, root);
        left
    }

    /// Makes the folder that was `root` anew in another one, or in its own place once that is empty.
    pub fn write_to(&self, folder: &Path, torn: Option<u64>, root: &Path) {
        for (path, content) in self.after_loss(torn) {
            let target = folder.join(path.strip_prefix(root).unwrap());
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::write(target, content).unwrap();
        }
    }

    /// What is left: what was synced alone, or with some of what came since, by numbers drawn from `torn`.
    fn after_loss(&self, torn: Option<u64>) -> Vec<(PathBuf, Vec<u8>)> {
        let mut draws = torn.map(|seed| seed.wrapping_mul(2) | 1);
        let mut drawn = |below: u64| match &mut draws {
            Some(state) => {
                *state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                (*state >> 33) % below
            }
            None => 0,
        };
        let mut names = self.synced_names.clone();
        for (path, file) in self
            .names
            .iter()
            .filter(|(path, _)| !self.synced_names.contains_key(*path))
        {
            if drawn(2) == 1 {
                names.insert(path.clone(), *file);
            }
        }
        // The index of the log is in shared memory and made anew.
        let kept = names
            .into_iter()
            .filter(|(path, _)| !path.to_string_lossy().ends_with("-shm"));
        kept.map(|(path, file)| {
            let mut content = self.files[file].synced.clone();
            for change in &self.files[file].since {
                match drawn(4) {
                    1 => change.apply(&mut content, (1, 1)),
                    2 => change.apply(&mut content, (1, 2)),
                    _ => {}
                }
            }
            (path, content)
        })
        .collect()
    }
}
