//! `sealdrop backup` and `sealdrop restore`: all of a home in one encrypted file, and a home of it. What is in it and why it holds together
//! is in [`crate::backup`]; the account alone is `sealdrop client backup`.

use super::client::keys::{ask_passphrase, EncryptionArguments, OpeningKeys, PassphraseArguments};
use super::error::CommandError;
use super::output::{columns, put_path, say, with_fields, Output};
use super::target::Target;
use crate::backup::{self, Extent, Manifest, Opening};
use crate::client::files::encrypting::Readers;
use crate::client::partial::{folder_of, Partial};
use crate::client::Report;
use crate::terminal::escaped;
use clap::{Args, Subcommand};
use sealdrop_encryption::{is_encrypted, readers, Keys, Passphrase, Recipients, WorkFactor};
use sealdrop_miner::console;
use sealdrop_miner::data_dir::keep_files_private;
use serde_json::{json, Value};
use std::io::{self, BufWriter, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The passphrase, where neither an option nor the terminal gives one.
const PASSPHRASE: &str = "SEALDROP_BACKUP_PASSPHRASE";
/// Bytes that are written at once.
const CHUNK: usize = 1 << 18;

#[derive(Debug, Args)]
#[command(subcommand_negates_reqs = true)]
pub struct Backup {
    #[command(subcommand)]
    command: Option<Check>,
    /// The file to write, or - for the standard output; one that is there is replaced as a whole
    #[arg(value_name = "FILE", required = true)]
    file: Option<PathBuf>,
    /// Take sectors' replicas along, and pieces' unsealed copies: as much as the miner stores, and more
    #[arg(long)]
    with_sectors: bool,
    #[command(flatten)]
    encryption: EncryptionArguments,
    /// Write it as it is: whoever reads the file has the miner's keys and its clients' data
    #[arg(long, conflicts_with_all = ["encrypt_to", "passphrase", "passphrase_file", "passphrase_env"])]
    unencrypted: bool,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Subcommand)]
enum Check {
    /// Read all of a backup and compare it with what it says of itself; nothing is written
    Check {
        #[command(flatten)]
        source: Source,
    },
}

#[derive(Debug, Args)]
pub struct Restore {
    #[command(flatten)]
    source: Source,
    /// The home to make: a folder that is not there yet, or is empty
    #[arg(long, value_name = "DIR", env = "SEALDROP_HOME")]
    home: PathBuf,
    #[command(flatten)]
    output: Output,
}

/// A backup that is read, and what opens it.
#[derive(Debug, Args)]
struct Source {
    /// The backup, or - for the standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    keys: OpeningKeys,
    #[command(flatten)]
    passphrase: PassphraseArguments,
    /// Take one that is not encrypted: anybody may have made it
    #[arg(long, conflicts_with_all = ["identity", "passphrase", "passphrase_file", "passphrase_env"])]
    unencrypted: bool,
}

/// Writes a backup, or checks one.
pub fn run(arguments: Backup) -> Result<(), CommandError> {
    match (&arguments.command, &arguments.file) {
        (Some(Check::Check { source }), _) => {
            let manifest = source.read(|source, opening| backup::check(source, opening))?;
            let value = described(&manifest);
            arguments.output.show(&value, || lines(&manifest))
        }
        (None, Some(file)) => write(&arguments, file),
        (None, None) => Err(CommandError::Unusable(
            "name the file to write, or - for the standard output".into(),
        )),
    }
}

fn write(arguments: &Backup, file: &Path) -> Result<(), CommandError> {
    keep_files_private();
    let to_stdout = file.as_os_str() == "-";
    if to_stdout && io::stdout().is_terminal() {
        let reason = "a backup is no text for a terminal; name a file, or send the standard output somewhere else";
        return Err(CommandError::Unusable(reason.into()));
    }
    let home = arguments.target.existing_home()?;
    let is_beside = match to_stdout {
        true => false,
        false => backup::check_place(&home, folder_of(file))?,
    };
    let readers = readers_of(arguments)?;
    let recipients = readers.as_ref().map(|readers| match readers {
        Readers::Recipients(recipients) => Recipients::X25519(recipients),
        Readers::Passphrase(passphrase) => Recipients::Passphrase(passphrase, WorkFactor::USUAL),
    });
    let extent = Extent {
        sectors: arguments.with_sectors,
    };
    let make = |out: &mut dyn Write| -> Result<Manifest, CommandError> {
        let mut out = BufWriter::with_capacity(CHUNK, out);
        let manifest = backup::write(&home, extent, recipients.as_ref(), now_ms(), &mut out)?;
        out.flush().map_err(|source| failed("write", file, source))?;
        Ok(manifest)
    };
    let manifest = match to_stdout {
        true => make(&mut io::stdout().lock())?,
        false => {
            let failed = |source| failed("write", file, source);
            let partial = Partial::create(folder_of(file)).map_err(failed)?;
            let manifest = make(&mut partial.file())?;
            partial.keep_as(file).map_err(failed)?;
            manifest
        }
    };
    let encrypted = json!(readers.is_some());
    let fields = [("encrypted", encrypted), ("onTheHomesDisk", json!(is_beside))];
    let mut value = with_fields(described(&manifest), fields);
    // The result's place is the backup's.
    if to_stdout {
        match arguments.output.is_json() {
            true => console::stderr(&escaped(&value.to_string())),
            false => note_all(&manifest),
        }
        return Ok(());
    }
    put_path(&mut value, "path", file);
    arguments.output.show(&value, || file.display().to_string())?;
    if !arguments.output.is_json() {
        note_all(&manifest);
        if is_beside {
            let home = home.root().display();
            Report::new().note(format!(
                "this file is on the same disk as {home}: copy it to another one, or both are lost at once"
            ));
        }
    }
    Ok(())
}

/// Whom a backup is encrypted to; `None` where its owner said that it is not.
fn readers_of(arguments: &Backup) -> Result<Option<Readers>, CommandError> {
    if arguments.unencrypted {
        return Ok(None);
    }
    if let Some(readers) = arguments.encryption.readers()? {
        return Ok(Some(readers));
    }
    let passphrase = match of_environment()? {
        Some(passphrase) => passphrase,
        None => ask_passphrase(true)?,
    };
    Ok(Some(Readers::Passphrase(passphrase)))
}

fn of_environment() -> Result<Option<Passphrase>, CommandError> {
    let Some(text) = std::env::var_os(PASSPHRASE).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let unusable = |reason: String| CommandError::Unusable(format!("{PASSPHRASE}: {reason}"));
    let text = text.into_string().map_err(|_| unusable("it is not Unicode".into()))?;
    let passphrase = Passphrase::new(text).map_err(|error| unusable(error.to_string()))?;
    Ok(Some(passphrase))
}

impl Source {
    /// Gives the backup and what opens it to `work`.
    fn read<T>(
        &self,
        work: impl FnOnce(&mut dyn Read, Opening<'_>) -> Result<T, backup::BackupError>,
    ) -> Result<T, CommandError> {
        let (head, mut source) = backup::looked_at(super::open(&self.file)?)?;
        if self.unencrypted {
            return Ok(work(&mut source, Opening::Unencrypted)?);
        }
        let identities = self.keys.identities()?;
        if !identities.is_empty() {
            return Ok(work(&mut source, Opening::Keys(Keys::Identities(&identities)))?);
        }
        let passphrase = match self.passphrase.read(false)? {
            Some(passphrase) => Some(passphrase),
            None if takes_passphrase(&head) => Some(match of_environment()? {
                Some(passphrase) => passphrase,
                None => ask_passphrase(false)?,
            }),
            None => None,
        };
        let keys = passphrase.as_ref().map_or(Keys::Identities(&[]), Keys::Passphrase);
        Ok(work(&mut source, Opening::Keys(keys))?)
    }
}

/// What is no age file is told as such, without a question before.
fn takes_passphrase(head: &[u8]) -> bool {
    is_encrypted(head) && readers(head).is_ok_and(|readers| readers.passphrase)
}

/// Makes a home of a backup.
pub fn restore(arguments: &Restore) -> Result<(), CommandError> {
    keep_files_private();
    let home = std::path::absolute(&arguments.home).map_err(|source| failed("find", &arguments.home, source))?;
    let manifest = arguments
        .source
        .read(|source, opening| backup::restore(source, opening, &home))?;
    let next = next_steps(&manifest, &home);
    let mut value = with_fields(described(&manifest), [("next", json!(next))]);
    put_path(&mut value, "home", &home);
    arguments.output.show(&value, || home.display().to_string())?;
    if !arguments.output.is_json() {
        say(lines(&manifest))?;
        next.iter().for_each(|step| Report::new().note(step));
    }
    Ok(())
}

/// What is to be done with a restored home, in this order.
fn next_steps(manifest: &Manifest, home: &Path) -> Vec<String> {
    let mut steps = Vec::new();
    if manifest.miner.is_some() || manifest.holds_chain {
        steps.push(
            "never start the old machine again, nor another copy of this backup: two daemons with the same keys make messages with the same nonces, \
             and one of them proves what the other does not know"
                .to_owned(),
        );
    }
    let missing = manifest.missing_sectors();
    if !missing.is_empty() {
        steps.push(format!(
            "sectors {} are sealed and not in the backup: copy the folders of these numbers from the old machine's miner/sectors into {} before the daemon starts; \
             without them they are faulty",
            listed(&missing),
            home.join("miner/sectors").display()
        ));
    }
    if !manifest.missing_pieces.is_empty() {
        steps.push(format!(
            "pieces {} were not on the old disk: their deals fail",
            manifest.missing_pieces.join(", ")
        ));
    }
    for left in manifest
        .left_out
        .iter()
        .filter(|left| Path::new(&left.path).is_absolute())
    {
        steps.push(format!("{} is not in the backup: {}", left.path, left.reason));
    }
    if manifest.holds_chain {
        steps.push("the chain goes on from its copy: what was in later blocks never happened".to_owned());
    }
    if manifest.network.is_some() {
        steps.push(format!(
            "start it with the options of before: `sealdrop daemon --home {}`, or `sealdrop chain run` where it ran a chain alone; \
             then `sealdrop doctor --home {}` says whether all is well. Proof parameters are made or fetched again",
            home.display(),
            home.display()
        ));
    }
    steps
}

fn listed(ids: &[u64]) -> String {
    let ids: Vec<String> = ids.iter().map(u64::to_string).collect();
    ids.join(", ")
}

fn described(manifest: &Manifest) -> Value {
    json!({
        "format": manifest.format,
        "version": manifest.version,
        "madeMs": manifest.made_ms,
        "network": manifest.network,
        "sectorSize": manifest.sector_size,
        "genesis": manifest.genesis,
        "chain": manifest.chain,
        "miner": manifest.miner,
        "holdsChain": manifest.holds_chain,
        "files": manifest.files.len(),
        "bytes": manifest.bytes(),
        "sectors": manifest.sectors,
        "missingSectors": manifest.missing_sectors(),
        "missingPieces": manifest.missing_pieces,
        "leftOut": manifest.left_out,
    })
}

fn lines(manifest: &Manifest) -> String {
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
    let included = manifest.sectors.iter().filter(|sector| sector.included).count();
    columns([
        ["network".to_owned(), text(&manifest.network)],
        ["genesis".to_owned(), text(&manifest.genesis)],
        ["miner".to_owned(), text(&manifest.miner)],
        ["files".to_owned(), manifest.files.len().to_string()],
        ["bytes".to_owned(), manifest.bytes().to_string()],
        [
            "sectors".to_owned(),
            format!("{included} in it, {} not", manifest.missing_sectors().len()),
        ],
    ])
}

/// What its owner has to know of a new backup.
fn note_all(manifest: &Manifest) {
    let report = Report::new();
    report.note(format!("{} files, {} bytes", manifest.files.len(), manifest.bytes()));
    let missing = manifest.missing_sectors();
    if !missing.is_empty() {
        report.note(format!(
            "sectors {} are not in it: keep the home's miner/sectors, or copy it after this backup (not before), or give --with-sectors",
            listed(&missing)
        ));
    }
    if !manifest.missing_pieces.is_empty() {
        report.note(format!(
            "pieces {} are accepted and not on the disk; `sealdrop deals explain` says what becomes of their deals",
            manifest.missing_pieces.join(", ")
        ));
    }
    for left in manifest.left_out.iter().filter(|left| left.path != "miner/sectors") {
        report.note(format!("left out: {}, {}", left.path, left.reason));
    }
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> CommandError {
    CommandError::File {
        action,
        path: path.to_owned(),
        source,
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
