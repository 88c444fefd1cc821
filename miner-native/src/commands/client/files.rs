//! `client import`, `cat` and `retrieve`: files in, and back out.

use super::CommandContext;
use crate::client::destination::Destination;
use crate::client::fetching::{self, Fetched};
use crate::client::imports::{self, Imports};
use crate::client::{ClientError, Report, Session};
use crate::commands::error::CommandError;
use crate::commands::output::{put_path, Output};
use cid::Cid;
use clap::Args;
use serde_json::json;
use shared::chain::Address;
use shared::piece::PieceCid;
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
    /// The deal's id, or the CID of its data
    deal: String,
    /// Where to put it; `-` is the standard output
    #[arg(short, long, value_name = "PATH")]
    output: PathBuf,
    /// Ask this miner
    #[arg(long, value_name = "ADDRESS")]
    miner: Option<Address>,
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
    let Retrieve { deal, output, miner } = arguments;
    let to = Destination::at(output)?;
    let session = context.session().await?;
    let fetched = fetching::retrieve(&session, &deal, miner.as_ref(), &to).await?;
    tell(&session, &fetched, &to, context.output)
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
