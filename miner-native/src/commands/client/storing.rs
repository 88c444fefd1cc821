//! `client store`, `propose-storage-deal`, `resume`, `retry` and `abandon`: deals made and carried on.

use super::asking::deal_json;
use super::keys::EncryptionArguments;
use super::{whole, CommandContext};
use crate::client::cli_host::Until;
use crate::client::files as whole_files;
use crate::client::files::encrypting::Readers;
use crate::client::imports::Imports;
use crate::client::proposing::Order;
use crate::client::storing::{self, DEFAULT_DURATION};
use crate::client::{refund, ClientError, Record, Session};
use crate::commands::error::CommandError;
use crate::commands::output::{say, Output};
use crate::terminal::escaped;
use cid::multibase::{self, Base};
use cid::Cid;
use clap::Args;
use futures::StreamExt;
use sealdrop_miner::console;
use serde_json::{json, Value};
use shared::chain::{Address, AttoFil};
use shared::client::files::{FileOrder, MinerChoice};
use shared::client::MinerRule;
use shared::deal::SignedResponse;
use std::path::PathBuf;
use std::sync::mpsc;

/// Deals that are resumed at the same time, at most.
const AT_ONCE: usize = 16;
#[derive(Debug, Args)]
pub struct Store {
    /// Files and folders; `-` alone is the standard input, of which a copy is kept
    #[arg(required = true, value_name = "PATH")]
    files: Vec<PathBuf>,
    /// The miner to store it with [default: by the rule]
    #[arg(long, value_name = "ADDRESS")]
    miner: Option<Address>,
    /// How to choose a miner among those that take the file: cheapest, nearest, or spread over all
    #[arg(long, value_name = "RULE", default_value = MinerRule::Cheapest.name(), conflicts_with = "miner")]
    miner_rule: MinerRule,
    /// How long to store it, in blocks
    #[arg(long, value_name = "BLOCKS", default_value_t = DEFAULT_DURATION)]
    duration: u64,
    /// When to end
    #[arg(long, value_enum, default_value_t = Until::Complete)]
    until: Until,
    /// Make another deal of data that the miner stores already
    #[arg(long)]
    allow_duplicates: bool,
    /// Miners that keep each piece, all different
    #[arg(long, value_name = "NUMBER", default_value_t = 1, conflicts_with = "miner")]
    copies: u32,
    /// FIL that all deals may cost together; miners that ask more are not asked
    #[arg(long, value_name = "FIL")]
    most: Option<AttoFil>,
    /// Have miners keep the list of pieces, too, so that the file's id is all that is needed to get it back
    #[arg(long)]
    with_manifest: bool,
    /// Replace copies that `watch` finds to be lost, within --most
    #[arg(long)]
    repair: bool,
    /// What it is called [default: the name of the file or folder, or of several `files`]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    encryption: EncryptionArguments,
}

#[derive(Debug, Args)]
pub struct Propose {
    /// The miner
    miner: Address,
    /// The CID of imported data
    data: Cid,
    /// The id of the miner's ask, as list-asks prints it
    ask: u64,
    /// How long to store it, in blocks
    duration: u64,
    /// Make another deal of data that the miner stores already
    #[arg(long)]
    allow_duplicates: bool,
    /// When to end; before `staged` nobody serves the data
    #[arg(long, value_enum, default_value_t = Until::Staged)]
    until: Until,
}

#[derive(Debug, Args)]
pub struct Resume {
    /// The id of the deal or file [default: all]
    deal: Option<String>,
    /// When to end
    #[arg(long, value_enum, default_value_t = Until::Complete)]
    until: Until,
    /// Wait until the money of failed deals is back, too
    #[arg(long)]
    follow: bool,
    /// Have lost copies of the file replaced, now and from now on
    #[arg(long, requires = "deal")]
    repair: bool,
}

#[derive(Debug, Args)]
pub struct Retry {
    /// The deal's id
    deal: String,
    /// FIL that it may cost [default: the limit that it was made with]
    #[arg(long, value_name = "FIL")]
    most: Option<AttoFil>,
    /// When to end
    #[arg(long, value_enum, default_value_t = Until::Complete)]
    until: Until,
}

#[derive(Debug, Args)]
pub struct Abandon {
    /// The id of the deal or file
    deal: String,
}

/// What the standard input is called where it needs a name.
const NAME_OF_STDIN: &str = "stdin";

pub async fn store(context: &CommandContext, arguments: Store) -> Result<(), CommandError> {
    let readers = arguments.encryption.readers()?;
    let session = context.session().await?;
    if readers.is_some() {
        return store_encrypted(context, &session, arguments, readers).await;
    }
    let order = Order {
        miner: arguments.miner.clone(),
        rule: arguments.miner_rule,
        ask: None,
        duration: arguments.duration,
        allow_duplicates: arguments.allow_duplicates,
        most: arguments.most,
        until: arguments.until,
    };
    let record = match arguments.files.as_slice() {
        [one] if one.as_os_str() == "-" => {
            let imports = Imports::open(&context.target.home()?.client())?;
            let import = imports.add_stream(std::io::stdin(), &session.report).await?;
            let path = import.file.path.clone();
            let is_one = whole_files::is_one_deal(&session, &path, &arguments.order()).await?;
            if arguments.name.is_some() || !is_one {
                let wanted = whole_files::Wanted {
                    paths: vec![path],
                    order: arguments.order(),
                    name: arguments.name.or_else(|| Some(NAME_OF_STDIN.to_owned())),
                    until: arguments.until,
                    readers: None,
                };
                return whole::store(&session, &wanted, context.output).await;
            }
            storing::propose(&session, import.piece(), &order, |_| {}).await?
        }
        // What has a name of its own has a manifest that says it.
        [one] if arguments.name.is_none() && whole_files::is_one_deal(&session, one, &arguments.order()).await? => {
            storing::store(&session, one, &order).await?
        }
        _ => {
            let order = arguments.order();
            let wanted = whole_files::Wanted {
                paths: arguments.files,
                name: arguments.name,
                order,
                until: arguments.until,
                readers: None,
            };
            return whole::store(&session, &wanted, context.output).await;
        }
    };
    match context.output.is_json() {
        true => say(whole::fields_of_one_deal(deal_json(&record), &record)),
        false => say(record.name()),
    }
}

/// What is encrypted has a manifest, however small it is: its name is hidden there.
async fn store_encrypted(
    context: &CommandContext,
    session: &Session,
    arguments: Store,
    readers: Option<Readers>,
) -> Result<(), CommandError> {
    let order = arguments.order();
    let (paths, name) = match arguments.files.as_slice() {
        [one] if one.as_os_str() == "-" => {
            let imports = Imports::open(&context.target.home()?.client())?;
            let import = imports.add_stream(std::io::stdin(), &session.report).await?;
            let name = arguments.name.unwrap_or_else(|| NAME_OF_STDIN.to_owned());
            (vec![import.file.path], Some(name))
        }
        _ => (arguments.files, arguments.name),
    };
    if !context.output.is_json() {
        let key = match &readers {
            Some(Readers::Passphrase(_)) => "passphrase",
            _ => "recipients' identities",
        };
        session.report.note(format!(
            "it is encrypted: whoever loses the {key} loses the files, and nobody can get them back. This book opens them, too, as long as it is there"
        ));
        if !order.with_manifest {
            session.report.note(
                "elsewhere, the file's id is needed with it, and the list of pieces: --with-manifest has miners keep that list, too",
            );
        }
    }
    let wanted = whole_files::Wanted {
        paths,
        name,
        order,
        until: arguments.until,
        readers,
    };
    whole::store(session, &wanted, context.output).await
}

impl Store {
    fn order(&self) -> FileOrder {
        FileOrder {
            copies: self.copies,
            miner: match &self.miner {
                Some(miner) => MinerChoice::Named(miner.clone()),
                None => MinerChoice::Rule(self.miner_rule),
            },
            duration: self.duration,
            most: self.most,
            repair: self.repair,
            with_manifest: self.with_manifest,
            allow_duplicates: self.allow_duplicates,
        }
    }
}

pub async fn propose(context: &CommandContext, arguments: Propose) -> Result<(), CommandError> {
    let imports = Imports::open(&context.target.home()?.client())?;
    let data = arguments.data;
    let import = imports.find(&data)?.ok_or(ClientError::NotImported { data })?;
    let session = context.session().await?;
    let order = Order {
        miner: Some(arguments.miner),
        rule: MinerRule::default(),
        ask: Some(arguments.ask),
        duration: arguments.duration,
        allow_duplicates: arguments.allow_duplicates,
        most: None,
        until: arguments.until,
    };
    let output = context.output;
    let (printed, outcome) = mpsc::channel();
    // Printed as soon as the miner has accepted: the transfer may take long. The deal goes on whether it can be read or not.
    let accepted = move |record: &Record| {
        if let Some(response) = record.deal.response() {
            let shown = output.show(&response_json(response), || response_text(response));
            // It is heard below.
            let _ = printed.send(shown);
        }
    };
    storing::propose(&session, import.piece(), &order, accepted).await?;
    outcome.into_iter().collect()
}

fn response_text(signed: &SignedResponse) -> String {
    let response = &signed.response;
    let message = super::asking::printable(&response.message);
    format!(
        "State:   {}\nMessage: {message}\nDealID:  {}",
        response.state, response.proposal_cid
    )
}

/// The fields that the tools of 2019 printed (spec §1.4, §6.1).
fn response_json(signed: &SignedResponse) -> Value {
    let response = &signed.response;
    let link = |cid: &Cid| json!({ "/": cid.to_string() });
    let base64 = |bytes: &[u8]| multibase::encode(Base::Base64Pad, bytes).split_off(1);
    let proof = response.proof_info.as_ref().map(|proof| {
        json!({
            "SectorID": proof.sector_id,
            "CommD": base64(&proof.comm_d.0),
            "CommR": base64(&proof.comm_r.0),
            "CommRStar": base64(&proof.comm_r_star.0),
            "CommitmentMessage": link(&proof.commitment_message),
            "PieceInclusionProof": proof.piece_inclusion_proof.as_ref().map(|bytes| base64(&bytes.0)),
        })
    });
    json!({
        "State": response.state as u8,
        "Message": response.message,
        "ProposalCid": link(&response.proposal_cid),
        "ProofInfo": proof,
        "Signature": base64(&signed.signature.0),
    })
}

pub async fn resume(context: &CommandContext, arguments: Resume) -> Result<(), CommandError> {
    let (session, output) = (context.session().await?, context.output);
    let Resume {
        deal,
        until,
        follow,
        repair,
    } = arguments;
    let Some(name) = deal else {
        return resume_all(&session, until, follow, output).await;
    };
    if let Some(file) = session.book.find_file(&name)? {
        let placement = whole_files::resume(&session, &file.record.id, repair, until).await?;
        return whole::print_stored(&session, &placement, output);
    }
    if repair {
        return Err(ClientError::UnknownFile(name.chars().take(80).collect()).into());
    }
    let deals = Resumed::of(&session, vec![session.book.get(&name)?], until).await?;
    deals.done.iter().try_for_each(|record| print_deal(record, output))?;
    deals.finish(&session, follow).await
}

/// Goes on with all files and deals that something is left to do for. What hinders one does not hinder the others.
async fn resume_all(session: &Session, until: Until, follow: bool, output: Output) -> Result<(), CommandError> {
    let files = whole::open_files(session).await?;
    let (mut failure, mut shown) = (None, Vec::new());
    for file in &files {
        match whole_files::resume(session, file, false, until).await {
            Ok(placement) if output.is_json() => shown.push(whole::resumed(session, &placement)?),
            Ok(_) => say(file)?,
            Err(error) => {
                console::stderr(&escaped(&format!("{file}: {error}")));
                failure = Some(error.into());
            }
        }
    }
    // The deals of open files were carried on with them; the money of those that failed is taken back here.
    let of_file = |record: &Record| {
        let carried = record.part_of.as_ref().is_some_and(|file| files.contains(file));
        carried && !(record.is_failed() && record.is_refunding())
    };
    let mut records = session.book.open_deals(session.genesis())?;
    records.retain(|record| is_open(record, until) && !of_file(record));
    let deals = Resumed::of(session, records, until).await?;
    match output.is_json() {
        // Whoever reads it gets one value, however much was gone on with.
        true => {
            let deals: Vec<Value> = deals.done.iter().map(deal_json).collect();
            say(json!({ "files": shown, "deals": deals }))?;
        }
        false => deals.done.iter().try_for_each(|record| print_deal(record, output))?,
    }
    deals.finish(session, follow).await?;
    failure.map_or(Ok(()), Err)
}

/// Deals that were gone on with.
struct Resumed {
    /// All of them: what is left of a failed one is its channel, and of one that was begun anew, those of the attempts before.
    all: Vec<Record>,
    /// Those that are as far as was wanted.
    done: Vec<Record>,
    failure: Option<ClientError>,
}

impl Resumed {
    async fn of(session: &Session, all: Vec<Record>, until: Until) -> Result<Self, CommandError> {
        // A failed deal cannot be carried on; what is left of it is its channel.
        let has_ended = |record: &&Record| record.is_failed() && record.is_refunding();
        let (failed, open): (Vec<&Record>, Vec<&Record>) = all.iter().partition(has_ended);
        for record in failed {
            refund::go_on(session, record).await?;
        }
        let (done, failure) = carry_on(session, &open, until).await;
        Ok(Self { all, done, failure })
    }

    async fn finish(self, session: &Session, follow: bool) -> Result<(), CommandError> {
        if let Some(error) = self.failure {
            return Err(error.into());
        }
        if follow {
            for record in &self.all {
                refund::follow(session, record).await?;
            }
        }
        Ok(())
    }
}

/// Carries deals on side by side: those that are as far as was wanted, and why others are not.
async fn carry_on(session: &Session, records: &[&Record], until: Until) -> (Vec<Record>, Option<ClientError>) {
    let label = records.len() > 1;
    let work = records.iter().map(|record| async move {
        let outcome = storing::resume(session, record, until, label).await;
        (record, outcome)
    });
    let outcomes: Vec<_> = futures::stream::iter(work).buffered(AT_ONCE).collect().await;
    let (all, mut failed, mut done) = (outcomes.len(), 0, Vec::new());
    let mut failure = None;
    for (record, outcome) in outcomes {
        match outcome {
            Ok(record) => done.push(record),
            Err(error) if all == 1 => failure = Some(error),
            Err(error) => {
                let line = format!("{}: {error}", record.file.name());
                console::stderr(&escaped(&line));
                failed += 1;
            }
        }
    }
    if failed > 0 {
        failure = Some(ClientError::SomeFailed { failed, all });
    }
    (done, failure)
}

/// Whether a command that goes on until `until` has anything to do for a deal
fn is_open(record: &Record, until: Until) -> bool {
    let unproven = until == Until::Proven && record.state() == "complete";
    !record.is_settled() || unproven || record.is_refunding()
}

pub async fn retry(context: &CommandContext, arguments: Retry) -> Result<(), CommandError> {
    let session = context.session().await?;
    let record = session.book.get(&arguments.deal)?;
    let record = storing::retry(&session, &record, arguments.most, arguments.until).await?;
    print_deal(&record, context.output)?;
    Ok(())
}

pub async fn abandon(context: &CommandContext, arguments: Abandon) -> Result<(), CommandError> {
    let session = context.session().await?;
    if let Some(file) = session.book.find_file(&arguments.deal)? {
        let placement = whole_files::abandon(&session, &file.record.id).await?;
        return whole::print_stored(&session, &placement, context.output);
    }
    let record = session.book.get(&arguments.deal)?;
    let record = storing::abandon(&session, &record).await?;
    print_deal(&record, context.output)
}

fn print_deal(record: &Record, output: Output) -> Result<(), CommandError> {
    match output.is_json() {
        true => say(deal_json(record)),
        false => say(record.name()),
    }
}
