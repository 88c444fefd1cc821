//! What a daemon cannot run with, told in words before anything is touched (finding C7).

use super::{DaemonConfig, Ports, Role};
use sealdrop_miner::settings::{Settings, SettingsError};
use shared::chain::policy::PolicyError;
use std::time::Duration;

/// Fastest blocks: faster ones are not made in time, and the chain's clock runs behind.
const SHORTEST_BLOCK_TIME: Duration = Duration::from_millis(10);
/// Slowest blocks: windows and channels last hundreds of blocks, and must end while somebody waits.
const LONGEST_BLOCK_TIME: Duration = Duration::from_secs(3600);
/// Longest name of a network, in characters: it is shown on one line.
const LONGEST_NAME: usize = 64;
/// Most blocks of any span of a new network: a thousand years of half-minute blocks.
const LONGEST_SPAN: u64 = 1_000_000_000;

/// Why a configuration is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error(
        "a block every {} ms makes no sense: give --block-time a span from {} ms to {} s",
        given.as_millis(), SHORTEST_BLOCK_TIME.as_millis(), LONGEST_BLOCK_TIME.as_secs()
    )]
    BlockTime { given: Duration },
    #[error("{given:?} is no name for a network: give --network 1 to {LONGEST_NAME} letters, digits, dots, dashes or underscores")]
    Network { given: String },
    #[error("port {port} is asked for by {first} and by {second}: give each its own")]
    SamePort {
        port: u16,
        first: &'static str,
        second: &'static str,
    },
    #[error("the new network's numbers make no sense: {0}")]
    Policy(#[from] PolicyError),
    #[error("{option} of {blocks} blocks is longer than {LONGEST_SPAN}: choose less")]
    Span { option: &'static str, blocks: u64 },
    #[error("{option} is 0: give it at least one block")]
    NoSpan { option: &'static str },
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

/// Refuses what nobody can run.
pub(super) fn check(config: &DaemonConfig) -> Result<(), ConfigError> {
    if !(SHORTEST_BLOCK_TIME..=LONGEST_BLOCK_TIME).contains(&config.block_time) {
        let given = config.block_time;
        return Err(ConfigError::BlockTime { given });
    }
    check_ports(config.ports)?;
    // What a network is made of; one that is joined is what it is.
    if !matches!(config.role, Role::Miner { .. }) {
        check_name(&config.network)?;
        check_spans(config)?;
        config.policy.check()?;
    }
    // Beside what was set before it is checked again.
    Settings::default().changed(&config.settings)?;
    Ok(())
}

fn check_name(name: &str) -> Result<(), ConfigError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ['.', '-', '_'].contains(&c);
    match (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(is_plain) {
        true => Ok(()),
        false => {
            let given = name.chars().take(LONGEST_NAME).collect();
            Err(ConfigError::Network { given })
        }
    }
}

fn check_ports(ports: Ports) -> Result<(), ConfigError> {
    let all = [
        ("--p2p-port", ports.p2p),
        ("--p2p-ws-port", ports.p2p_ws),
        ("--chain-port", ports.chain),
        ("--web-port", ports.web),
    ];
    for (at, (first, port)) in all.iter().enumerate() {
        let again = all.iter().skip(at + 1).find(|(_, other)| *other != 0 && other == port);
        if let Some((second, port)) = again {
            let (port, first) = (*port, *first);
            return Err(ConfigError::SamePort { port, first, second });
        }
    }
    Ok(())
}

fn check_spans(config: &DaemonConfig) -> Result<(), ConfigError> {
    let policy = &config.policy;
    let spans = [
        ("--proving-period", policy.proving_period),
        ("--challenge-window", policy.challenge_window),
        ("--grace", policy.grace),
        ("--cancel-delay", policy.cancel_delay),
    ];
    match spans
        .into_iter()
        .find(|(_, blocks)| *blocks == 0 || *blocks > LONGEST_SPAN)
    {
        Some((option, 0)) => Err(ConfigError::NoSpan { option }),
        Some((option, blocks)) => Err(ConfigError::Span { option, blocks }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealdrop_miner::settings::SettingsChange;
    use shared::chain::Policy;
    use shared::piece::SectorSize;

    fn checked(change: impl FnOnce(&mut DaemonConfig)) -> Result<(), ConfigError> {
        let mut config = DaemonConfig {
            role: Role::ChainAndMiner,
            home: None,
            params: None,
            official_params: false,
            network: "sealdrop-devnet".into(),
            sector_size: SectorSize::S2KiB,
            block_time: Duration::from_secs(1),
            ports: Ports {
                p2p: 0,
                p2p_ws: 0,
                chain: 4403,
                web: 4400,
            },
            web: None,
            client: None,
            settings: SettingsChange::default(),
            policy: Policy::default(),
        };
        change(&mut config);
        check(&config)
    }

    #[test]
    fn a_block_time_that_makes_no_sense_is_refused_with_words() {
        assert_eq!(checked(|_| {}), Ok(()));
        for given in [Duration::ZERO, Duration::from_millis(9), Duration::from_secs(3601)] {
            let refused = checked(|config| config.block_time = given);
            assert_eq!(refused, Err(ConfigError::BlockTime { given }));
        }
        let text = ConfigError::BlockTime { given: Duration::ZERO }.to_string();
        assert!(text.contains("--block-time") && text.contains("10 ms"), "{text}");
    }

    #[test]
    fn a_network_needs_a_name_that_fits_on_a_line() {
        for given in ["", "two words", "line\nbreak", "\u{1b}[31m"] {
            let refused = checked(|config| config.network = given.into());
            assert_eq!(refused, Err(ConfigError::Network { given: given.into() }));
        }
        assert!(checked(|config| config.network = "x".repeat(65)).is_err());
    }

    #[test]
    fn two_listeners_on_one_port_are_refused_but_two_free_ones_are_not() {
        let refused = checked(|config| config.ports.chain = 4400);
        let expected = ConfigError::SamePort {
            port: 4400,
            first: "--chain-port",
            second: "--web-port",
        };
        assert_eq!(refused, Err(expected));
    }

    #[test]
    fn a_network_under_whose_numbers_nobody_could_prove_or_redeem_is_refused() {
        let refused = checked(|config| config.policy.cancel_delay = 0);
        let option = "--cancel-delay";
        assert_eq!(refused, Err(ConfigError::NoSpan { option }));
        let blocks = LONGEST_SPAN + 1;
        let refused = checked(|config| config.policy.grace = blocks);
        assert_eq!(
            refused,
            Err(ConfigError::Span {
                option: "--grace",
                blocks
            })
        );
        let refused = checked(|config| config.policy.challenge_window = config.policy.proving_period + 1);
        assert!(matches!(refused, Err(ConfigError::Policy(_))), "{refused:?}");
    }

    #[test]
    fn settings_that_make_no_sense_are_refused_before_anything_is_touched() {
        let refused = checked(|config| config.settings.auto_seal_ms = Some(u64::MAX));
        assert!(matches!(refused, Err(ConfigError::Settings(_))), "{refused:?}");
    }
}
