//! `sealdrop doctor`: whether everything that a miner needs is there, and whether clients reach it; with the daemon running or stopped.
//!
//! Each check gathers a fact and has it judged ([`finding`]); none changes anything, but that a file is written to the storage of several [`machines`] and
//! removed again. What one cannot see, another may: nothing ends
//! at the first fault. The addresses are those that the chain hands to clients, dialled from here (`sealdrop_miner::network::probe`); what other miners found is
//! asked of the daemon.

mod archive;
pub mod finding;
mod machines;

use super::error::CommandError;
use super::output::Output;
use super::target::{DaemonPort, Target};
use crate::configuration::{configured, Configuration, ConfigurationError, Options, Parts, PlaceOptions};
use crate::daemon::DaemonConfig;
use clap::Args;
use finding::{Finding, Level};
use futures::StreamExt;
use sealdrop_miner::chain_access::ChainAccess;
use sealdrop_miner::clock::now_ms;
use sealdrop_miner::data_dir::{DataDir, Identity};
use sealdrop_miner::descriptors;
use sealdrop_miner::machines::leads_here;
use sealdrop_miner::network::probe::Fault;
use sealdrop_miner::network::{self, PeerAddress};
use sealdrop_miner::operator::{AddressFault, AddressStatus, Health, Operator};
use sealdrop_miner::prover::{prover_size, SealingMemory};
use sealdrop_miner::storage_check::free_space_at;
use sealdrop_prover::params;
use serde_json::json;
use shared::chain::view::MinerView;
use shared::piece::SectorSize;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Addresses that are tried at once.
const AT_ONCE: usize = 8;
/// How long chain and daemon may take to answer.
const ANSWER: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    port: DaemonPort,
    /// Where proof parameters are kept [default: HOME/params]
    #[arg(long, value_name = "DIR", env = "SEALDROP_PARAMS")]
    params: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

/// Checks everything, prints what was found, and ends with [`shared::exit_code::UNWELL`] when something is wrong.
pub async fn run(arguments: Arguments) -> Result<(), CommandError> {
    let findings = examine(&arguments).await;
    let wrong = findings.iter().filter(|found| found.level == Level::Wrong).count();
    let value = json!({ "ok": wrong == 0, "findings": findings });
    arguments.output.show(&value, || {
        let lines = findings.iter().map(Finding::described);
        lines.collect::<Vec<_>>().join("\n")
    })?;
    match wrong {
        0 => Ok(()),
        count => Err(CommandError::Unwell(count)),
    }
}

async fn examine(arguments: &Arguments) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(descriptors::most().map(finding::descriptors));
    let home = match arguments.target.home() {
        Ok(home) => home,
        Err(error) => {
            found.push(Finding::wrong(
                "home",
                error.to_string(),
                "name another with --home DIR",
            ));
            return found;
        }
    };
    let said = match configuration(&home) {
        Ok(said) => Some(said),
        Err(error) => {
            found.push(Finding::wrong("configuration", error.to_string(), ""));
            None
        }
    };
    let shared = said
        .as_ref()
        .map(|said| said.options.database.clone())
        .unwrap_or_default();
    let has_sectors = machines::has_sectors(&shared, &home);
    let identity = on_disk(&home, arguments.params.clone(), has_sectors, &mut found);
    let size = identity.as_ref().map(|identity| identity.sector_size);
    let kept = said
        .as_ref()
        .map(|said| said.options.archive.clone())
        .unwrap_or_default();
    let leader = machines::examine(&shared, &home, (size, kept.archive.is_some()), &mut found).await;
    found.extend(archive::examine(kept).await);
    let of_home = OfHome {
        home: &home,
        said: said.as_ref(),
        size,
        leader,
    };
    let operator = daemon(arguments, &of_home, &mut found).await;
    let chain = chain(arguments, &mut found).await;
    // Nothing mines in a home that no daemon ever used.
    if identity.is_some() {
        if let Some(chain) = chain {
            miner(&home, &chain, operator.as_ref(), &mut found).await;
        }
    }
    found
}

/// What a daemon that starts in this home is told by its file, or the environment.
fn configuration(home: &DataDir) -> Result<Configuration, ConfigurationError> {
    let options = Options {
        place: PlaceOptions {
            home: Some(home.root().to_owned()),
        },
        ..Options::default()
    };
    let last = home.endpoints().ok().flatten().and_then(|endpoints| endpoints.config);
    // The last one's, unless it is gone or another is named now.
    let file = last
        .map(PathBuf::from)
        .filter(|file| std::env::var_os("SEALDROP_CONFIG").is_none() && !matches!(file.try_exists(), Ok(false)));
    Configuration::gather(options, file, |name| std::env::var_os(name))
}

/// Home, network, disk, parameters.
fn on_disk(home: &DataDir, params: Option<PathBuf>, has_sectors: bool, found: &mut Vec<Finding>) -> Option<Identity> {
    let root = home.root().display().to_string();
    let identity = match home.identity() {
        Ok(Some(identity)) => {
            found.push(Finding::ok("home", format!("{root} belongs to the network {identity}")));
            identity
        }
        Ok(None) => {
            let advice = "the first start of `sealdrop daemon` begins a network there";
            found.push(Finding::warning(
                "home",
                format!("{root} belongs to no network yet"),
                advice,
            ));
            return None;
        }
        Err(error) => {
            found.push(Finding::wrong("home", error.to_string(), "restore it from a backup"));
            return None;
        }
    };
    let params = params.unwrap_or_else(|| home.params());
    let size = identity.sector_size;
    found.extend(match has_sectors {
        true => room(home.root(), &params, size),
        false => {
            let are_there = has_parameters(&params, size);
            [
                free(home.root(), |place, free| finding::home_disk(place, free, are_there)),
                finding::parameters(&params, size, are_there),
            ]
        }
    });
    Some(identity)
}

/// Whether the disk has room for sectors of a size, and whether there are parameters for them.
pub fn room(home: &Path, params: &Path, size: SectorSize) -> [Finding; 2] {
    let are_there = has_parameters(params, size);
    [
        disk(home, size, are_there),
        finding::parameters(params, size, are_there),
    ]
}

fn has_parameters(params: &Path, size: SectorSize) -> bool {
    prover_size(size).is_ok_and(|size| params::are_installed(params, size))
}

/// Whether the disk has room for sectors of a size, and for their parameters where these are still to come.
pub fn disk(home: &Path, size: SectorSize, has_parameters: bool) -> Finding {
    free(home, |place, free| finding::disk(place, free, size, has_parameters))
}

/// Has judged how much is free where a folder lies.
fn free(folder: &Path, judge: impl FnOnce(&str, u64) -> Finding) -> Finding {
    let place = folder.display().to_string();
    match free_space_at(folder) {
        Ok(free) => judge(&place, free),
        Err(error) => {
            let text = format!("the disk of {place} does not say how much is free: {error}");
            Finding::wrong("disk", text, "check the folder's owner and permissions")
        }
    }
}

/// What is known of the home when its daemon is looked at.
struct OfHome<'a> {
    home: &'a DataDir,
    said: Option<&'a Configuration>,
    size: Option<SectorSize>,
    /// Which daemon leads, of several.
    leader: Option<String>,
}

/// Whether the daemon runs and is well; otherwise whether its ports are free, and whether it could seal.
async fn daemon(arguments: &Arguments, of_home: &OfHome<'_>, found: &mut Vec<Finding>) -> Option<Operator> {
    let OfHome { home, said, size, .. } = of_home;
    let leads_elsewhere = of_home.leader.as_deref().filter(|holder| !leads_here(holder));
    match (home.is_in_use(), leads_elsewhere) {
        (Ok(true), None) => {}
        (Ok(true), Some(holder)) => {
            let text = format!("it runs, and takes over when the daemon at {holder} stops or falls silent");
            found.push(Finding::ok("daemon", text));
            return None;
        }
        (Ok(false), _) => {
            let advice = "start it with `sealdrop daemon`";
            found.push(Finding::warning("daemon", "no daemon runs in this home", advice));
            found.extend(said.iter().flat_map(|said| ports(said)));
            found.extend(size.map(|size| finding::memory(size, SealingMemory::of_this_machine(size))));
            return None;
        }
        (Err(error), _) => {
            found.push(Finding::wrong("daemon", error.to_string(), "check the folder's owner"));
            return None;
        }
    }
    let operator = match arguments.target.operator(&arguments.port) {
        Ok(operator) => operator,
        Err(error) => {
            found.push(Finding::wrong("daemon", error.to_string(), "start it anew"));
            return None;
        }
    };
    match tokio::time::timeout(ANSWER, operator.health()).await {
        Ok(Ok(health)) => found.extend(of_health(&health)),
        Ok(Err(error)) => found.push(Finding::wrong("daemon", error.to_string(), "look into its log")),
        Err(_) => found.push(Finding::wrong(
            "daemon",
            "it runs and does not answer",
            "look into its log; start it anew",
        )),
    }
    Some(operator)
}

fn of_health(health: &Health) -> Vec<Finding> {
    if health.ok {
        let count = health.services.len();
        return vec![Finding::ok(
            "daemon",
            format!("it runs, and all of its {count} services are well"),
        )];
    }
    let wrong = |service: &str, text: &str| Finding::wrong("daemon", format!("{service}: {text}"), "its log says more");
    health
        .problems
        .iter()
        .map(|problem| wrong(&problem.service, &problem.text))
        .collect()
}

/// Whether a daemon that starts could listen where its configuration has it listen.
fn ports(said: &Configuration) -> Vec<Finding> {
    match configured(Parts::Miner, said) {
        Ok(config) => taken(&config),
        Err(error) => vec![Finding::wrong("configuration", error.to_string(), "")],
    }
}

/// The ports of a daemon that another program has.
pub fn taken(config: &DaemonConfig) -> Vec<Finding> {
    let of = |(option, address): (&str, SocketAddr)| {
        let error = TcpListener::bind(address).err()?;
        Some(finding::port(address, option, &error))
    };
    config.listens().into_iter().filter_map(of).collect()
}

/// Whether the chain answers, goes on, and agrees with this machine's clock.
async fn chain(arguments: &Arguments, found: &mut Vec<Finding>) -> Option<ChainAccess> {
    let asked = async {
        let chain = arguments.target.looked_at().await?;
        let head = chain.head().await?;
        Ok::<_, CommandError>((chain, head))
    };
    let unanswered = |text: String| {
        let advice =
            "start the chain's daemon, check the URL and the connection to it, or name another with --chain URL";
        Finding::wrong("chain", text, advice)
    };
    match tokio::time::timeout(ANSWER, asked).await {
        Ok(Ok((chain, head))) => {
            let network = chain.connected_network();
            found.push(Finding::ok(
                "chain",
                format!("{} serves the network {:?}", chain.url(), network.network),
            ));
            found.push(finding::clock(
                now_ms(),
                head.time_ms,
                network.block_time_ms,
                head.height.0,
            ));
            Some(chain)
        }
        Ok(Err(error)) => {
            found.push(unanswered(error.to_string()));
            None
        }
        Err(_) => {
            found.push(unanswered(format!("it does not answer within {} s", ANSWER.as_secs())));
            None
        }
    }
}

/// Whether the chain knows the miner by its host key, and whether clients reach it.
async fn miner(home: &DataDir, chain: &ChainAccess, operator: Option<&Operator>, found: &mut Vec<Finding>) {
    let key = home.miner().join("host.key");
    if !key.exists() && home.miner().join("store").exists() {
        let text = format!("{} is missing, and by it clients know the miner", key.display());
        let advice = "restore it from a backup; without one the next start makes another and tells the chain";
        found.push(Finding::wrong("host key", text, advice));
        return;
    }
    if !key.exists() {
        found.push(Finding::warning(
            "miner",
            "no miner ever ran in this home",
            "start one with `sealdrop daemon`",
        ));
        return;
    }
    let peer = match network::load_or_create(&key) {
        Ok(key) => key.public().to_peer_id().to_string(),
        Err(error) => {
            found.push(Finding::wrong("host key", error.to_string(), ""));
            return;
        }
    };
    let known = chain.miners().await;
    let view = match known.as_ref().map(|all| all.iter().find(|view| view.peer_id == peer)) {
        Ok(Some(view)) => view,
        Ok(None) => {
            let text = format!("the chain knows no miner with this home's peer id {peer}");
            found.push(Finding::wrong(
                "miner",
                text,
                "start the daemon, which registers it, or restore miner/host.key from a backup",
            ));
            return;
        }
        Err(error) => {
            found.push(Finding::wrong(
                "miner",
                error.to_string(),
                "ask again when the chain answers",
            ));
            return;
        }
    };
    found.push(Finding::ok("miner", format!("{} has the peer id {peer}", view.address)));
    addresses(view, chain, operator, found).await;
}

async fn addresses(view: &MinerView, chain: &ChainAccess, operator: Option<&Operator>, found: &mut Vec<Finding>) {
    let record = match chain.find_peer(&view.peer_id).await {
        Ok(Some(record)) => record,
        Ok(None) => {
            let advice = "start the daemon; it announces the miner to the chain's directory by itself";
            found.push(Finding::wrong(
                "reach",
                "the chain does not know where the miner is",
                advice,
            ));
            return;
        }
        Err(error) => {
            found.push(Finding::wrong("reach", error.to_string(), ""));
            return;
        }
    };
    let told = match operator {
        Some(operator) => operator
            .mining()
            .await
            .map(|status| status.addresses)
            .unwrap_or_default(),
        None => Vec::new(),
    };
    let tries = record
        .addresses()
        .iter()
        .filter_map(|bytes| PeerAddress::parse(bytes, &view.peer_id));
    let told = &told;
    let tried = tries.map(|address| async move {
        let mut status = AddressStatus::untried(address.to_string(), address.reach());
        status.outside = told
            .iter()
            .find(|known| known.address == status.address)
            .and_then(|known| known.outside.clone());
        match address.probe().await {
            Ok(took) => {
                status.answers = Some(true);
                status.took_ms = u64::try_from(took.as_millis()).ok();
            }
            Err(reason) => {
                status.answers = (reason.fault() != Fault::Untried).then_some(false);
                status.fault = Some(AddressFault::from(&reason));
            }
        }
        status
    });
    let statuses: Vec<AddressStatus> = futures::stream::iter(tried).buffered(AT_ONCE).collect().await;
    found.extend(statuses.iter().map(finding::address));
    found.push(finding::reach(&statuses));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ports_that_are_tried_are_those_of_the_homes_own_file() {
        let dir = tempfile::tempdir().expect("there is room for a directory");
        let home = DataDir::open(Some(dir.path().to_owned())).expect("it is a folder");
        let other = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = other.local_addr().expect("it listens").port();
        let write = |web: u16| {
            let free = "[chain]\nport = 0\n[p2p]\nport = 0\nwsPort = 0\n[http]\nport = 0\n";
            let text = format!("{free}[web]\nport = {web}\n");
            std::fs::write(dir.path().join("sealdrop.toml"), text).expect("there is room");
        };
        let tried = || ports(&configuration(&home).expect("the file is right"));
        write(0);
        assert!(tried().is_empty(), "{:?}", tried());
        write(port);
        let found = tried();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].described().contains(&format!("127.0.0.1:{port} (--web-port)")));
    }
}
