//! `client store` of files of any size, `files`, `file` and `watch`: what [`crate::client::files`] does, with its options and its output.

use super::CommandContext;
use crate::client::cli_host::Until;
use crate::client::files::decrypting::Opening;
use crate::client::files::{self, drills, retrieving};
use crate::client::kept_keys::FileKeys;
use crate::client::stored_files::{FileSource, StoredFile};
use crate::client::{Book, ClientError, Record, Session};
use crate::commands::error::CommandError;
use crate::commands::output::{columns, put_path, say, with_fields, Output};
use crate::terminal::escaped;
use clap::Args;
use indicatif::HumanBytes;
use sealdrop_miner::clock::now_ms;
use sealdrop_miner::console;
use serde_json::{json, Value};
use shared::chain::{Address, Epoch};
use shared::client::files::{DrillVerdict, FileProgress, FileState, FileView, PieceView, Placement};
use shared::file::{Contents, Manifest};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Args)]
pub struct ShowFile {
    /// The file's id, or the CID of its data
    file: String,
}

#[derive(Debug, Args)]
pub struct Watch {
    /// The file's id [default: all]
    file: Option<String>,
    /// One drill of each file, now; ends with 4 if a copy did not come back, or a file is not kept as it was ordered
    #[arg(long)]
    once: bool,
    /// How far to carry the deals that replace a lost copy
    #[arg(long, value_enum, default_value_t = Until::Complete)]
    until: Until,
}

/// Stores files and folders that are more than one deal.
pub(super) async fn store(session: &Session, wanted: &files::Wanted, output: Output) -> Result<(), CommandError> {
    let placement = files::store(session, wanted).await?;
    print_stored(session, &placement, output)
}

/// Prints a file whose deals were carried on: its id, or all of it.
pub(super) fn print_stored(session: &Session, placement: &Placement, output: Output) -> Result<(), CommandError> {
    let id = &placement.file().id;
    match output.is_json() {
        true => say(Shown::of(&session.book, files::get(session, id)?)?.json(placement, &FileView::of(placement))),
        false => say(id),
    }
}

/// A file as this book knows it: of what it has encrypted under its own names, and with its readers.
struct Shown {
    manifest: Manifest,
    keys: Option<FileKeys>,
}

impl Shown {
    fn of(book: &Book, stored: StoredFile) -> Result<Self, ClientError> {
        let keys = book.keys(&stored.record.id)?;
        let manifest = match &keys {
            Some(keys) => stored.manifest.under(keys.names.clone())?,
            None => stored.manifest,
        };
        Ok(Self { manifest, keys })
    }

    /// With its pieces.
    fn json(&self, placement: &Placement, view: &FileView) -> Value {
        let pieces = ("pieces", json!(PieceView::all(placement)));
        let shown = with_fields(json!(view), [pieces]);
        let shown = match &self.keys {
            Some(keys) => with_fields(shown, [("readers", json!(keys.readers))]),
            None => shown,
        };
        with_contents(shown, &self.manifest)
    }
}

fn with_contents(shown: Value, manifest: &Manifest) -> Value {
    match manifest.contents() {
        Contents::File(file) => with_fields(shown, [("dataCid", json!(file.root().to_string()))]),
        Contents::Folder(folder) => {
            let roots: Vec<String> = folder.files().iter().map(|file| file.root().to_string()).collect();
            let files = folder
                .files()
                .iter()
                .zip(&roots)
                .map(|(file, root)| json!({ "path": file.path().as_str(), "size": file.size(), "dataCid": root }));
            let files: Vec<Value> = files.collect();
            with_fields(shown, [("dataCid", json!(roots)), ("files", json!(files))])
        }
    }
}

/// A file that is one deal, with the fields of one that is many.
pub(super) fn fields_of_one_deal(shown: Value, record: &Record) -> Value {
    let data = record.data_cid().to_string();
    let state = match record.state() {
        "complete" | "proven" => "kept",
        "failed" => "failed",
        _ => "under-way",
    };
    let copy = json!({
        "deal": record.id,
        "dealCid": record.cid,
        "miner": record.deal.draft.miner,
        "state": state,
        "shared": false,
    });
    let piece = json!({
        "file": 0,
        "offset": 0,
        "size": record.deal.draft.size,
        "dataCid": data,
        "pieceCid": record.piece_cid(),
        "copies": [copy],
    });
    with_fields(shown, [("file", json!(data)), ("pieces", json!([piece]))])
}

pub async fn list(context: &CommandContext) -> Result<(), CommandError> {
    let (book, height) = (context.book()?, context.height().await);
    let mut listed = Vec::new();
    for id in book.file_ids()? {
        if let Some(stored) = book.find_file(&id)? {
            let placement = files::placed(&book, &stored)?;
            listed.push(view_at(&placement, height.as_ref()));
        }
    }
    listed.sort_by_key(|file| std::cmp::Reverse(file.created_at));
    if context.output.is_json() {
        return say(json!(listed));
    }
    if listed.is_empty() {
        console::stderr("the book has no file of several deals; `sealdrop client deals` lists the deals");
        return Ok(());
    }
    say(columns(listed.iter().map(file_row)))
}

/// A file as it is at the height of its chain, if that is known.
fn view_at(placement: &Placement, height: Option<&(String, Epoch)>) -> FileView {
    let (view, genesis) = (FileView::of(placement), &placement.file().genesis);
    match height.filter(|(chain, _)| chain == genesis) {
        Some((_, height)) => view.at(*height),
        None => view,
    }
}

fn file_row(file: &FileView) -> [String; 6] {
    [
        file.file.clone(),
        file.progress.state.name().to_owned(),
        HumanBytes(file.size).to_string(),
        copies_text(&file.progress),
        format!("until block {}", file.ends),
        escaped(&file.name).into_owned(),
    ]
}

fn copies_text(progress: &FileProgress) -> String {
    format!("{} of {} copies", progress.copies_kept, progress.copies_wanted)
}

pub async fn show(context: &CommandContext, arguments: ShowFile) -> Result<(), CommandError> {
    let book = context.book()?;
    let unknown = || ClientError::UnknownFile(arguments.file.chars().take(80).collect());
    let stored = book.find_file(&arguments.file)?.ok_or_else(unknown)?;
    let placement = files::placed(&book, &stored)?;
    let view = view_at(&placement, context.height().await.as_ref());
    let places = book.sources(&stored.record.id).unwrap_or_default();
    let shown = Shown::of(&book, stored)?;
    context.output.show(&shown.json(&placement, &view), || {
        file_text(&shown, &placement, &view, &places)
    })
}

/// What its user may do about a file that is not kept as it was ordered.
fn advice(view: &FileView, places: &[FileSource]) -> Option<String> {
    let file = &view.file;
    match view.progress.state {
        FileState::Ended => {
            let place = match (places, view.folder) {
                ([only], false) => escaped(&only.facts.path.display().to_string()).into_owned(),
                _ => "PATH".to_owned(),
            };
            Some(format!(
                "its time is over, and nobody has to keep it any more; `sealdrop client store {place}` stores it again"
            ))
        }
        FileState::Incomplete | FileState::Failed if view.progress.copies_lost > 0 => Some(format!(
            "`sealdrop client resume {file} --repair` has lost copies replaced"
        )),
        FileState::Incomplete | FileState::Failed | FileState::UnderWay | FileState::Abandoned => {
            Some(format!("`sealdrop client resume {file}` goes on with it"))
        }
        FileState::Kept => None,
    }
}

fn file_text(shown: &Shown, placement: &Placement, view: &FileView, places: &[FileSource]) -> String {
    let mut lines = vec![
        format!("File: {}", view.file),
        format!("Name: {} ({} bytes)", escaped(&view.name), view.size),
        format!("State: {}", view.progress.state.name()),
        format!(
            "Copies: {}, {} under way, {} lost; {} FIL committed",
            copies_text(&view.progress),
            view.progress.copies_under_way,
            view.progress.copies_lost,
            view.progress.committed
        ),
    ];
    lines.push(format!("Until: block {}", view.ends));
    if let Some(encryption) = &view.encryption {
        let to = match &shown.keys {
            _ if encryption.passphrase => "with a passphrase".to_owned(),
            Some(keys) => format!("to {}", keys.readers.join(", ")),
            None => format!("to {} recipients", encryption.recipients),
        };
        lines.push(format!("Encrypted: {to}; {} bytes before", encryption.plain_size));
    }
    if let Some(reason) = &view.stopped {
        lines.push(format!("Stopped: {reason}"));
    }
    lines.extend(advice(view, places).map(|advice| format!("Next: {advice}")));
    for file in shown.manifest.files() {
        lines.push(format!("Data: {}  {}", file.root(), escaped(file.path().as_str())));
    }
    for (index, piece) in PieceView::all(placement).iter().enumerate() {
        let copies = piece.copies.iter().map(|copy| {
            let state = json!(copy.state);
            format!("{} {}", copy.miner, state.as_str().unwrap_or_default())
        });
        let copies: Vec<String> = copies.collect();
        let number = index.saturating_add(1);
        lines.push(format!("Piece {number}: {}  {}", piece.piece_cid, copies.join(", ")));
    }
    lines.join("\n")
}

/// A file that was gone on with, as it is printed.
pub(super) fn resumed(session: &Session, placement: &Placement) -> Result<Value, CommandError> {
    let stored = files::get(session, &placement.file().id)?;
    Ok(Shown::of(&session.book, stored)?.json(placement, &FileView::of(placement)))
}

/// The files of the session's chain that something is left to do for, unless their user gave them up or their time is over.
pub(super) async fn open_files(session: &Session) -> Result<Vec<String>, CommandError> {
    let height = session.chain.head().await?.height;
    let mut open = Vec::new();
    for id in session.book.file_ids()? {
        let Some(stored) = session.book.find_file(&id)? else {
            continue;
        };
        if stored.record.genesis != session.genesis() || stored.record.is_abandoned() {
            continue;
        }
        let progress = FileProgress::of(&files::placed(&session.book, &stored)?);
        let is_over = stored.record.is_over(height) && progress.copies_under_way == 0;
        if progress.copies_kept < progress.copies_wanted && !is_over {
            open.push(id);
        }
    }
    Ok(open)
}

/// What a retrieval of a file of several pieces is given.
pub(super) struct Retrieving<'a> {
    pub name: &'a str,
    pub output: PathBuf,
    pub miner: Option<&'a Address>,
    /// First and last byte.
    pub range: Option<(u64, u64)>,
    pub opening: &'a Opening,
}

/// Brings a file or folder back; false when the name is none of a file with a manifest.
pub(super) async fn retrieve(session: &Session, wanted: Retrieving<'_>, output: Output) -> Result<bool, CommandError> {
    let Retrieving {
        name,
        output: path,
        miner,
        range,
        opening,
    } = wanted;
    let Some(found) = retrieving::find(session, name, miner, opening).await? else {
        return Ok(false);
    };
    let to_stdout = path.as_os_str() == "-";
    let back = match range {
        Some((first, last)) => {
            let range = first..last.saturating_add(1);
            retrieving::retrieve_range(session, &found, range, path, miner).await?
        }
        None => retrieving::retrieve(session, &found, path, miner).await?,
    };
    session.report.step(format!(
        "{} bytes in {} files, checked{}",
        back.size,
        back.files,
        decrypted(back.decrypted)
    ));
    if !output.is_json() || to_stdout {
        return Ok(true);
    }
    let data = back.data_cid.map(|data| data.to_string());
    let mut shown = json!({
        "file": back.id,
        "dataCid": data,
        "size": back.size,
        "files": back.files,
        "decrypted": back.decrypted,
    });
    put_path(&mut shown, "path", &back.path);
    say(shown)?;
    Ok(true)
}

fn decrypted(is_so: bool) -> &'static str {
    if is_so {
        " and decrypted"
    } else {
        ""
    }
}

/// First and last byte, as in `curl --range`.
pub(super) fn parse_range(text: &str) -> Result<(u64, u64), String> {
    let wrong = || format!("{text:?} is not FIRST-LAST, two numbers of bytes counted from 0, such as 0-499");
    let (first, last) = text.split_once('-').ok_or_else(wrong)?;
    let (first, last): (u64, u64) = first.parse().ok().zip(last.parse().ok()).ok_or_else(wrong)?;
    match first <= last {
        true => Ok((first, last)),
        false => Err(format!("{text:?} ends before it begins; give the lower number first")),
    }
}

pub async fn watch(context: &CommandContext, arguments: Watch) -> Result<(), CommandError> {
    let session = context.session().await?;
    let chosen = match &arguments.file {
        Some(name) => vec![files::get(&session, name)?.record.id],
        None => files_of(&session)?,
    };
    let watching = Watching {
        session: &session,
        chosen: &chosen,
        until: arguments.until,
        output: context.output,
    };
    if arguments.once {
        let missed = watching.drill_all(true).await?;
        return match missed.saturating_add(watching.not_kept().await?) {
            0 => Ok(()),
            wrong => Err(CommandError::NotKept(wrong)),
        };
    }
    loop {
        // Whatever hinders one turn, such as a chain that is away, may be over at the next.
        if let Err(error) = watching.drill_all(false).await {
            console::stderr(&escaped(&error.to_string()));
        }
        let Some(due) = drills::due_ms(&session, &chosen)? else {
            console::stderr("the book has no file of several deals: there is nothing to watch");
            return Ok(());
        };
        // Also when nothing is kept yet: that is looked at again in a while.
        let pause = due.saturating_sub(now_ms()).max(WATCH_PAUSE_MS);
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
}

/// Shortest pause between two looks for a drill that is due, in milliseconds.
const WATCH_PAUSE_MS: u64 = 10_000;

fn files_of(session: &Session) -> Result<Vec<String>, CommandError> {
    let ids = session.book.file_ids()?;
    Ok(ids.into_iter().filter(|id| files::get(session, id).is_ok()).collect())
}

struct Watching<'a> {
    session: &'a Session,
    chosen: &'a [String],
    until: Until,
    output: Output,
}

impl Watching<'_> {
    /// Fetches a copy of each file whose drill is due, or of each; how many did not come back. What hinders one file does not hinder the
    /// others, and is the error in the end.
    async fn drill_all(&self, now: bool) -> Result<usize, CommandError> {
        let (mut missed, mut failure) = (0usize, None);
        for id in self.chosen {
            let due = drills::due_ms(self.session, std::slice::from_ref(id))?;
            if !now && due.is_some_and(|due| due > now_ms()) {
                continue;
            }
            match drills::drill(self.session, id, self.until).await {
                Ok(None) if now => self
                    .session
                    .report
                    .note(format!("file {id}: there is no copy to fetch")),
                Ok(None) => {}
                Ok(Some(drilled)) => {
                    missed = missed.saturating_add(usize::from(drilled.verdict != DrillVerdict::Kept));
                    tell_drill(&drilled, self.output)?;
                }
                Err(error) => {
                    console::stderr(&escaped(&format!("file {id}: {error}")));
                    failure = Some(error);
                }
            }
        }
        failure.map_or(Ok(missed), |error| Err(error.into()))
    }

    /// How many of the files are not kept as they were ordered, and nothing is under way for them; says of each why.
    async fn not_kept(&self) -> Result<usize, CommandError> {
        let height = self.session.chain.head().await?.height;
        let mut wrong = 0usize;
        for id in self.chosen {
            let placement = files::placed(&self.session.book, &files::get(self.session, id)?)?;
            let view = FileView::of(&placement).at(height);
            let state = view.progress.state;
            if matches!(state, FileState::Kept | FileState::UnderWay) {
                continue;
            }
            wrong = wrong.saturating_add(1);
            let reason = view.stopped.as_ref().map(|reason| format!(": {reason}"));
            let next = advice(&view, &[]).unwrap_or_default();
            let (state, reason) = (state.name(), reason.unwrap_or_default());
            self.session
                .report
                .note(format!("file {id} is {state}{reason}; {next}"));
        }
        Ok(wrong)
    }
}

fn tell_drill(drilled: &drills::Drilled, output: Output) -> Result<(), CommandError> {
    let (verdict, strikes) = match drilled.verdict {
        DrillVerdict::Kept => ("kept", 0),
        DrillVerdict::Doubtful { strikes } => ("doubtful", strikes),
        DrillVerdict::Lost => ("lost", shared::client::files::drills::STRIKES),
    };
    let shown = json!({
        "file": drilled.file,
        "dataCid": drilled.data,
        "miner": drilled.miner,
        "verdict": verdict,
        "strikes": strikes,
        "reason": drilled.reason,
    });
    output.show(&shown, || {
        let reason = drilled.reason.as_ref().map(|reason| format!(": {reason}"));
        let (miner, data) = (&drilled.miner, &drilled.data);
        format!("{miner}  {data}  {verdict}{}", reason.unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_its_first_and_its_last_byte() {
        assert_eq!(parse_range("0-499"), Ok((0, 499)));
        assert_eq!(parse_range("7-7"), Ok((7, 7)));
        for wrong in ["", "-5", "5-", "7-6", "a-b", "1-2-3", "-"] {
            assert!(parse_range(wrong).is_err(), "{wrong}");
        }
    }
}
