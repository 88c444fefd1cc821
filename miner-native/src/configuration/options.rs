//! The options of a daemon, by what they are about; the configuration file and the environment say the same by the keys of
//! [`super::keys`]. What is unset is left to whoever comes next.

use super::settings;
use super::value::{HostName, LogFilter};
use crate::span;
use clap::Args;
use libp2p::Multiaddr;
use sealdrop_miner::alerts::Webhook;
use sealdrop_miner::logging::LogFormat;
use sealdrop_miner::machines::DatabaseUrl;
use shared::chain::AttoFil;
use shared::piece::SectorSize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Everything that a daemon may be told.
#[derive(Debug, Clone, Default, Args)]
pub struct Options {
    #[command(flatten)]
    pub place: PlaceOptions,
    #[command(flatten)]
    pub proofs: ProofOptions,
    #[command(flatten)]
    pub join: JoinOptions,
    #[command(flatten)]
    pub chain: ChainOptions,
    #[command(flatten)]
    pub p2p: P2pOptions,
    #[command(flatten)]
    pub http: HttpOptions,
    #[command(flatten)]
    pub web: WebOptions,
    #[command(flatten)]
    pub tls: TlsOptions,
    #[command(flatten)]
    pub database: DatabaseOptions,
    #[command(flatten)]
    pub archive: ArchiveOptions,
    #[command(flatten)]
    pub log: LogOptions,
    #[command(flatten)]
    pub miner: MinerOptions,
    #[command(flatten)]
    pub network: NetworkOptions,
}

#[derive(Debug, Clone, Default, Args)]
pub struct PlaceOptions {
    /// Where data is kept [default: ~/.sealdrop] [env: SEALDROP_HOME]
    #[arg(long, value_name = "DIR")]
    pub home: Option<PathBuf>,
}

#[derive(Debug, Clone, Default, Args)]
pub struct ProofOptions {
    /// Where proof parameters are kept, about 1.5 GB [default: HOME/params] [env: SEALDROP_PARAMS]
    #[arg(long, value_name = "DIR")]
    pub params: Option<PathBuf>,
    /// Go by the official parameters of Filecoin's networks, which must be in --params, and make none
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    pub official_params: Option<bool>,
}

#[derive(Debug, Clone, Default, Args)]
pub struct JoinOptions {
    /// Mine on another daemon's chain, at this endpoint [default: make a chain here]
    #[arg(long, value_name = "URL", help_heading = "Chain")]
    pub chain: Option<String>,
}

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Chain")]
pub struct ChainOptions {
    /// Time between blocks [default: 1s]
    #[arg(long, value_name = "SPAN", value_parser = span::parse)]
    pub block_time: Option<Duration>,
    /// Port of the chain's JSON-RPC [default: 4403]
    #[arg(long, alias = "port-rpc", value_name = "PORT")]
    pub chain_port: Option<u16>,
    /// Where the chain's JSON-RPC listens; several are separated by commas [default: 127.0.0.1:4403]
    #[arg(long, value_name = "IP:PORT", value_delimiter = ',')]
    pub chain_listen: Option<Vec<SocketAddr>>,
    /// Names by which others ask it
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub chain_host: Option<Vec<HostName>>,
    /// Let pages of every site ask the chain, by whatever name
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    pub chain_public: Option<bool>,
}

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Miner's network")]
pub struct P2pOptions {
    /// Port of libp2p over TCP and QUIC on 127.0.0.1; 0 takes any free one [default: 4401]
    #[arg(long, alias = "port-p2p-tcp", value_name = "PORT")]
    pub p2p_port: Option<u16>,
    /// Port of libp2p over WebSocket and WebTransport, for browsers, on 127.0.0.1 [default: 4402]
    #[arg(long, alias = "port-p2p-ws", value_name = "PORT")]
    pub p2p_ws_port: Option<u16>,
    /// Where libp2p listens, in place of these: as /ip4/0.0.0.0/tcp/4401, /ip6/::/udp/4402/quic-v1/webtransport
    #[arg(long, value_name = "MULTIADDR", value_delimiter = ',')]
    pub p2p_listen: Option<Vec<Multiaddr>>,
    /// Where others are told to dial, where that is not where it listens: as /dns4/miner.example.org/tcp/4401
    #[arg(long, value_name = "MULTIADDR", value_delimiter = ',')]
    pub p2p_announce: Option<Vec<Multiaddr>>,
}

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Miner's HTTP")]
pub struct HttpOptions {
    /// Port of pieces and blocks over HTTP, for everybody; 0 takes any free one [default: 4405]
    #[arg(long, value_name = "PORT")]
    pub http_port: Option<u16>,
    /// Where they are served [default: 127.0.0.1:4405]
    #[arg(long, value_name = "IP:PORT", value_delimiter = ',')]
    pub http_listen: Option<Vec<SocketAddr>>,
    /// Where others are told to ask for them, where that is not where they are served: as /dns4/miner.example.org/tcp/443/tls/http
    #[arg(long, value_name = "MULTIADDR", value_delimiter = ',')]
    pub http_announce: Option<Vec<Multiaddr>>,
}

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Web page")]
pub struct WebOptions {
    /// Port of the web page [default: 4400]
    #[arg(long, alias = "port-web", value_name = "PORT")]
    pub web_port: Option<u16>,
    /// Where the page and the operator's requests are served [default: 127.0.0.1:4400]
    #[arg(long, value_name = "IP:PORT", value_delimiter = ',')]
    pub web_listen: Option<Vec<SocketAddr>>,
    /// Names by which others ask for the page
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub web_host: Option<Vec<HostName>>,
    /// Folder of the web page, served at / [default: ../share/sealdrop/www beside the program, or /usr/share/sealdrop/www]
    #[arg(long, value_name = "DIR")]
    pub web: Option<PathBuf>,
    /// Folder of the browser client, served at /client/ [default: share/sealdrop/client likewise]
    #[arg(long, value_name = "DIR")]
    pub client: Option<PathBuf>,
}

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "TLS")]
pub struct TlsOptions {
    /// Certificate for the chain, the page and secure WebSockets, as PEM; read anew when it changes
    #[arg(long, value_name = "FILE")]
    pub tls_certificate: Option<PathBuf>,
    /// Its key
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
}

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Several machines")]
pub struct DatabaseOptions {
    /// PostgreSQL database of the records, which other machines reach, too: as postgres://user:password@host/database [default: the home]
    #[arg(long, value_name = "URL")]
    pub database: Option<DatabaseUrl>,
    /// Folder of pieces and sectors, which all machines reach [default: HOME/miner]
    #[arg(long, value_name = "DIR")]
    pub storage: Option<PathBuf>,
    /// Whether this machine seals, too, beside its workers [default: true]
    #[arg(long, value_name = "BOOL", hide_possible_values = true)]
    pub database_work: Option<bool>,
}

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Archive")]
pub struct ArchiveOptions {
    /// Where pieces and sectors lie a second time: a folder, or a bucket as s3://bucket/prefix [default: nowhere]
    #[arg(long, value_name = "PLACE")]
    pub archive: Option<String>,
    /// URL of an object store that speaks S3 and is not Amazon's
    #[arg(long, value_name = "URL")]
    pub archive_endpoint: Option<String>,
    /// Its region
    #[arg(long, value_name = "REGION")]
    pub archive_region: Option<String>,
}

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Log and alerts")]
pub struct LogOptions {
    /// text for people, json for programs [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// Folder of the log's files, one a day, of which two weeks are kept [default: standard error]
    #[arg(long, value_name = "DIR")]
    pub log_folder: Option<PathBuf>,
    /// Which lines the log has, as RUST_LOG, which comes before it: info, or sealdrop=debug,warn
    #[arg(long, value_name = "FILTER")]
    pub log_filter: Option<LogFilter>,
    /// Where alerts are sent, as JSON
    #[arg(long, value_name = "URL")]
    pub alerts_webhook: Option<Webhook>,
}

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Miner's settings (kept; `sealdrop config` changes them while it runs)")]
pub struct MinerOptions {
    /// Asking price, in FIL per byte per block; 8 MB for 2500 blocks: about 2 FIL [at first: 0.0000000001]
    #[arg(long, value_name = "FIL")]
    pub price: Option<AttoFil>,
    /// How long a sector waits for more pieces after its first [at first: 3s]
    #[arg(long, value_name = "SPAN", value_parser = span::parse)]
    pub auto_seal: Option<Duration>,
    /// How long an accepted deal waits for its data [at first: 24h]
    #[arg(long, value_name = "SPAN", value_parser = span::parse)]
    pub transfer_limit: Option<Duration>,
    /// All settings by key; of the command line only those above.
    #[arg(skip)]
    pub settings: BTreeMap<&'static str, String>,
}

impl Options {
    /// The same with the options that are settings among those.
    pub(super) fn with_settings(mut self) -> Self {
        let seconds = |span: Duration| format!("{}.{:03}", span.as_secs(), span.subsec_millis());
        let said = [
            (settings::PRICE, self.miner.price.map(|price| price.to_string())),
            (settings::AUTO_SEAL, self.miner.auto_seal.map(seconds)),
            (settings::TRANSFER_LIMIT, self.miner.transfer_limit.map(seconds)),
        ];
        let said = said.into_iter().filter_map(|(name, text)| Some((name, text?)));
        self.miner.settings.extend(said);
        self
    }
}

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "New network (fixed when it begins)")]
pub struct NetworkOptions {
    /// Its name [default: sealdrop-devnet]
    #[arg(long, value_name = "NAME")]
    pub network: Option<String>,
    /// Size of this miner's sectors: 2KiB for quick trials, 8MiB, 512MiB; 32GiB with --official-params only [default: 8MiB]
    #[arg(long, alias = "size", value_name = "SIZE")]
    pub sector_size: Option<SectorSize>,
    /// Blocks in which every sector is proven once
    #[arg(long, value_name = "BLOCKS")]
    pub proving_period: Option<u64>,
    /// Blocks at a proving period's end in which its proof is on time
    #[arg(long, value_name = "BLOCKS")]
    pub challenge_window: Option<u64>,
    /// Blocks after a proving period in which a late proof is taken
    #[arg(long, value_name = "BLOCKS")]
    pub grace: Option<u64>,
    /// Blocks that a payee has to redeem after a channel was cancelled
    #[arg(long, value_name = "BLOCKS")]
    pub cancel_delay: Option<u64>,
}
