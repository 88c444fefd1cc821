//! `client import`, `cat` and `retrieve`: files in, and back out.

use super::keys::OpeningArguments;
use super::{whole, CommandContext};
use crate::client::destination::Destination;
use crate::client::fetching::{self, Fetched};
use crate::client::files::decrypting::Opening;
use crate::client::imports::{self, Imports};
use crate::client::{proven_range, ClientError, Report, Session};
use crate::commands::error::CommandError;
use crate::commands::output::{put_path, Output};
use cid::Cid;
use clap::Args;
use serde_json::json;
use shared::chain::Address;
use shared::piece::{PieceCid, PieceName, PieceSize};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Import {
    /// The file; `-` is the standard input
    file: PathBuf,
    /// Keep a copy, so that the file itself may change or go
    #[arg(long)]
    copy: bool,
}

#[derive(Debug, Args)]
pub struct Cat {
    /// The data's CID
    data: Cid,
}

#[derive(Debug, Args)]
pub struct Retrieve {
    /// The file's id, the deal's id, or the CID of its data
    #[arg(required_unless_present = "piece")]
    file: Option<String>,
    /// A piece by its piece CID, from the HTTP of any miner: no chain is asked, and the bytes are checked against the CID
    #[arg(long, value_name = "PIECE_CID", requires = "from",
        conflicts_with_all = ["file", "miner", "identity", "raw", "passphrase", "passphrase_file", "passphrase_env"])]
    piece: Option<PieceName>,
    /// Where that miner's HTTP is, as http://host:port
    #[arg(long, value_name = "URL", requires = "piece", value_parser = parse_url)]
    from: Option<String>,
    /// Bytes of the piece, where its piece CID is of version 1 (baga6ea4seaq…) and does not say so
    #[arg(long, value_name = "BYTES", requires = "piece", value_parser = parse_size)]
    size: Option<PieceSize>,
    /// Where to put it: a file, or of a folder the folder that its files go below; `-` is the standard output
    #[arg(short, long, value_name = "PATH")]
    output: PathBuf,
    /// Ask this miner
    #[arg(long, value_name = "ADDRESS")]
    miner: Option<Address>,
    /// Only these bytes of a piece, or of a file that was stored in pieces; the last one included
    #[arg(long, value_name = "FIRST-LAST", value_parser = whole::parse_range)]
    range: Option<(u64, u64)>,
    #[command(flatten)]
    opening: OpeningArguments,
}

pub async fn import(context: &CommandContext, arguments: Import) -> Result<(), CommandError> {
    let (imports, report) = (Imports::open(&context.target.home()?.client())?, Report::new());
    let import = match arguments.file.to_str() {
        Some("-") => imports.add_stream(std::io::stdin(), &report).await?,
        _ => imports.add(&arguments.file, arguments.copy, &report).await?,
    };
    let imports::Import { file, names } = &import;
    let data = names.data_cid.to_string();
    let mut shown = json!({
        "dataCid": data,
        "pieceCid": PieceCid(names.comm_p),
        "size": file.size,
    });
    put_path(&mut shown, "path", &file.path);
    context.output.show(&shown, || data.clone())?;
    Ok(())
}

pub async fn cat(context: &CommandContext, arguments: Cat) -> Result<(), CommandError> {
    let (data, report) = (arguments.data, Report::new());
    let imports = Imports::open(&context.target.home()?.client())?;
    if let Some(import) = imports.find(&data)? {
        match import.write_out(&report).await {
            Ok(()) => return Ok(()),
            // A miner may still have it.
            Err(
                error @ (ClientError::ImportChanged { .. }
                | ClientError::File {
                    action: "open" | "read",
                    ..
                }),
            ) => {
                report.note(error.to_string());
            }
            Err(error) => return Err(error.into()),
        }
    }
    let session = context.session().await?;
    fetching::retrieve(&session, &data.to_string(), None, &Destination::stdout()).await?;
    Ok(())
}

pub async fn retrieve(context: &CommandContext, arguments: Retrieve) -> Result<(), CommandError> {
    let Retrieve {
        file,
        piece,
        from,
        size,
        output,
        miner,
        range,
        opening,
    } = arguments;
    if let (Some(name), Some(from)) = (piece, &from) {
        let wanted = proven_range::Wanted {
            name,
            size,
            range,
            from,
        };
        return retrieve_piece(context, &wanted, output).await;
    }
    // The options see to it that there is one of the two.
    let file = file.unwrap_or_default();
    let opening = opening.opening()?;
    let session = context.session().await?;
    let wanted = whole::Retrieving {
        name: &file,
        output: output.clone(),
        miner: miner.as_ref(),
        range,
        opening: &opening,
    };
    if whole::retrieve(&session, wanted, context.output).await? {
        return Ok(());
    }
    if range.is_some() {
        let reason = "a range can be had of a file that was stored in pieces; retrieve this one as a whole".to_owned();
        return Err(ClientError::Range { reason }.into());
    }
    let record = session.book.find(&file)?;
    let whole = record.filter(|record| record.file.key.is_some());
    if let Some(whole) = whole.and_then(|record| record.part_of) {
        session.report.note(format!(
            "this is a part of an encrypted file, as it is stored; `sealdrop client retrieve {whole}` brings back what was encrypted"
        ));
    } else if !matches!(opening, Opening::Own | Opening::Raw) {
        session
            .report
            .note("it comes as it is stored: keys are of use where a file's id is given");
    }
    let to = Destination::at(output)?;
    let fetched = fetching::retrieve(&session, &file, miner.as_ref(), &to).await?;
    tell(&session, &fetched, &to, context.output)
}

async fn retrieve_piece(
    context: &CommandContext,
    wanted: &proven_range::Wanted<'_>,
    output: PathBuf,
) -> Result<(), CommandError> {
    let (to, report) = (Destination::at(output)?, Report::new());
    let came = proven_range::retrieve(wanted, &to, &report).await?;
    let size = came.bytes.end.saturating_sub(came.bytes.start);
    report.step(format!("{size} bytes, checked against {}", came.piece));
    let (true, Some(path)) = (context.output.is_json(), to.path()) else {
        return Ok(());
    };
    let mut shown = json!({ "pieceCid": came.piece.to_string(), "offset": came.bytes.start, "size": size });
    put_path(&mut shown, "path", path);
    context.output.show(&shown, String::new)?;
    Ok(())
}

fn parse_url(text: &str) -> Result<String, String> {
    match text.starts_with("http://") || text.starts_with("https://") {
        true => Ok(text.to_owned()),
        false => Err("give it as http://host:port or https://host:port".to_owned()),
    }
}

fn parse_size(text: &str) -> Result<PieceSize, String> {
    let bytes: u64 = text.parse().map_err(|_| "give a number of bytes".to_owned())?;
    PieceSize::new(bytes).map_err(|error| error.to_string())
}

/// Tells what came back.
pub(in crate::commands) fn tell(
    session: &Session,
    fetched: &Fetched,
    to: &Destination,
    output: Output,
) -> Result<(), CommandError> {
    let (size, data) = (fetched.size, fetched.data_cid);
    session.report.step(format!("{size} bytes, checked against {data}"));
    // With the file itself on the standard output, nothing else goes there.
    let (true, Some(path)) = (output.is_json(), to.path()) else {
        return Ok(());
    };
    let mut shown = json!({ "dataCid": data.to_string(), "size": size, "miner": fetched.miner });
    put_path(&mut shown, "path", path);
    output.show(&shown, String::new)
}
