//! Backups of the client's book ([`sealdrop_backup`]): what the terminal keeps of deals and files, in the form that the browser reads, too.
//!
//! Called by `sealdrop client backup` and `restore`. Where a file is on this machine, and its nodes, are in no backup: a file that a miner had not fetched
//! yet is to be stored anew.

use super::book::{self, Book, LocalFile, Record};
use super::error::ClientError;
use super::kept_keys::FileKeys;
use super::source::FileFacts;
use super::stored_files::{FileSource, StoredFile};
use sealdrop_backup::{restored, FileEntry, NamedFile, NetworkBook, Sealed};
use shared::file::TrueNames;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Names the keys of restored files where a draft's name would stand.
const NO_DRAFT: &str = "draft-restored";

/// How much of a backup was new.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Added {
    pub deals: u64,
    pub files: u64,
}

impl Book {
    /// The books of all networks, for a backup.
    pub fn backed_up(&self) -> Result<Vec<NetworkBook>, ClientError> {
        let mut networks = BTreeMap::<String, NetworkBook>::new();
        let empty = |genesis: &String| NetworkBook {
            genesis: genesis.clone(),
            older_key: None,
            deals: Vec::new(),
            files: Vec::new(),
        };
        self.each(|record| {
            let genesis = record.genesis.clone();
            let network = networks.entry(genesis.clone()).or_insert_with(|| empty(&genesis));
            network.deals.push(backed_up(record));
        })?;
        for id in self.file_ids()? {
            let Some(stored) = self.find_file(&id)? else { continue };
            let sealed = self.keys(&id)?.map(sealed).transpose()?;
            let genesis = &stored.record.genesis;
            let network = networks.entry(genesis.clone()).or_insert_with(|| empty(genesis));
            network.files.push(FileEntry {
                record: stored.record,
                manifest: stored.manifest_bytes,
                sealed,
            });
        }
        Ok(networks.into_values().collect())
    }

    /// Takes one network's book of a backup in. What is here stays, but for deals whose place a backup takes ([`restored::takes_the_place`]).
    pub fn take_back(&self, network: NetworkBook) -> Result<Added, ClientError> {
        let mut added = Added::default();
        // Files first: a deal of a file is shown with it.
        for file in network.files {
            added.files = added.files.saturating_add(u64::from(self.take_file(file)?));
        }
        for deal in network.deals {
            added.deals = added.deals.saturating_add(u64::from(self.take_deal(deal)?));
        }
        Ok(added)
    }

    fn take_deal(&self, deal: sealdrop_backup::Record) -> Result<bool, ClientError> {
        let name = deal.file.name.clone();
        let record = deal.with_file(());
        let facts = nowhere(&name, record.deal.draft.size);
        let record = record.with_file(LocalFile {
            facts,
            part: None,
            key: None,
            nodes: Vec::new(),
        });
        // Whoever carries it on has seen more.
        let Ok(_lock) = self.lock(&record) else {
            return Ok(false);
        };
        self.deals.write(|changes| {
            let here = book::read(changes, &record.id)?;
            let takes = here.is_none_or(|here| restored::takes_the_place(&record, &here));
            if takes {
                book::put(changes, &record)?;
            }
            Ok(takes)
        })
    }

    fn take_file(&self, file: FileEntry) -> Result<bool, ClientError> {
        let id = file.record.id.clone();
        if self.find_file(&id)?.is_some_and(|known| known.record.id == id) {
            return Ok(false);
        }
        let manifest = file.manifest()?;
        let shown = file.shown()?;
        let sources = shown.files().iter().map(|entry| FileSource {
            facts: nowhere(entry.path().as_str(), entry.size()),
            nodes: entry.pieces().iter().map(|_| Vec::new()).collect(),
        });
        let sources: Vec<_> = sources.collect();
        let keys = file.sealed.map(|sealed| {
            Ok::<_, ClientError>(FileKeys {
                readers: sealed.readers,
                names: TrueNames::read(&sealed.names)?,
                files: sealed.keys,
            })
        });
        let keys = keys.transpose()?;
        let stored = StoredFile {
            record: file.record,
            manifest,
            manifest_bytes: file.manifest,
        };
        self.add_file(&stored, &sources, keys.as_ref().map(|keys| (NO_DRAFT, keys)))?;
        Ok(true)
    }
}

fn backed_up(record: Record) -> sealdrop_backup::Record {
    let name = record.file.facts.name();
    let kind = String::new();
    record.with_file(NamedFile { name, kind })
}

fn sealed(keys: FileKeys) -> Result<Sealed, ClientError> {
    Ok(Sealed {
        names: keys.names.to_bytes()?,
        readers: keys.readers,
        keys: keys.files,
    })
}

/// The facts of a file that is nowhere on this machine: what is read by them is refused.
fn nowhere(name: &str, size: u64) -> FileFacts {
    FileFacts {
        path: PathBuf::from(name),
        size,
        // No file was changed then, and no file system says so.
        modified_ns: u128::MAX,
    }
}
