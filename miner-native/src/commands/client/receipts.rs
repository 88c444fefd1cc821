//! `client receipt` and `client verify-receipt`: what shows a deal, in one file, and what it shows.

use super::CommandContext;
use crate::client::receipts;
use crate::commands::error::CommandError;
use crate::commands::output::{put_path, with_fields, Output};
use cid::Cid;
use clap::Args;
use serde_json::{json, Value};
use shared::client::passport::receipt::{EXTENSION, MAX_RECEIPT};
use shared::client::passport::{
    Conclusion, Inspection, Passport, Receipt, ReceiptError, StepReport, StepStanding, Viewpoint,
};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub struct MakeReceipt {
    /// The deal's id, or the CID of its data
    deal: String,
    /// Where to write it; without this, the deal's id with `.receipt` in the present directory
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct VerifyReceipt {
    /// The receipt's file
    file: PathBuf,
    /// Refuse a receipt of another network than the one with this genesis id
    #[arg(long, value_name = "ID")]
    genesis: Option<Cid>,
    /// Hash this file, too, and compare it with the piece of the receipt
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
}

pub async fn make(context: &CommandContext, arguments: MakeReceipt) -> Result<(), CommandError> {
    let session = context.session().await?;
    let record = session.book.get(&arguments.deal)?;
    let receipt = receipts::make(&session, &record).await?;
    let bytes = receipt.to_bytes();
    let path = arguments.output;
    let path = path.unwrap_or_else(|| format!("{}.{EXTENSION}", record.name()).into());
    write_new(&path, &bytes)?;
    let inspection = Inspection::open(&receipt).map_err(|error| refused(&path, error.into()))?;
    let own = Viewpoint {
        own: true,
        ..Viewpoint::default()
    };
    let passport = receipts::judge(&inspection, &own);
    let mut value = with_fields(
        passport_json(&passport),
        [("bytes", json!(bytes.len())), ("file", Value::Null)],
    );
    put_path(&mut value, "file", &path);
    context.output.show(&value, || {
        format!("{}\n{} has {} bytes", text(&passport), path.display(), bytes.len())
    })
}

/// Needs neither home nor chain.
pub fn verify(output: Output, arguments: &VerifyReceipt) -> Result<(), CommandError> {
    let path = &arguments.file;
    let receipt = Receipt::read(&read(path)?).map_err(|error| refused(path, error))?;
    if let Some(expected) = arguments.genesis.filter(|genesis| *genesis != receipt.genesis) {
        let found = receipt.genesis;
        return Err(CommandError::ReceiptOfOtherNetwork { expected, found });
    }
    let inspection = Inspection::open(&receipt).map_err(|error| refused(path, error.into()))?;
    let data = arguments.data.as_deref();
    let measured = data.map(|data| receipts::measure(data).map_err(|error| unread(data, error)));
    let view = Viewpoint {
        own: false,
        measured: measured.transpose()?,
        knows_network: arguments.genesis.is_some(),
    };
    let passport = receipts::judge(&inspection, &view);
    output.show(&passport_json(&passport), || text(&passport))?;
    match passport.conclusion {
        Conclusion::Holds => Ok(()),
        Conclusion::Undecided => Err(CommandError::ReceiptUndecided),
        Conclusion::Wrong => {
            let wrong = passport.standing(StepStanding::Wrong);
            let steps = wrong.iter().map(|step| step.number().to_string()).collect::<Vec<_>>();
            let steps = steps.join(", ");
            Err(CommandError::ReceiptWrong { steps })
        }
    }
}

fn refused(path: &Path, source: ReceiptError) -> CommandError {
    let path = path.to_owned();
    CommandError::NoReceipt { path, source }
}

fn unread(path: &Path, error: receipts::MeasureError) -> CommandError {
    let path = path.to_owned();
    match error {
        receipts::MeasureError::Read(source) => CommandError::File {
            action: "read",
            path,
            source,
        },
        receipts::MeasureError::Digest(error) => CommandError::Unusable(format!("{}: {error}", path.display())),
    }
}

/// A longer file than any receipt is not read to its end.
fn read(path: &Path) -> Result<Vec<u8>, CommandError> {
    let mut bytes = Vec::new();
    let most = u64::try_from(MAX_RECEIPT).unwrap_or(u64::MAX).saturating_add(1);
    let read = File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes));
    match read {
        Ok(_) => Ok(bytes),
        Err(source) => Err(CommandError::File {
            action: "read",
            path: path.to_owned(),
            source,
        }),
    }
}

/// What is there already is never replaced: a receipt made later may say less.
fn write_new(path: &Path, bytes: &[u8]) -> Result<(), CommandError> {
    let written = File::create_new(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(|source| CommandError::File {
        action: "write",
        path: path.to_owned(),
        source,
    })
}

fn passport_json(passport: &Passport) -> Value {
    let step = |report: &StepReport| {
        json!({
            "number": report.step.number(),
            "step": report.step,
            "standing": report.standing,
            "detail": report.detail,
            "because": report.because,
        })
    };
    json!({
        "deal": passport.deal,
        "genesis": passport.genesis,
        "network": passport.network,
        "verifyingKeys": passport.verifying_keys,
        "conclusion": passport.conclusion,
        "steps": passport.steps.iter().map(step).collect::<Vec<_>>(),
        "limits": passport.limits,
    })
}

fn text(passport: &Passport) -> String {
    let line = |report: &StepReport| {
        let mark = match report.standing {
            StepStanding::Checked => "✓",
            StepStanding::ClaimedByClient | StepStanding::ClaimedByMiner | StepStanding::ClaimedByChain => "–",
            StepStanding::NotYet => "…",
            StepStanding::Unchecked => "?",
            StepStanding::Wrong => "✗",
        };
        let (number, name, standing) = (report.step.number(), report.step.name(), report.standing.words());
        format!("{mark} {number:>2} {name}: {standing}: {}", report.detail)
    };
    let name = passport.network.as_deref().unwrap_or("not named");
    let deal = passport.deal.as_deref().unwrap_or("not readable");
    let mut lines = vec![
        format!("deal    {deal}"),
        format!("network {name}, genesis {}", passport.genesis),
        String::new(),
    ];
    lines.extend(passport.steps.iter().map(line));
    lines.push(String::new());
    lines.extend(passport.limits.iter().map(|limit| format!("• {limit}")));
    lines.join("\n")
}
