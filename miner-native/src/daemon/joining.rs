//! How a daemon comes to another's chain: it asks what is served there, refuses what it cannot mine on, and binds its home to it.
//!
//! A home belongs to one chain for good. One whose chain is away at the start waits for it; while the daemon runs, the chain access
//! does ([`sealdrop_miner::chain_access`]).

use super::{DaemonConfig, DaemonError, Proofs};
use sealdrop_miner::chain_access::{network_at, rpc_url, ChainError};
use sealdrop_miner::console;
use sealdrop_miner::data_dir::{DataDir, KnownChain};
use shared::chain::view::NetworkView;
use shared::client::link::{HttpUrl, LinkError, MAX_URL};
use shared::piece::SectorSize;
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

/// Time between two looks for a chain that is away.
const LOOK: Duration = Duration::from_secs(5);

/// Why a chain is not joined, or none begun.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    #[error("the chain at {url} checks proofs with other keys ({theirs}) than this program has ({ours}), and would refuse every proof; use the program of its version, or the other kind of parameters (--official-params)")]
    VerifyingKeys { url: String, ours: String, theirs: String },
    #[error("the network \"{network}\" has no sectors of {asked}; give --sector-size one of {supported}")]
    SectorSize {
        network: String,
        asked: SectorSize,
        supported: String,
    },
    #[error("the miner in {} is on the chain at {endpoint}, and a chain of its own would not know it; start it with --chain {endpoint}, or begin a chain in a home of its own with --home DIR", home.display())]
    OnAnothers { home: PathBuf, endpoint: String },
}

/// Why text is no address of a chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{url:?} is no endpoint of a chain ({reason}): give --chain or chain.url an address such as http://127.0.0.1:4403"
)]
pub struct NoEndpoint {
    url: String,
    reason: Unfit,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Unfit {
    #[error(transparent)]
    Url(#[from] LinkError),
    #[error("an endpoint has no query: its path is put behind what is given")]
    Query,
}

/// Finds out what `url` serves, and binds the home to it. Waits for a chain that the home knows already.
pub(super) fn join(
    config: &mut DaemonConfig,
    url: &str,
    home: &DataDir,
    proofs: &dyn Proofs,
) -> Result<(), DaemonError> {
    // Of one thread, which is gone before the proofs are prepared.
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().map_err(DaemonError::Runtime)?;
    let rpc = rpc_url(url);
    let ask = || network_at(&rpc);
    let found = match home.known_chain()? {
        Some(_) => runtime.block_on(when_reached(ask))?,
        None => runtime.block_on(ask())?,
    };
    drop(runtime);
    config.network.clone_from(&found.network);
    check_proofs(url, &found, proofs.verifying_keys(config))?;
    check_size(&found, config.sector_size)?;
    home.bind_chain(&KnownChain {
        genesis: found.genesis,
        endpoint: rpc,
    })?;
    Ok(())
}

/// A daemon that makes a chain has its miner on that one.
pub(super) fn check_own(home: &DataDir) -> Result<(), DaemonError> {
    match home.known_chain()? {
        Some(KnownChain { endpoint, .. }) if home.has_miner() && !home.has_chain() => {
            let home = home.root().to_owned();
            Err(JoinError::OnAnothers { home, endpoint }.into())
        }
        _ => Ok(()),
    }
}

/// Does what needs the chain as soon as its endpoint answers, and says that it waits.
pub(super) async fn when_reached<T, F>(mut ask: impl FnMut() -> F) -> Result<T, ChainError>
where
    F: Future<Output = Result<T, ChainError>>,
{
    let mut is_told = false;
    loop {
        match ask().await {
            Err(error) if error.is_temporary() => {
                if !is_told {
                    console::stderr(&format!("{error} Waiting for it; Ctrl-C ends this"));
                    is_told = true;
                }
            }
            other => return other,
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Whether a daemon can be told to ask there: what links may name ([`HttpUrl`]), without a query. [`DaemonConfig::check`] asks, before
/// anything is touched.
pub(super) fn check_url(url: &str) -> Result<(), NoEndpoint> {
    let reason = match url.parse::<HttpUrl>() {
        Ok(_) if !url.contains('?') => return Ok(()),
        Ok(_) => Unfit::Query,
        Err(error) => error.into(),
    };
    let url = url.chars().take(MAX_URL).collect();
    Err(NoEndpoint { url, reason })
}

fn check_proofs(url: &str, found: &NetworkView, ours: String) -> Result<(), JoinError> {
    let theirs = found.verifying_keys.clone();
    match ours == theirs {
        true => Ok(()),
        false => {
            let url = url.to_owned();
            Err(JoinError::VerifyingKeys { url, ours, theirs })
        }
    }
}

fn check_size(found: &NetworkView, asked: SectorSize) -> Result<(), JoinError> {
    let sizes = &found.policy.sector_sizes;
    if sizes.contains(&asked) {
        return Ok(());
    }
    let sizes: Vec<String> = sizes.iter().map(ToString::to_string).collect();
    Err(JoinError::SectorSize {
        network: found.network.clone(),
        asked,
        supported: sizes.join(", "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_of_http_is_an_endpoint() {
        for url in [
            "http://127.0.0.1:4403",
            "https://chain.example/rpc",
            "http://[::1]:1/rpc",
        ] {
            assert!(check_url(url).is_ok(), "{url}");
        }
        for url in [
            "",
            "127.0.0.1:4403",
            "ws://127.0.0.1:4403",
            "http://",
            "http:///rpc",
            "http://a b",
            "http://u@h",
            "ftp://chain.example",
            "http://h:0/rpc",
            "http://h/rpc?key=1",
            "http://h/#rpc",
        ] {
            let error = check_url(url).expect_err(url).to_string();
            assert!(
                error.contains("--chain") && error.contains(&format!("{url:?}")),
                "{error}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_chain_that_is_away_is_waited_for_and_another_error_is_told() {
        let mut asked = 0;
        let ask = || {
            asked += 1;
            let (url, reason) = (String::new(), String::new());
            let answer = match asked {
                3 => Ok(asked),
                _ => Err(ChainError::Unreachable { url, reason }),
            };
            async { answer }
        };
        assert_eq!(when_reached(ask).await.ok(), Some(3));
        let refused = when_reached(|| async { Err::<(), _>(ChainError::Damaged(String::new())) }).await;
        assert!(matches!(refused, Err(ChainError::Damaged(_))));
    }
}
