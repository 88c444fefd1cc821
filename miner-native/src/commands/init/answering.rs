//! From options and questions to answers: an option that is given is not asked for, and what neither says is as usual.

use super::asking::Terminal;
use super::checks::{self, Asked};
use super::plan::{Answers, Ports, Reach, Tls};
use super::settled::{role_name, Settled};
use super::{price, Arguments, InitError, Plan, RoleName};
use crate::commands::doctor::finding::Level;
use crate::commands::error::CommandError;
use crate::daemon::Role;
use sealdrop_miner::settings::Settings;
use shared::chain::AttoFil;
use shared::piece::SectorSize;
use std::path::PathBuf;
use std::time::Duration;

/// What is usual, as of a daemon without a configuration.
const SECTOR_SIZE: SectorSize = SectorSize::S8MiB;
const BLOCK_TIME: Duration = Duration::from_secs(1);

/// Without a word from anybody.
pub async fn by_options(
    given: &Arguments,
    home: PathBuf,
    file: PathBuf,
    settled: &Settled,
) -> Result<(Answers, Option<Asked>), CommandError> {
    let role = role(given, settled)?;
    let asked = ask_chain(&role).await;
    let size = given.sector_size.unwrap_or_else(|| usual_size(settled));
    settled.check_network(size, given.network.as_deref())?;
    let price = price(given, block_time(given, asked.as_ref()))?;
    let reach = given.reach.unwrap_or(Reach::ThisMachine);
    let answers = Answers {
        reach,
        price,
        ..base(given, home, file, settled, role, size)
    };
    check_names(&answers)?;
    Ok((answers, asked))
}

/// By what somebody in a terminal says to each question.
pub async fn by_questions(
    given: &Arguments,
    terminal: &Terminal,
    home: PathBuf,
    file: PathBuf,
    settled: &Settled,
) -> Result<(Answers, Option<Asked>), CommandError> {
    terminal.tell(&checks::home(&home, settled));
    let role = match given.role.is_some() || given.chain.is_some() || settled.has_role_for_good() {
        true => role(given, settled)?,
        false => terminal.role(settled)?,
    };
    settled.check_role(&role)?;
    check_flags(given, &role)?;
    let asked = ask_chain(&role).await;
    let fixed = given
        .sector_size
        .or(settled.identity.as_ref().map(|identity| identity.sector_size));
    let size = match (fixed, &role) {
        (Some(size), _) => size,
        // The numbers of a network are made for a size, also where nothing is sealed.
        (None, _) => {
            let params = given.params.clone().unwrap_or_else(|| home.join("params"));
            terminal.sector_size(SECTOR_SIZE, asked.as_ref(), |size| {
                let mut found = checks::machine(&role, &home, &params, size);
                if let (Role::Miner { chain }, Some(asked)) = (&role, &asked) {
                    found.insert(0, checks::joined(chain, asked, size));
                }
                found
            })?
        }
    };
    settled.check_network(size, given.network.as_deref())?;
    let block_time = block_time(given, asked.as_ref());
    let says_price = given.price.is_some() || given.price_per_gib_month.is_some() || role == Role::Chain;
    let price = match says_price {
        true => price(given, block_time)?,
        false => terminal.price(Settings::default().price, block_time)?,
    };
    let reach = match given.reach {
        Some(reach) => reach,
        None => terminal.reach()?,
    };
    let mut answers = Answers {
        reach,
        price,
        ..base(given, home, file, settled, role, size)
    };
    if answers.names.is_empty() && reach != Reach::ThisMachine {
        answers.names = terminal.names(reach)?;
    }
    if answers.tls.is_none() && reach == Reach::Internet {
        answers.tls = terminal.certificate()?;
    }
    check_names(&answers)?;
    loop {
        answers.ports = terminal.ports(answers.ports, &answers.role)?;
        if let Some(port) = answers.ports.shared(&answers.role) {
            terminal.say(&format!(
                "Two listeners cannot have the port {port}: give each its own."
            ));
            continue;
        }
        let ports = checks::ports(&Plan::of(&answers)?.config, settled);
        ports.iter().for_each(|found| terminal.tell(found));
        let are_free = ports
            .iter()
            .all(|found| found.level == Level::Ok || found.check != "port");
        if are_free || terminal.agrees("Keep these ports all the same?", false)? {
            return Ok((answers, asked));
        }
    }
}

/// What options and home say, with what is usual for the rest.
fn base(
    given: &Arguments,
    home: PathBuf,
    file: PathBuf,
    settled: &Settled,
    role: Role,
    sector_size: SectorSize,
) -> Answers {
    let ports = &given.ports;
    let name = settled.identity.as_ref().map(|identity| identity.network.clone());
    Answers {
        home,
        file,
        role,
        // A daemon is refused that says another name than its home's.
        network: given.network.clone().or(name),
        block_time: given.block_time,
        sector_size,
        price: Settings::default().price,
        reach: Reach::ThisMachine,
        names: given.name.clone(),
        ports: Ports {
            web: ports.web_port.unwrap_or(Ports::USUAL.web),
            p2p: ports.p2p_port.unwrap_or(Ports::USUAL.p2p),
            p2p_ws: ports.p2p_ws_port.unwrap_or(Ports::USUAL.p2p_ws),
            chain: ports.chain_port.unwrap_or(Ports::USUAL.chain),
            http: ports.http_port.unwrap_or(Ports::USUAL.http),
        },
        params: given.params.clone(),
        official_params: given.official_params,
        tls: given
            .tls_certificate
            .clone()
            .zip(given.tls_key.clone())
            .map(|(certificate, key)| Tls { certificate, key }),
    }
}

/// The role that the options name, or the home's, or the usual one.
fn role(given: &Arguments, settled: &Settled) -> Result<Role, InitError> {
    let role = match (given.role, &given.chain) {
        (None | Some(RoleName::Miner), Some(chain)) => Role::Miner { chain: chain.clone() },
        (Some(RoleName::Miner), None) => match settled.role() {
            Some(Role::Miner { chain }) => Role::Miner { chain },
            _ => return Err(InitError::NoChain),
        },
        (Some(RoleName::Chain), _) => Role::Chain,
        (Some(RoleName::ChainAndMiner), _) => Role::ChainAndMiner,
        (None, None) => settled.role().unwrap_or(Role::ChainAndMiner),
    };
    settled.check_role(&role)?;
    check_flags(given, &role)?;
    Ok(role)
}

/// Refuses what says nothing to a role: it must not go unnoticed.
fn check_flags(given: &Arguments, role: &Role) -> Result<(), InitError> {
    let (mines, makes_chain) = (*role != Role::Chain, !matches!(role, Role::Miner { .. }));
    let ports = &given.ports;
    let flags = [
        ("--chain", given.chain.is_some(), !makes_chain),
        ("--network", given.network.is_some(), makes_chain),
        ("--block-time", given.block_time.is_some(), makes_chain),
        ("--chain-port", ports.chain_port.is_some(), makes_chain),
        ("--price", given.price.is_some(), mines),
        ("--price-per-gib-month", given.price_per_gib_month.is_some(), mines),
        ("--web-port", ports.web_port.is_some(), mines),
        ("--p2p-port", ports.p2p_port.is_some(), mines),
        ("--p2p-ws-port", ports.p2p_ws_port.is_some(), mines),
        ("--http-port", ports.http_port.is_some(), mines),
    ];
    match flags
        .into_iter()
        .find(|(_, is_given, is_of_role)| *is_given && !is_of_role)
    {
        None => Ok(()),
        Some((flag, ..)) => Err(InitError::OfOtherRole {
            flag,
            role: role_name(role),
        }),
    }
}

fn check_names(answers: &Answers) -> Result<(), InitError> {
    match answers.reach == Reach::ThisMachine && !answers.names.is_empty() {
        true => Err(InitError::NobodyComes),
        false => Ok(()),
    }
}

async fn ask_chain(role: &Role) -> Option<Asked> {
    match role {
        Role::Miner { chain } => Some(checks::ask(chain).await),
        Role::Chain | Role::ChainAndMiner => None,
    }
}

fn usual_size(settled: &Settled) -> SectorSize {
    settled
        .identity
        .as_ref()
        .map_or(SECTOR_SIZE, |identity| identity.sector_size)
}

/// Time between blocks: of the chain that is made or joined, or the usual one where that says nothing.
fn block_time(given: &Arguments, asked: Option<&Asked>) -> Duration {
    match asked {
        Some(Ok(network)) => Duration::from_millis(network.block_time_ms),
        _ => given.block_time.unwrap_or(BLOCK_TIME),
    }
}

fn price(given: &Arguments, block_time: Duration) -> Result<AttoFil, InitError> {
    match (given.price, given.price_per_gib_month) {
        (Some(price), _) => Ok(price),
        (None, None) => Ok(Settings::default().price),
        (None, Some(month)) => price::per_byte_block(month, block_time).ok_or(InitError::Price { month, block_time }),
    }
}

/// What was answered, in lines of two columns.
pub fn summary(answers: &Answers) -> impl Iterator<Item = (&'static str, String)> {
    let mines = answers.role != Role::Chain;
    let role = match &answers.role {
        Role::ChainAndMiner => "a chain, and a miner with its page on it".to_owned(),
        Role::Chain => "a chain for others' miners".to_owned(),
        Role::Miner { chain } => format!("a miner with its page on the chain at {chain}"),
    };
    let names: Vec<&str> = answers.names.iter().map(|name| name.0.as_str()).collect();
    let reach = match names.is_empty() {
        true => answers.reach.told().to_owned(),
        false => format!("{}, as {}", answers.reach.told(), names.join(", ")),
    };
    let mut ports = answers.ports;
    let ports = ports.used(&answers.role).into_iter();
    let ports: Vec<String> = ports.map(|(name, port)| format!("{port} {name}")).collect();
    let hidden = answers.reach != Reach::ThisMachine && mines && !answers.shows_page();
    let price = format!("{} FIL per byte per block", answers.price);
    let lines = [
        Some(("home", answers.home.display().to_string())),
        Some(("file", answers.file.display().to_string())),
        Some(("runs", role)),
        Some(("sectors", answers.sector_size.to_string())),
        mines.then_some(("price", price)),
        Some(("reached by", reach)),
        hidden.then(|| {
            (
                "page",
                "this machine only: name a certificate to show it to others".to_owned(),
            )
        }),
        Some(("ports", ports.join(", "))),
    ];
    lines.into_iter().flatten()
}
