//! `sealdrop miner`: what a running miner is doing, asked of its web listener.

use crate::operator::HEADER;
use anyhow::{bail, Context, Result};
use clap::{Args, Subcommand};
use serde_json::Value;

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Port of the daemon's web page
    #[arg(long, value_name = "PORT", default_value_t = 4400, global = true)]
    web_port: u16,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show sectors and deals
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Seal what is staged now instead of waiting for more pieces
    SealNow,
}

/// Asks the daemon.
pub fn run(arguments: Arguments) -> Result<()> {
    let base = format!("http://127.0.0.1:{}", arguments.web_port);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match arguments.command {
            Command::Status { json } => status(&base, json).await,
            Command::SealNow => seal_now(&base).await,
        }
    })
}

fn client() -> Result<reqwest::Client> {
    Ok(reqwest::Client::builder().no_proxy().build()?)
}

async fn status(base: &str, json: bool) -> Result<()> {
    let answer = client()?.get(format!("{base}/api/miner/status")).send().await;
    let answer = answer.with_context(|| format!("no daemon answers at {base}; start one with `sealdrop daemon`"))?;
    let status: Value = answer.json().await.context("the daemon's answer is not JSON")?;
    if json {
        println!("{}", serde_json::to_string_pretty(&status)?);
        return Ok(());
    }
    let text = |key: &str| status[key].as_str().unwrap_or("-").to_owned();
    println!(
        "miner    {}\npeer     {}\nprice    {} FIL per byte per block",
        text("address"),
        text("peerId"),
        text("price")
    );
    println!("height   {}", status["height"]);
    if let Some(deals) = status["deals"].as_object() {
        let counts: Vec<String> = deals.iter().map(|(state, count)| format!("{count} {state}")).collect();
        println!("deals    {}", counts.join(", "));
    }
    for sector in status["sectors"].as_array().into_iter().flatten() {
        let pieces = sector["pieces"].as_array().map_or(0, Vec::len);
        let phase = sector["phase"].as_str().unwrap_or("?");
        let error = sector["lastError"]
            .as_str()
            .map(|error| format!(" (last error: {error})"))
            .unwrap_or_default();
        println!("sector {:<4} {phase}, {pieces} piece(s){error}", sector["id"]);
    }
    Ok(())
}

async fn seal_now(base: &str) -> Result<()> {
    let asked = client()?
        .post(format!("{base}/api/miner/seal-now"))
        .header(HEADER, "1")
        .send()
        .await;
    let answer = asked.with_context(|| format!("no daemon answers at {base}; start one with `sealdrop daemon`"))?;
    if !answer.status().is_success() {
        bail!("the daemon refused: {}", answer.status());
    }
    println!("What is staged is being sealed");
    Ok(())
}
