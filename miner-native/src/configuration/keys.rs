//! Every key of the configuration: what it is called, what it is about, and where its value goes. The file, the environment, the
//! sample and `config show` all go by this table, and by that of the miner's [`settings`].

use super::options::Options;
use super::settings;
use super::value::Value;
use serde_json::Value as Json;
use std::ffi::OsStr;

/// What begins a variable of the environment that stands for a key.
const PREFIX: &str = "SEALDROP_";

/// A key of what a daemon is started with.
pub(super) struct Key {
    pub name: &'static str,
    /// The option that says the same.
    pub flag: &'static str,
    /// An example, as TOML, where nothing is usual, or each user's own.
    pub example: &'static str,
    /// For the sample, in lines.
    pub about: &'static str,
    form: fn() -> &'static str,
    shown: fn(&Options) -> Option<Json>,
    of_toml: fn(&mut Options, &toml::Value) -> Option<()>,
    of_environment: fn(&mut Options, &OsStr) -> Option<()>,
    take: fn(&mut Options, &Options),
}

fn form_of<T: Value>(_: &Option<T>) -> &'static str {
    T::FORM
}

macro_rules! key {
    ($name:literal, $group:ident.$field:ident, $flag:literal, $example:literal, $about:literal) => {
        Key {
            name: $name,
            flag: $flag,
            example: $example,
            about: $about,
            form: || form_of(&Options::default().$group.$field),
            shown: |options| options.$group.$field.as_ref().map(Value::shown),
            of_toml: |options, value| {
                options.$group.$field = Some(Value::of_toml(value)?);
                Some(())
            },
            of_environment: |options, text| {
                options.$group.$field = Some(Value::of_environment(text)?);
                Some(())
            },
            take: |options, from| options.$group.$field.clone_from(&from.$group.$field),
        }
    };
}

/// In the order of the sample, those of a section together.
pub(super) static KEYS: &[Key] = &[
    key!(
        "home",
        place.home,
        "--home",
        "\"~/.sealdrop\"",
        "Where data is kept. A file that lies in a home need not name it."
    ),
    key!(
        "params",
        proofs.params,
        "--params",
        "\"~/.sealdrop/params\"",
        "Where proof parameters are kept, about 1.5 GB."
    ),
    key!(
        "officialParams",
        proofs.official_params,
        "--official-params",
        "",
        "Go by the official parameters of Filecoin's networks, which must be in params, and make none."
    ),
    key!(
        "network.name",
        network.network,
        "--network",
        "",
        "Its name."
    ),
    key!(
        "network.sectorSize",
        network.sector_size,
        "--sector-size",
        "",
        "Size of this miner's sectors: 2KiB for quick trials, 8MiB, 512MiB; 32GiB with officialParams only.\nThe numbers of a network that begins are made for it."
    ),
    key!(
        "network.provingPeriod",
        network.proving_period,
        "--proving-period",
        "",
        "Blocks in which every sector is proven once. The usual number depends on the size of sectors."
    ),
    key!(
        "network.challengeWindow",
        network.challenge_window,
        "--challenge-window",
        "",
        "Blocks at a proving period's end in which its proof is on time."
    ),
    key!(
        "network.grace",
        network.grace,
        "--grace",
        "",
        "Blocks after a proving period in which a late proof is taken."
    ),
    key!(
        "network.cancelDelay",
        network.cancel_delay,
        "--cancel-delay",
        "",
        "Blocks that a payee has to redeem after a channel was cancelled."
    ),
    key!(
        "chain.url",
        join.chain,
        "--chain",
        "\"http://chain.example.org:4403\"",
        "Mine on another daemon's chain, at this endpoint. Without it a chain is made here, and [network] and the keys below are about it."
    ),
    key!("chain.blockTime", chain.block_time, "--block-time", "", "Time between blocks."),
    key!(
        "chain.port",
        chain.chain_port,
        "--chain-port",
        "4403",
        "Port of the chain's JSON-RPC, in place of that of each address in chain.listen."
    ),
    key!(
        "chain.listen",
        chain.chain_listen,
        "--chain-listen",
        "",
        "Where the chain's JSON-RPC listens. \"0.0.0.0:4403\" and \"[::]:4403\" are all addresses of IPv4 and of IPv6."
    ),
    key!(
        "chain.hosts",
        chain.chain_host,
        "--chain-host",
        "",
        "Names by which others ask it, beside 127.0.0.1, localhost and the addresses that it listens on."
    ),
    key!(
        "chain.public",
        chain.chain_public,
        "--chain-public",
        "",
        "Whether pages of every site may ask the chain, by whatever name. The limits of shared/docs/limits.md hold for each address;\nnothing of the operator's is there."
    ),
    key!(
        "p2p.port",
        p2p.p2p_port,
        "--p2p-port",
        "",
        "Port of libp2p over TCP and QUIC on 127.0.0.1."
    ),
    key!(
        "p2p.wsPort",
        p2p.p2p_ws_port,
        "--p2p-ws-port",
        "",
        "Port of libp2p over WebSocket and WebTransport, for browsers, on 127.0.0.1."
    ),
    key!(
        "p2p.listen",
        p2p.p2p_listen,
        "--p2p-listen",
        "",
        "Where libp2p listens, in place of the two ports: multiaddrs of the transports that it has, on addresses of IPv4 and IPv6;\n/ip4/0.0.0.0 and /ip6/:: are all of them."
    ),
    key!(
        "p2p.announce",
        p2p.p2p_announce,
        "--p2p-announce",
        "[\"/dns4/miner.example.org/tcp/4401\"]",
        "Where others are told to dial, where that is not where it listens: behind a name, a router or a proxy. Begins with /dns4, /dns6, /ip4 or /ip6."
    ),
    key!(
        "http.port",
        http.http_port,
        "--http-port",
        "4405",
        "Port of pieces and blocks over HTTP, in place of that of each address in http.listen."
    ),
    key!(
        "http.listen",
        http.http_listen,
        "--http-listen",
        "",
        "Where everybody gets pieces (/piece/CID) and blocks (/ipfs/CID), free of charge and within limits, whatever the page.\nNothing of the operator's is there."
    ),
    key!(
        "http.announce",
        http.http_announce,
        "--http-announce",
        "[\"/dns4/miner.example.org/tcp/443/tls/http\"]",
        "Where others are told to ask, where that is not where it listens: a host, /tcp/PORT, and /http or /tls/http.\nWithout it, and without p2p.announce, where it listens."
    ),
    key!("web.port", web.web_port, "--web-port", "4400", "Port of the page and the operator's requests, in place of that of each address in web.listen."),
    key!(
        "web.listen",
        web.web_listen,
        "--web-listen",
        "",
        "Where the page and the operator's requests are served. Orders need a token everywhere."
    ),
    key!(
        "web.hosts",
        web.web_host,
        "--web-host",
        "",
        "Names by which others ask for the page, beside 127.0.0.1, localhost and the addresses that it listens on."
    ),
    key!("web.files", web.web, "--web", "\"/usr/share/sealdrop/www\"", "Folder of the web page, served at /. Without it ../share/sealdrop/www, seen from the program, or /usr/share/sealdrop/www, if one is there."),
    key!("web.client", web.client, "--client", "\"/usr/share/sealdrop/client\"", "Folder of the browser client, served at /client/. Without it client beside one of those."),
    key!(
        "tls.certificate",
        tls.tls_certificate,
        "--tls-certificate",
        "\"fullchain.pem\"",
        "The certificate, and behind it those that sign it."
    ),
    key!("tls.key", tls.tls_key, "--tls-key", "\"privkey.pem\"", "Its key."),
    key!(
        "database.url",
        database.database,
        "--database",
        "\"postgres://sealdrop:PASSWORD@db.example.org/sealdrop\"",
        "PostgreSQL database of the miner's records, for several machines; see shared/docs/scale.md. What the home kept is brought there once.\nWithout it the records are in the home, and this machine does everything."
    ),
    key!(
        "database.storage",
        database.storage,
        "--storage",
        "\"/mnt/sealdrop\"",
        "Folder of pieces and sectors, which all machines of the database reach. Without it HOME/miner."
    ),
    key!(
        "database.work",
        database.database_work,
        "--database-work",
        "",
        "Whether this machine seals, too, beside its workers."
    ),
    key!(
        "archive.place",
        archive.archive,
        "--archive",
        "\"s3://sealdrop/miner\"",
        "Where pieces and finished sectors lie a second time: a folder on another disk, or a bucket of an object store that speaks S3.\nWhat is missing here is brought back from there; see shared/docs/archive.md. Keys come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
    ),
    key!(
        "archive.endpoint",
        archive.archive_endpoint,
        "--archive-endpoint",
        "\"https://s3.example.org\"",
        "The object store's URL, where it is not Amazon's."
    ),
    key!(
        "archive.region",
        archive.archive_region,
        "--archive-region",
        "\"eu-central-1\"",
        "The bucket's region, where the store wants one."
    ),
    key!(
        "log.format",
        log.log_format,
        "--log-format",
        "",
        "text for people, json for programs: one object a line."
    ),
    key!(
        "log.folder",
        log.log_folder,
        "--log-folder",
        "\"/var/log/sealdrop\"",
        "Folder of the log's files, one a day, of which two weeks are kept. Without it the log goes to standard error, which systemd's journal takes."
    ),
    key!(
        "log.filter",
        log.log_filter,
        "--log-filter",
        "\"sealdrop=debug,warn\"",
        "Which lines the log has, as RUST_LOG, which comes before it. `sealdrop mining log --filter` changes it while the daemon runs."
    ),
    key!(
        "alerts.webhook",
        log.alerts_webhook,
        "--alerts-webhook",
        "\"https://hooks.example.org/…\"",
        "Where what is wrong, and that it is well again, is sent: a POST of JSON with `text`, as Slack and Mattermost take it."
    ),
];

/// The names of all keys, the miner's settings among them.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let settings = settings::keys().map(|key| key.name);
    KEYS.iter().map(|key| key.name).chain(settings)
}

fn key(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The option that says the same as a key; settings have none but three.
pub(super) fn flag(name: &str) -> &'static str {
    key(name).map_or_else(|| settings::flag(name), |key| key.flag)
}

/// The variable of the environment that says the same: `chain.blockTime` is `SEALDROP_CHAIN_BLOCK_TIME`.
pub(super) fn variable(name: &str) -> String {
    let mut variable = PREFIX.to_owned();
    let mut was_lower = false;
    for c in name.replace("MiB", "Mib").chars() {
        if c.is_ascii_uppercase() && was_lower {
            variable.push('_');
        }
        was_lower = c.is_ascii_lowercase();
        variable.push(if c == '.' { '_' } else { c.to_ascii_uppercase() });
    }
    variable
}

/// What the options say of a key.
pub(super) fn shown(options: &Options, name: &str) -> Option<Json> {
    match key(name) {
        Some(key) => (key.shown)(options),
        None => {
            let (name, text) = options.miner.settings.get_key_value(name)?;
            Some(settings::shown(name, text))
        }
    }
}

/// Reads a key's value from the file; its form where this is none.
pub(super) fn set_toml(options: &mut Options, name: &'static str, value: &toml::Value) -> Result<(), &'static str> {
    match key(name) {
        Some(key) => (key.of_toml)(options, value).ok_or_else(key.form),
        None => set_setting(options, name, settings::text_of(value)),
    }
}

/// Reads a key's value from the environment; its form where this is none.
pub(super) fn set_environment(options: &mut Options, name: &'static str, text: &OsStr) -> Result<(), &'static str> {
    match key(name) {
        Some(key) => (key.of_environment)(options, text).ok_or_else(key.form),
        None => set_setting(options, name, text.to_string_lossy().into_owned()),
    }
}

fn set_setting(options: &mut Options, name: &'static str, text: String) -> Result<(), &'static str> {
    settings::check(name, &text)?;
    options.miner.settings.insert(name, text);
    Ok(())
}

/// Takes over what `from` says of a key.
pub(super) fn take(options: &mut Options, name: &'static str, from: &Options) {
    match key(name) {
        Some(key) => (key.take)(options, from),
        None => {
            let said = from.miner.settings.get(name).map(|text| (name, text.clone()));
            options.miner.settings.extend(said);
        }
    }
}

/// The key that was probably meant.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    let plain = |text: &str| text.to_ascii_lowercase().replace(['_', '-'], "");
    let asked = plain(name);
    let last = |text: &str| text.rsplit('.').next().unwrap_or_default().to_owned();
    // A key that stands in another section is nearer than one that is spelt alike.
    let distance = |known: &str| {
        let known = plain(known);
        let whole = strsim::damerau_levenshtein(&asked, &known);
        match last(&asked) == last(&known) {
            true => whole.min(1),
            false => whole,
        }
    };
    let nearest = names().map(|known| (distance(known), known)).min()?;
    (nearest.0 <= (asked.len() / 3).max(2)).then_some(nearest.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_key_has_a_name_and_a_variable_of_its_own_and_says_what_it_is_about() {
        let names: Vec<&str> = names().collect();
        let variables: BTreeSet<String> = names.iter().map(|name| variable(name)).collect();
        assert_eq!(variables.len(), names.len());
        assert_eq!(variable("chain.blockTime"), "SEALDROP_CHAIN_BLOCK_TIME");
        assert_eq!(variable("home"), "SEALDROP_HOME");
        assert_eq!(variable("scheduler.memoryMiB"), "SEALDROP_SCHEDULER_MEMORY_MIB");
        assert!(KEYS
            .iter()
            .all(|key| key.about.ends_with('.') && !(key.form)().is_empty()));
    }

    #[test]
    fn a_key_that_is_misspelt_or_stands_in_another_section_is_recognised() {
        for (given, meant) in [
            ("chain.blocktime", "chain.blockTime"),
            ("chain.block_time", "chain.blockTime"),
            ("sectorSize", "network.sectorSize"),
            ("chian.public", "chain.public"),
            ("mining.storagePrize", "mining.storagePrice"),
        ] {
            assert_eq!(nearest(given), Some(meant), "{given}");
        }
        assert_eq!(nearest("colour"), None);
    }
}
