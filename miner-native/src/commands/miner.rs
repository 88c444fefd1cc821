//! `sealdrop miner`: registering a miner, its offer, and what the chain says of it (spec §6.2).
//!
//! The daemon registers its own miner; `create` is for one that this wallet owns. `set-price` goes through the running
//! daemon when it is about the daemon's miner: the price holds from the block in which the ask is, and not before.

mod offer;
mod register;

use super::error::CommandError;
use super::gas::Sending;
use super::output::{columns, with_fields, Output};
use super::sending::Sender;
use super::target::{DaemonPort, Target};
use clap::{Args, Subcommand};
use libp2p::PeerId;
use sealdrop_miner::chain_access::ChainAccess;
use sealdrop_miner::operator::MinerStatus;
use serde_json::{json, Map, Value};
use shared::chain::abi::Abi;
use shared::chain::view::MinerView;
use shared::chain::{calls, Address, BytesAmount};

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    port: DaemonPort,
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what the running daemon's miner is doing: its sectors and deals
    Status,
    /// Register a miner owned by the wallet's account; prints its address
    Create(register::Create),
    /// Offer storage at a price, for as long as the offer stands
    SetPrice(offer::SetPrice),
    /// Print who owns a miner
    Owner(Of),
    /// Print whose key signs for a miner
    Worker(Of),
    /// Name another worker; sent by the miner's owner
    SetWorker {
        /// Who signs for the miner from then on
        worker: Address,
        /// The miner [default: this node's]
        #[arg(long, value_name = "ADDRESS")]
        miner: Option<Address>,
        #[command(flatten)]
        sending: Sending,
    },
    /// Name another libp2p host for a miner; sent by its worker
    UpdatePeerid {
        /// The miner
        miner: Address,
        /// The host's peer id
        peer_id: PeerId,
        #[command(flatten)]
        sending: Sending,
    },
    /// Print a miner's proven bytes and those of the whole network
    Power(Of),
    /// Print how much FIL a miner's sectors lock up
    Collateral(Of),
    /// Show when a miner's next proof is due, and for which sectors
    ProvingWindow(Of),
}

#[derive(Debug, Args)]
struct Of {
    /// The miner [default: this node's]
    miner: Option<Address>,
}

/// Where a command of this group works: the node, its daemon, the form of the result.
struct Place {
    target: Target,
    port: DaemonPort,
    output: Output,
}

/// Runs one command on a miner.
pub async fn run(arguments: Arguments) -> Result<(), CommandError> {
    let Arguments {
        target,
        port,
        output,
        command,
    } = arguments;
    let place = Place { target, port, output };
    match command {
        Command::Status => {
            let status = place.target.operator(&place.port)?.status().await?;
            place.output.show(&status, || described(&status))?;
            Ok(())
        }
        Command::Create(create) => register::create(&place, create).await,
        Command::SetPrice(set) => offer::set_price(&place, set).await,
        Command::Owner(of) => place.show(of, "owner", |miner| miner.owner.to_string()).await,
        Command::Worker(of) => place.show(of, "worker", |miner| miner.worker.to_string()).await,
        Command::Collateral(of) => place.show(of, "collateral", |miner| miner.collateral.to_string()).await,
        Command::SetWorker { worker, miner, sending } => {
            let (_, view) = place.view(miner).await?;
            let sender = Sender::open(&place.target, &sending, Some(&view.owner)).await?;
            let call = calls::change_worker(&view.address, &worker);
            sender.perform(&place.target, call, place.output).await
        }
        Command::UpdatePeerid {
            miner,
            peer_id,
            sending,
        } => {
            let (_, view) = place.view(Some(miner)).await?;
            let sender = Sender::open(&place.target, &sending, Some(&view.worker)).await?;
            let call = calls::update_peer_id(&view.address, &peer_id.to_bytes());
            sender.perform(&place.target, call, place.output).await
        }
        Command::Power(of) => power(&place, of).await,
        Command::ProvingWindow(of) => proving_window(&place, of).await,
    }
}

impl Place {
    /// The miner as the chain shows it, and the way to that chain.
    async fn view(&self, miner: Option<Address>) -> Result<(ChainAccess, MinerView), CommandError> {
        let address = match miner {
            Some(address) => address,
            None => self.target.own_miner(&self.port).await?,
        };
        let chain = self.target.chain().await?;
        let view = chain.miner(&address).await?;
        let view = view.ok_or(CommandError::UnknownMiner { miner: address })?;
        Ok((chain, view))
    }

    /// Prints one fact of a miner.
    async fn show(&self, of: Of, name: &str, fact: impl Fn(&MinerView) -> String) -> Result<(), CommandError> {
        let (_, view) = self.view(of.miner).await?;
        let fact = fact(&view);
        let value = with_fields(json!({ "miner": view.address }), [(name, json!(fact))]);
        self.output.show(&value, || fact)?;
        Ok(())
    }
}

async fn power(place: &Place, of: Of) -> Result<(), CommandError> {
    let (chain, view) = place.view(of.miner).await?;
    let market = Address::id(Address::STORAGE_MARKET);
    let returns = chain.ask(&calls::read(&market, "getTotalStorage")).await?;
    let total = returns.first().map(|value| BytesAmount::from_abi(value));
    let Some(Ok(total)) = total else {
        return Err(CommandError::Strange {
            method: "getTotalStorage",
        });
    };
    let value = json!({ "miner": view.address, "power": view.power, "total": total });
    place.output.show(&value, || format!("{} / {total}", view.power))?;
    Ok(())
}

async fn proving_window(place: &Place, of: Of) -> Result<(), CommandError> {
    let (_, view) = place.view(of.miner).await?;
    let proving: Vec<_> = view.sectors.iter().filter(|sector| sector.in_proving_set).collect();
    let mut set = Map::<String, Value>::new();
    for sector in &proving {
        let commitments = json!({ "commD": sector.comm_d, "commR": sector.comm_r, "commRStar": sector.comm_r_star });
        set.insert(sector.id.to_string(), commitments);
    }
    // A miner that never committed a sector has no window yet; 0 to 0 was the original's way to say so (spec §5.3.6).
    let (start, end) = view
        .proving_window
        .map_or((0, 0), |window| (window.start.0, window.end.0));
    let value = json!({ "miner": view.address, "start": start, "end": end, "provingSet": set });
    place.output.show(&value, || {
        let ids: Vec<String> = proving.iter().map(|sector| sector.id.to_string()).collect();
        columns([
            ["Start:".to_owned(), start.to_string()],
            ["End:".to_owned(), end.to_string()],
            [
                "ProvingSet:".to_owned(),
                if ids.is_empty() { "none".into() } else { ids.join(", ") },
            ],
        ])
    })?;
    Ok(())
}

fn described(status: &MinerStatus) -> String {
    let deals: Vec<String> = status
        .deals
        .iter()
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    let mut rows = vec![
        ["miner".to_owned(), status.address.to_string()],
        ["peer".to_owned(), status.peer_id.clone()],
        ["price".to_owned(), format!("{} FIL per byte per block", status.price)],
        [
            "takes deals".to_owned(),
            if status.mining { "yes" } else { "no" }.to_owned(),
        ],
        ["height".to_owned(), status.height.to_string()],
        ["earned".to_owned(), format!("{} FIL", status.earned)],
        [
            "deals".to_owned(),
            if deals.is_empty() {
                "none".into()
            } else {
                deals.join(", ")
            },
        ],
    ];
    rows.extend(status.sectors.iter().map(|sector| {
        let error = sector.last_error.as_ref();
        let error = error.map(|error| format!(" (last error: {error})")).unwrap_or_default();
        let pieces = sector.pieces.len();
        // A phase is a word in JSON.
        let phase = json!(sector.phase);
        let phase = phase.as_str().unwrap_or_default();
        [
            format!("sector {}", sector.id),
            format!("{phase}, {pieces} piece(s){error}"),
        ]
    }));
    columns(rows)
}
