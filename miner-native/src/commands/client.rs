//! `sealdrop client …`: the storage client of the terminal. What it does is in [`crate::client`]; here are its options
//! and its output. Results go to the standard output, everything else to the standard error.

use crate::client::carry::Until;
use crate::client::checking::{self, Answer, Verification};
use crate::client::fetching::{self, Destination};
use crate::client::refund;
use crate::client::storing::{self, Order, DEFAULT_DURATION};
use crate::client::{Book, ClientError, Record, Report, Session, DEFAULT_CHAIN};
use crate::home::Home;
use anyhow::Result;
use clap::{Args, Subcommand};
use futures::StreamExt;
use serde_json::{json, Value};
use shared::chain::view::MinerView;
use shared::chain::{Address, Epoch};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Deals that are resumed at the same time, at most.
const AT_ONCE: usize = 16;

/// Prints a line of a result. A reader that has heard enough, such as `head`, is no error.
macro_rules! say {
    ($($part:tt)*) => { drop(writeln!(io::stdout(), $($part)*)) };
}

/// Store files with a miner, bring them back, and check that they are kept
#[derive(Debug, Args)]
pub struct Arguments {
    /// Where data is kept [default: ~/.sealdrop]
    #[arg(long, value_name = "DIR", env = "SEALDROP_HOME", global = true)]
    home: Option<PathBuf>,
    /// The chain's endpoint
    #[arg(long, value_name = "URL", env = "SEALDROP_CHAIN", default_value = DEFAULT_CHAIN, global = true)]
    chain: String,
    /// Print the result as JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a deal of a file and see it through; the last line is the deal's id
    Store {
        /// The file
        file: PathBuf,
        /// The miner to store it with [default: the cheapest that takes it]
        #[arg(long, value_name = "ADDRESS")]
        miner: Option<Address>,
        /// How long to store it, in blocks
        #[arg(long, value_name = "BLOCKS", default_value_t = DEFAULT_DURATION)]
        duration: u64,
        /// When to end
        #[arg(long, value_enum, default_value_t = Until::Complete)]
        until: Until,
    },
    /// Bring a deal's file back, checked
    Retrieve {
        /// The deal's id, or the CID of its data
        deal: String,
        /// Where to put it; `-` is the standard output
        #[arg(short, long, value_name = "PATH")]
        output: PathBuf,
        /// Ask this miner
        #[arg(long, value_name = "ADDRESS")]
        miner: Option<Address>,
    },
    /// Ask the miner how a deal stands
    Query {
        /// The deal's id
        deal: String,
        /// Ask this miner about a deal that is not in the book
        #[arg(long, value_name = "ADDRESS")]
        miner: Option<Address>,
    },
    /// List the deals in the book, the newest first
    Deals,
    /// Check a complete deal against the chain
    Verify {
        /// The deal's id, or the CID of its data
        deal: String,
    },
    /// Go on with deals that were left unfinished
    Resume {
        /// The deal's id [default: all]
        deal: Option<String>,
        /// When to end
        #[arg(long, value_enum, default_value_t = Until::Complete)]
        until: Until,
    },
    /// List the miners of the network with their offers
    Miners,
}

/// Runs one client command.
pub fn run(arguments: Arguments) -> Result<()> {
    let dir = Home::open(arguments.home.clone())?.client();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(perform(arguments, &dir));
    // A read that is stuck must not keep the program from ending.
    runtime.shutdown_background();
    // Its text holds the causes already.
    done.map_err(|error| anyhow::Error::msg(error.to_string()))
}

async fn perform(arguments: Arguments, dir: &Path) -> Result<(), ClientError> {
    let Arguments {
        chain, json, command, ..
    } = arguments;
    let open = |report| Session::open(dir, &chain, report);
    match command {
        Command::Store {
            file,
            miner,
            duration,
            until,
        } => {
            let session = open(Report::new()).await?;
            let order = Order { miner, duration, until };
            let record = storing::store(&session, &file, &order).await?;
            print_deal(&record, json);
            Ok(())
        }
        Command::Retrieve { deal, output, miner } => {
            let session = open(Report::new()).await?;
            retrieve(&session, &deal, &output, miner.as_ref(), json).await
        }
        Command::Query { deal, miner } => {
            let session = open(Report::new()).await?;
            let answers = checking::query(&session, &deal, miner.as_ref()).await?;
            print_answers(&answers, json);
            Ok(())
        }
        Command::Deals => {
            print_deals(&Book::open(dir)?.all()?, json);
            Ok(())
        }
        Command::Verify { deal } => {
            let session = open(Report::new()).await?;
            let record = session.book.get(&deal)?;
            let verification = checking::verify(&session, &record).await?;
            print_verification(&record, &verification, json);
            judge(&record, &verification)
        }
        Command::Resume { deal, until } => {
            let session = open(Report::new()).await?;
            resume(&session, deal.as_deref(), until, json).await
        }
        Command::Miners => {
            let session = open(Report::new()).await?;
            let miners = session.chain.miners().await?;
            let height = session.chain.head().await?.height;
            print_miners(&miners, height, json);
            Ok(())
        }
    }
}

async fn retrieve(
    session: &Session,
    deal: &str,
    output: &Path,
    miner: Option<&Address>,
    json: bool,
) -> Result<(), ClientError> {
    let to = match output.to_str() {
        Some("-") => Destination::Stdout,
        _ => Destination::File(output.to_owned()),
    };
    let fetched = fetching::retrieve(session, deal, miner, &to).await?;
    let (size, data) = (fetched.size, fetched.data_cid);
    session.report.step(format!("{size} bytes, checked against {data}"));
    // With the file itself on the standard output, nothing else goes there.
    if let (true, Destination::File(path)) = (json, &to) {
        let miner = &fetched.miner;
        say!(
            "{}",
            json!({ "dataCid": data.to_string(), "size": size, "miner": miner, "path": path })
        );
    }
    Ok(())
}

async fn resume(session: &Session, deal: Option<&str>, until: Until, json: bool) -> Result<(), ClientError> {
    let records = match deal {
        Some(name) => vec![session.book.get(name)?],
        None => session.book.all()?,
    };
    let wanted = |record: &Record| match deal {
        Some(_) => true,
        None => record.genesis == session.genesis() && is_open(record, until),
    };
    let wanted: Vec<Record> = records.into_iter().filter(wanted).collect();
    // A failed deal cannot be carried on; what is left of it is its channel.
    let (failed, records): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|record| refund::due(record).is_some());
    for record in &failed {
        refund::go_on(session, record).await?;
    }
    let label = records.len() > 1;
    let work = records.iter().map(|record| async move {
        let outcome = storing::resume(session, record, until, label).await;
        (record, outcome)
    });
    let outcomes: Vec<_> = futures::stream::iter(work).buffered(AT_ONCE).collect().await;
    let all = outcomes.len();
    let mut errors = Vec::new();
    for (record, outcome) in outcomes {
        match outcome {
            Ok(record) => print_deal(&record, json),
            Err(error) if all == 1 => return Err(error),
            Err(error) => {
                eprintln!("{}: {error}", record.file.name());
                errors.push(error);
            }
        }
    }
    match errors.len() {
        0 => Ok(()),
        failed => Err(ClientError::SomeFailed { failed, all }),
    }
}

/// Whether a command that goes on until `until` has anything to do for a deal
fn is_open(record: &Record, until: Until) -> bool {
    let unproven = until == Until::Proven && record.state() == "complete";
    !record.is_finished() || unproven || refund::due(record).is_some()
}

fn judge(record: &Record, verification: &Verification) -> Result<(), ClientError> {
    let failed = verification.failed();
    if failed.is_empty() {
        return Ok(());
    }
    Err(ClientError::NotVerified {
        deal: record.name(),
        failed: failed.join(", "),
    })
}

fn print_deal(record: &Record, json: bool) {
    match json {
        true => say!("{}", deal_json(record)),
        false => say!("{}", record.name()),
    }
}

fn deal_json(record: &Record) -> Value {
    json!({
        "deal": record.name(),
        "dataCid": record.data_cid().to_string(),
        "pieceCid": record.piece_cid(),
        "miner": record.deal.draft.miner,
        "state": record.state(),
    })
}

fn print_deals(records: &[Record], json: bool) {
    if json {
        let list: Vec<Value> = records.iter().map(listed_json).collect();
        say!("{}", Value::Array(list));
        return;
    }
    if records.is_empty() {
        eprintln!("the book is empty; `sealdrop client store FILE` makes the first deal");
    }
    for record in records {
        let (name, state, size) = (record.name(), record.state(), record.file.size);
        say!("{name}  {state:<12}  {size:>12}  {}", record.file.name());
    }
}

fn listed_json(record: &Record) -> Value {
    let draft = &record.deal.draft;
    let mut listed = deal_json(record);
    listed["file"] = json!(record.file.path);
    listed["size"] = json!(record.file.size);
    listed["createdAt"] = json!(record.created_ms);
    listed["duration"] = json!(draft.duration);
    listed["total"] = json!(draft.total());
    if let shared::deal::ClientStage::Failed { reason, .. } = &record.deal.stage {
        listed["reason"] = json!(reason);
    }
    listed
}

fn print_answers(answers: &[Answer], json: bool) {
    for answer in answers {
        let response = &answer.response.response;
        let (deal, miner, state) = (&answer.deal, &answer.miner, response.state);
        if json {
            say!("{}", answer_json(answer));
            continue;
        }
        let said = response.message.chars().filter(|c| !c.is_control()).take(200);
        let message: String = said.collect();
        say!("{deal}  {miner}  {state}  {message}");
        if let Some(proof) = &response.proof_info {
            say!("  sector {}", proof.sector_id);
            say!("  commD {}", proof.comm_d);
            say!("  commR {}", proof.comm_r);
            say!("  commRStar {}", proof.comm_r_star);
            say!("  commitSector {}", proof.commitment_message);
        }
    }
}

fn answer_json(answer: &Answer) -> Value {
    let response = &answer.response.response;
    let proof = response.proof_info.as_ref().map(|proof| {
        json!({
            "sectorId": proof.sector_id,
            "commD": proof.comm_d,
            "commR": proof.comm_r,
            "commRStar": proof.comm_r_star,
            "commitmentMessage": proof.commitment_message.to_string(),
            "pieceInclusionProof": proof.piece_inclusion_proof.as_ref().map(|bytes| hex::encode(&bytes.0)),
        })
    });
    json!({
        "deal": answer.deal.to_string(),
        "miner": answer.miner,
        "state": response.state.name(),
        "message": response.message,
        "proof": proof,
    })
}

fn print_verification(record: &Record, verification: &Verification, json: bool) {
    if json {
        let mut value = json!(verification);
        value["deal"] = json!(record.name());
        value["ok"] = json!(verification.failed().is_empty());
        say!("{value}");
        return;
    }
    for (name, check) in verification.checks() {
        let mark = if check.ok { "✓" } else { "✗" };
        say!("{mark} {name}: {}", check.detail);
    }
}

fn print_miners(miners: &[MinerView], height: Epoch, json: bool) {
    if json {
        let list: Vec<Value> = miners.iter().map(|miner| miner_json(miner, height)).collect();
        say!("{}", Value::Array(list));
        return;
    }
    if miners.is_empty() {
        eprintln!("the network has no miner");
    }
    for miner in miners {
        let price = miner.standing_ask(height).map_or("no offer".to_owned(), |ask| {
            format!("{} FIL per byte and block", ask.price)
        });
        let (address, usable, power) = (&miner.address, miner.usable_bytes, miner.power);
        say!("{address}  up to {usable} bytes a file  {price}  proven power {power}");
    }
}

fn miner_json(miner: &MinerView, height: Epoch) -> Value {
    let mut value = json!(miner);
    value["price"] = json!(miner.standing_ask(height).map(|ask| ask.price));
    value
}
