//! `client list-asks`, `miners`, `deals`, `query-storage-deal`, `explain` and `verify-storage-deal`: questions, and their answers.

use super::CommandContext;
use crate::client::checking::{self, Answer};
use crate::client::miner_offers::{self, offers, Offer};
use crate::client::proofs::{Outcome, Proofs};
use crate::client::verifying;
use crate::client::{explaining, ClientError, Record};
use crate::commands::error::CommandError;
use crate::commands::explain::described;
use crate::commands::output::{columns, put_path, say, with_fields};
use clap::Args;
use sealdrop_miner::console;
use serde_json::{json, Map, Value};
use shared::chain::view::MinerView;
use shared::chain::{Address, Epoch};
use shared::client::{MinerAnswer, Says};
use shared::deal::verification::{Check, Trust, Verdict, Verification};
use shared::piece::SectorSize;

#[derive(Debug, Args)]
pub struct ListAsks {
    /// Those that no longer stand, too
    #[arg(long)]
    expired: bool,
}

#[derive(Debug, Args)]
pub struct Query {
    /// The deal's id
    deal: String,
    /// Ask this miner about a deal that is not in the book
    #[arg(long, value_name = "ADDRESS")]
    miner: Option<Address>,
}

#[derive(Debug, Args)]
pub struct Explain {
    /// The deal's id, or the CID of its data
    deal: String,
}

#[derive(Debug, Args)]
pub struct Verify {
    /// The deal's id, or the CID of its data
    deal: String,
}

/// A peer's words, fit for a terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

pub async fn list_asks(context: &CommandContext, arguments: ListAsks) -> Result<(), CommandError> {
    let chain = context.target.chain().await?;
    let (miners, head) = (chain.miners().await?, chain.head().await?);
    let offers = offers(&miners, head.height, arguments.expired);
    context.output.show(&json!({ "asks": offers }), || {
        offers.iter().map(Offer::to_string).collect::<Vec<_>>().join("\n")
    })?;
    Ok(())
}

pub async fn miners(context: &CommandContext) -> Result<(), CommandError> {
    let session = context.session().await?;
    let chain = &session.chain;
    let miners = chain.miners().await.map_err(ClientError::chain)?;
    let height = chain.head().await.map_err(ClientError::chain)?.height;
    let answers = miner_offers::answers(&session, &miners, height).await;
    let listed: Vec<_> = miners.iter().zip(&answers).collect();
    if context.output.is_json() {
        let list: Vec<Value> = listed
            .iter()
            .map(|(miner, answer)| miner_json(miner, answer, height))
            .collect();
        say(Value::Array(list))?;
        return Ok(());
    }
    if miners.is_empty() {
        console::stderr("the network has no miner");
    }
    if !listed.is_empty() {
        say(columns(
            listed.iter().map(|(miner, answer)| miner_row(miner, answer, height)),
        ))?;
    }
    Ok(())
}

/// What a miner is and says, in columns; its answer is the last.
fn miner_row(miner: &MinerView, answer: &MinerAnswer, height: Epoch) -> [String; 7] {
    let price = miner.standing_ask(height).map_or("no offer".to_owned(), |ask| {
        format!("{} FIL per byte and block", ask.price)
    });
    let sectors = match SectorSize::from_bytes(miner.sector_size) {
        Ok(size) => format!("{size} sectors"),
        Err(_) => format!("sectors of {} bytes", miner.sector_size),
    };
    let room = answer.room.map(|room| format!("room for {room} bytes"));
    let distance = answer.distance_ms.map(|distance| format!("{distance} ms away"));
    let takes = match answer.says {
        Says::Yes => "takes deals".to_owned(),
        Says::No => {
            let code = answer.code.unwrap_or_default();
            format!("takes none: {} (code {code})", printable(&answer.reason))
        }
        Says::Silent => format!("does not answer: {}", printable(&answer.reason)),
        Says::Unasked => "does not say whether it takes deals".to_owned(),
    };
    [
        miner.address.to_string(),
        format!("{sectors}, up to {} bytes a file", miner.usable_bytes),
        price,
        format!("proven power {}", miner.power),
        room.unwrap_or_else(|| "room unknown".to_owned()),
        distance.unwrap_or_else(|| "distance unknown".to_owned()),
        takes,
    ]
}

fn miner_json(miner: &MinerView, answer: &MinerAnswer, height: Epoch) -> Value {
    let takes = match answer.says {
        Says::Yes => json!({ "now": true }),
        Says::No => {
            let MinerAnswer {
                code, reason, retry_ms, ..
            } = answer;
            json!({ "now": false, "code": code, "message": reason, "retryMs": retry_ms })
        }
        Says::Silent | Says::Unasked => Value::Null,
    };
    let price = json!(miner.standing_ask(height).map(|ask| ask.price));
    with_fields(
        json!(miner),
        [("price", price), ("takesDeals", takes), ("answer", json!(answer))],
    )
}

pub fn deals(context: &CommandContext) -> Result<(), CommandError> {
    let (mut listed, mut any, mut said) = (Vec::new(), false, Ok(()));
    context.book()?.each(|record| {
        any = true;
        if context.output.is_json() {
            listed.push(listed_json(&record));
        } else if said.is_ok() {
            let (name, state, size) = (record.name(), record.state(), record.deal.draft.size);
            said = say(format!("{name}  {state:<12}  {size:>12}  {}", record.file.name()));
        }
    })?;
    said?;
    if context.output.is_json() {
        say(Value::Array(listed))?;
    } else if !any {
        console::stderr("the book is empty; `sealdrop client store FILE` makes the first deal");
    }
    Ok(())
}

pub(super) fn deal_json(record: &Record) -> Value {
    json!({
        "deal": record.name(),
        "dataCid": record.data_cid().to_string(),
        "pieceCid": record.piece_cid(),
        "miner": record.deal.draft.miner,
        "state": record.state(),
    })
}

fn listed_json(record: &Record) -> Value {
    let draft = &record.deal.draft;
    let fields = [
        ("size", json!(record.deal.draft.size)),
        ("createdAt", json!(record.created_ms)),
        ("duration", json!(draft.duration)),
        ("total", json!(draft.total())),
    ];
    let mut listed = with_fields(deal_json(record), fields);
    if let Some(file) = &record.part_of {
        listed = with_fields(listed, [("partOf", json!(file))]);
    }
    put_path(&mut listed, "file", &record.file.facts.path);
    match &record.deal.stage {
        shared::deal::ClientStage::Failed { reason, .. } => {
            let fields = [("reason", json!(reason)), ("refund", json!(record.refund()))];
            with_fields(listed, fields)
        }
        _ => listed,
    }
}

pub async fn query(context: &CommandContext, arguments: Query) -> Result<(), CommandError> {
    let session = context.session().await?;
    let answer = checking::query(&session, &arguments.deal, arguments.miner.as_ref()).await?;
    context.output.show(&answer_json(&answer), || answer_text(&answer))?;
    Ok(())
}

pub async fn explain(context: &CommandContext, arguments: Explain) -> Result<(), CommandError> {
    let record = context.book()?.get(&arguments.deal)?;
    let session = match context.session().await {
        Ok(session) => Ok(session),
        // What is known here is told all the same.
        Err(CommandError::Client(ClientError::ChainAway { reason, .. })) => Err(reason),
        Err(error) => return Err(error),
    };
    let told = explaining::explain(session.as_ref().map_err(String::as_str), &record).await?;
    context.output.show(&told, || described(&told))?;
    Ok(())
}

fn answer_text(answer: &Answer) -> String {
    let response = &answer.response.response;
    let mut text = format!("Status: {}\nMessage: {}", response.state, printable(&response.message));
    if let Some(proof) = &response.proof_info {
        text.push_str(&format!(
            "\nSector: {}\nCommD: {}\nCommR: {}\nCommRStar: {}\nCommitmentMessage: {}",
            proof.sector_id, proof.comm_d, proof.comm_r, proof.comm_r_star, proof.commitment_message
        ));
    }
    text
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

pub async fn verify(context: &CommandContext, arguments: Verify) -> Result<(), CommandError> {
    let session = context.session().await?;
    let record = session.book.get(&arguments.deal)?;
    let (verified, proofs) = verifying::verify(&session, &record).await?;
    let judged = verifying::judge(&verified, &proofs, &record.name());
    context
        .output
        .show(&verified_json(&record, &verified, &proofs, judged.is_ok()), || {
            format!("{}\n{}", verified_text(&verified), proofs_text(&proofs))
        })?;
    Ok(judged?)
}

fn verified_json(record: &Record, verified: &Verification, proofs: &Proofs, ok: bool) -> Value {
    let check = |check: &Check| {
        let ok = check.verdict == Verdict::Holds;
        let mut found = Map::from_iter([
            ("ok".to_owned(), json!(ok)),
            ("verdict".to_owned(), json!(check.verdict)),
            ("detail".to_owned(), json!(check.detail)),
        ]);
        // What holds whatever the chain says leans on nothing.
        found.extend(check.basis.iter().map(|basis| ("basis".to_owned(), json!(basis))));
        Value::Object(found)
    };
    json!({
        "deal": record.name(),
        "ok": ok,
        "inclusion": check(&verified.inclusion),
        "commitMessage": check(&verified.commit_message),
        "commitments": check(&verified.commitments),
        "actor": check(&verified.actor),
        "proven": check(&verified.proven),
        "proofs": proofs,
    })
}

/// A line for each proof: what was checked here, and what only the chain says.
fn proofs_text(proofs: &Proofs) -> String {
    let line = |name: String, outcome: &Outcome| match outcome {
        Outcome::Holds { milliseconds, key } => {
            let key = key.get(..16).unwrap_or(key);
            format!("✓ {name}: checked here in {milliseconds:.1} ms, under the verifying key {key}…")
        }
        Outcome::Fails { detail } => format!("✗ {name}: checked here, and refused: {detail}"),
        Outcome::Claimed { detail } => format!("– {name}: claimed by the chain, not checked here: {detail}"),
    };
    let mut lines = vec![line("seal proof".into(), &proofs.seal)];
    lines.extend(proofs.posts.iter().map(|post| {
        let name = match post.sectors {
            0 => format!("proof-of-spacetime in block {}", post.height),
            1 => format!("proof-of-spacetime in block {} over 1 sector", post.height),
            sectors => format!("proof-of-spacetime in block {} over {sectors} sectors", post.height),
        };
        line(name, &post.outcome)
    }));
    lines.join("\n")
}

fn verified_text(verified: &Verification) -> String {
    let line = |(name, check): (&str, &Check)| {
        let mark = match check.verdict {
            Verdict::Holds => "✓",
            Verdict::Pending => "…",
            Verdict::Over => "–",
            Verdict::Fails => "✗",
        };
        let basis = check.basis.as_ref().map_or(String::new(), |basis| match basis.trust {
            Trust::Checked => format!("\n    checked here: {}", basis.detail),
            Trust::Claimed => format!("\n    claimed by the chain's endpoint: {}", basis.detail),
            Trust::Wrong => "\n    the chain's endpoint is not to be believed".to_owned(),
        });
        format!("{mark} {name}: {}{basis}", check.detail)
    };
    verified.checks().into_iter().map(line).collect::<Vec<_>>().join("\n")
}
