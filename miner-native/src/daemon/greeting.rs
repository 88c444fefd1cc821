//! What the operator is told once everything runs: what runs where.

use super::{elsewhere, parameters, DaemonConfig, Role};
use sealdrop_devnet::Devnet;
use sealdrop_miner::assembly::Assembly;
use sealdrop_miner::chain_access::rpc_url;
use sealdrop_miner::console;
use sealdrop_miner::data_dir::{DataDir, Elsewhere, Endpoints, KnownChain};
use sealdrop_miner::network::Host;
use shared::chain::{Address, AttoFil};

/// What came of starting.
pub(super) struct Greeting {
    endpoints: Endpoints,
    /// The chain, where it is made here.
    made: Option<KnownChain>,
    miner: Option<Miner>,
}

struct Miner {
    address: Address,
    price: AttoFil,
    host: Host,
}

/// By which URL others ask the chain that is made here.
pub(super) fn chain_elsewhere(config: &DaemonConfig, devnet: &Devnet) -> Option<String> {
    let url = elsewhere::url(devnet.addresses(), &config.chain, config.tls.is_some())?;
    Some(rpc_url(&url))
}

impl Greeting {
    /// Of a chain alone.
    pub(super) fn of_chain(config: &DaemonConfig, devnet: &Devnet) -> Self {
        let chain = devnet.url();
        Self {
            endpoints: Endpoints {
                chain: chain.clone(),
                web: None,
                http: None,
                elsewhere: Elsewhere {
                    chain: chain_elsewhere(config, devnet),
                    web: None,
                },
                config: config.file_as_text(),
            },
            made: Some(KnownChain {
                genesis: devnet.genesis(),
                endpoint: chain,
            }),
            miner: None,
        }
    }

    /// Of a miner, on a chain of its own or not.
    pub(super) fn of_miner(role: &Role, endpoints: Endpoints, parts: &Assembly, host: Host) -> Self {
        let of_here = || KnownChain {
            genesis: parts.chain.connected_network().genesis.clone(),
            endpoint: endpoints.chain.clone(),
        };
        let made = match role {
            Role::Miner { .. } => None,
            Role::Chain | Role::ChainAndMiner => Some(of_here()),
        };
        let miner = Miner {
            address: parts.address.clone(),
            price: parts.settings.now().price,
            host,
        };
        Self {
            endpoints,
            made,
            miner: Some(miner),
        }
    }

    /// Where the daemon is reached.
    pub(super) fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// The chain, where it is made here.
    pub(super) fn own_chain(&self) -> Option<&KnownChain> {
        self.made.as_ref()
    }

    /// The last line says for programs of this machine that it is ready, and names the page's address, or the chain's where there is no page.
    pub(super) fn print(&self, config: &DaemonConfig, home: &DataDir) {
        let source = parameters::source(&config.network, config.official_params);
        let whose = match config.role {
            Role::Miner { .. } => "another daemon's development chain, money without value",
            Role::Chain | Role::ChainAndMiner => "single-authority development chain, money without value",
        };
        let mut lines = vec![
            format!("Network    {} ({whose})", config.network),
            format!("Proofs     {}", parameters::label(source)),
        ];
        lines.extend(reached(&self.endpoints));
        if let Some(Miner { address, price, host }) = &self.miner {
            lines.push(format!(
                "Miner      {address} with {} sectors, {price} FIL per byte per block",
                config.sector_size
            ));
            let addresses = host.addresses();
            lines.extend(
                addresses
                    .iter()
                    .map(|address| format!("Host       {address}/p2p/{}", host.peer_id())),
            );
        }
        lines.push(format!("Data       {}", home.root().display()));
        let ready = self.endpoints.web.as_ref().unwrap_or(&self.endpoints.chain);
        lines.push(format!("Sealdrop is ready: {ready}"));
        for line in lines {
            console::stdout(&line);
        }
    }
}

/// Chain and page, and by which URL others come.
fn reached(endpoints: &Endpoints) -> Vec<String> {
    let mut lines = vec![format!("Chain      {}", endpoints.chain)];
    let told = |what: &str, url: &String| format!("{what:<10} {url} for others");
    lines.extend(endpoints.elsewhere.chain.as_ref().map(|url| told("", url)));
    lines.extend(endpoints.elsewhere.web.as_ref().map(|url| told("Page", url)));
    lines.extend(
        endpoints
            .http
            .as_ref()
            .map(|url| format!("HTTP       {url}/piece/CID and /ipfs/CID, for everybody")),
    );
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_are_told_the_url_that_they_reach_and_this_machine_its_own() {
        let mut endpoints = Endpoints {
            chain: "http://127.0.0.1:4403/rpc".into(),
            web: Some("http://127.0.0.1:4400".into()),
            http: None,
            elsewhere: Elsewhere::default(),
            config: None,
        };
        assert_eq!(reached(&endpoints), ["Chain      http://127.0.0.1:4403/rpc"]);
        endpoints.elsewhere = Elsewhere {
            chain: Some("https://a.example:4403/rpc".into()),
            web: Some("https://a.example:4400".into()),
        };
        let lines = [
            "Chain      http://127.0.0.1:4403/rpc",
            "           https://a.example:4403/rpc for others",
            "Page       https://a.example:4400 for others",
        ];
        assert_eq!(reached(&endpoints), lines);
    }
}
