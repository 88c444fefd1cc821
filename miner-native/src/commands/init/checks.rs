//! What is looked at before a file is written: the home, disk, memory, ports, parameters and the chain, by the findings of
//! `sealdrop doctor`.

use super::plan::Answers;
use super::settled::Settled;
use crate::commands::doctor;
use crate::commands::doctor::finding::{self, Finding};
use crate::daemon::{DaemonConfig, Role};
use sealdrop_miner::chain_access::{network_at, rpc_url};
use sealdrop_miner::descriptors;
use sealdrop_miner::prover::SealingMemory;
use shared::chain::view::NetworkView;
use shared::piece::SectorSize;
use std::net::{Ipv6Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a chain may take to answer.
const ANSWER: Duration = Duration::from_secs(10);

/// Another's chain, or why it says nothing.
pub type Asked = Result<NetworkView, String>;

/// Asks a chain what it is.
pub async fn ask(url: &str) -> Asked {
    let rpc = rpc_url(url);
    match tokio::time::timeout(ANSWER, network_at(&rpc)).await {
        Ok(Ok(network)) => Ok(network),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("{url} does not answer within {} s", ANSWER.as_secs())),
    }
}

/// Whether this machine can listen on addresses of IPv6.
pub fn has_ipv6() -> bool {
    TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).is_ok()
}

/// Everything, in the order of the questions.
pub fn all(answers: &Answers, config: &DaemonConfig, settled: &Settled, asked: Option<&Asked>) -> Vec<Finding> {
    let mut found = vec![home(&answers.home, settled)];
    if let (Role::Miner { chain }, Some(asked)) = (&answers.role, asked) {
        found.push(joined(chain, asked, answers.sector_size));
    }
    found.extend(machine(
        &answers.role,
        &answers.home,
        &answers.params(),
        answers.sector_size,
    ));
    found.extend(ports(config, settled));
    found.extend(descriptors::most().map(finding::descriptors));
    found
}

/// What the home is.
pub fn home(home: &Path, settled: &Settled) -> Finding {
    let place = home.display();
    match &settled.identity {
        None => Finding::ok("home", format!("{place} begins with the first start of the daemon")),
        Some(identity) => Finding::ok(
            "home",
            format!("{place} belongs to the network {identity} already, which stays"),
        ),
    }
}

/// Whether the machine has what sectors of a size take.
pub fn machine(role: &Role, home: &Path, params: &Path, size: SectorSize) -> Vec<Finding> {
    if *role == Role::Chain {
        // It seals nothing, and verifies by keys that the program has.
        return vec![doctor::disk(home, SectorSize::S2KiB, true)];
    }
    let [disk, parameters] = doctor::room(home, params, size);
    vec![
        disk,
        finding::memory(size, SealingMemory::of_this_machine(size)),
        parameters,
    ]
}

/// Whether another's chain answers and takes sectors of this size.
pub fn joined(url: &str, asked: &Asked, size: SectorSize) -> Finding {
    let network = match asked {
        Ok(network) => network,
        Err(reason) => {
            let advice = "start the chain's daemon, or check the URL and the connection to it";
            return Finding::wrong("chain", reason.clone(), advice);
        }
    };
    let sizes = &network.policy.sector_sizes;
    let name = &network.network;
    match sizes.contains(&size) {
        true => Finding::ok(
            "chain",
            format!("{url} serves the network {name:?}, which has {size} sectors"),
        ),
        false => {
            let all: Vec<String> = sizes.iter().map(ToString::to_string).collect();
            let text = format!("the network {name:?} has no sectors of {size}");
            Finding::wrong("chain", text, format!("choose one of {}", all.join(", ")))
        }
    }
}

/// Whether all listeners find their ports free.
pub fn ports(config: &DaemonConfig, settled: &Settled) -> Vec<Finding> {
    if settled.is_in_use {
        let text = "a daemon runs in this home, and goes by what it was started with";
        return vec![Finding::warning("daemon", text, "stop it, and start it anew")];
    }
    let taken = doctor::taken(config);
    if !taken.is_empty() {
        return taken;
    }
    // Those over UDP are looked at, too.
    let host = config.p2p.host_config(config.tls.clone(), PathBuf::new());
    match host.check() {
        Err(error) if config.role != Role::Chain => {
            let advice = "stop the program that has it, or choose another port";
            vec![Finding::warning("port", error.to_string(), advice)]
        }
        _ => vec![Finding::ok("port", "all ports are free")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::finding::Level;
    use sealdrop_miner::data_dir::Identity;
    use shared::chain::{Epoch, Policy};

    #[test]
    fn a_home_that_belongs_to_a_network_is_said_to_stay_with_it() {
        let settled = Settled {
            identity: Some(Identity {
                network: "alpha".into(),
                sector_size: SectorSize::S2KiB,
            }),
            ..Settled::default()
        };
        let told = home(Path::new("/h"), &settled).text;
        assert!(told.contains("alpha") && told.contains("stays"), "{told}");
    }

    #[test]
    fn a_chain_that_is_away_or_has_other_sectors_is_wrong() {
        let url = "http://192.0.2.7:4403";
        let away = joined(url, &Err("it is away".into()), SectorSize::S8MiB);
        assert_eq!(away.level, Level::Wrong);
        assert!(away.text.contains("away") && away.advice.contains("URL"));
        let view = NetworkView {
            network: "alpha".into(),
            genesis: "g".into(),
            height: Epoch(1),
            block_time_ms: 1000,
            policy: Policy::of_new_network(SectorSize::S8MiB),
            verifying_keys: String::new(),
        };
        let sizes = view.policy.sector_sizes.clone();
        let asked = Ok(view);
        for size in SectorSize::ALL {
            let expected = if sizes.contains(&size) { Level::Ok } else { Level::Wrong };
            assert_eq!(joined(url, &asked, size).level, expected, "{size}");
        }
    }
}
