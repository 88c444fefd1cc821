//! What a home that was used before has settled: its network, the size of its sectors, and whose chain it is on. None of that changes.

use super::InitError;
use crate::daemon::Role;
use sealdrop_miner::data_dir::{DataDir, DataDirError, Identity};
use shared::piece::SectorSize;
use std::path::Path;

/// What is settled; nothing in a new home.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settled {
    pub identity: Option<Identity>,
    pub role: Option<SettledRole>,
    /// Whether a daemon uses it now.
    pub is_in_use: bool,
}

/// Whose chain a home is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettledRole {
    /// A chain was made here; a miner may come to it.
    OwnChain { has_miner: bool },
    /// A miner is on another's chain.
    Anothers { chain: String },
}

impl Settled {
    /// Of a folder, which is not touched unless it is a home already.
    pub fn of(home: &Path) -> Result<Self, DataDirError> {
        if !home.join("network.json").exists() {
            return Ok(Self::default());
        }
        let home = DataDir::open(Some(home.to_owned()))?;
        let known = home.known_chain()?;
        let role = match (home.has_chain(), home.has_miner(), known) {
            (true, has_miner, _) => Some(SettledRole::OwnChain { has_miner }),
            (false, true, Some(known)) => {
                let chain = known.endpoint.trim_end_matches("/rpc").to_owned();
                Some(SettledRole::Anothers { chain })
            }
            (false, ..) => None,
        };
        Ok(Self {
            identity: home.identity()?,
            role,
            is_in_use: home.is_in_use()?,
        })
    }

    /// The role that stands, unless somebody asks for another that is possible.
    pub fn role(&self) -> Option<Role> {
        Some(match self.role.clone()? {
            SettledRole::OwnChain { has_miner: true } => Role::ChainAndMiner,
            SettledRole::OwnChain { has_miner: false } => Role::Chain,
            SettledRole::Anothers { chain } => Role::Miner { chain },
        })
    }

    /// Whether nothing is left to ask about the role.
    pub fn has_role_for_good(&self) -> bool {
        !matches!(self.role, None | Some(SettledRole::OwnChain { has_miner: false }))
    }

    /// Refuses a role that the home cannot take any more. Another URL may be the same chain's.
    pub fn check_role(&self, asked: &Role) -> Result<(), InitError> {
        let is_possible = match (&self.role, asked) {
            (None, _) => true,
            (Some(SettledRole::OwnChain { has_miner }), Role::Chain) => !has_miner,
            (Some(SettledRole::OwnChain { .. }), Role::ChainAndMiner) => true,
            (Some(SettledRole::Anothers { .. }), Role::Miner { .. }) => true,
            _ => false,
        };
        match is_possible {
            true => Ok(()),
            false => Err(self.refused("role", role_name(asked).to_owned(), || {
                self.role().as_ref().map_or("none", role_name).to_owned()
            })),
        }
    }

    /// Refuses another size of sectors, and another name of a network that is made here.
    pub fn check_network(&self, size: SectorSize, network: Option<&str>) -> Result<(), InitError> {
        let Some(identity) = &self.identity else { return Ok(()) };
        if size != identity.sector_size {
            return Err(self.refused("sector size", size.to_string(), || identity.sector_size.to_string()));
        }
        match network.filter(|asked| *asked != identity.network) {
            None => Ok(()),
            Some(asked) => Err(self.refused("network", asked.to_owned(), || identity.network.clone())),
        }
    }

    fn refused(&self, what: &'static str, asked: String, found: impl FnOnce() -> String) -> InitError {
        InitError::Settled {
            what,
            asked,
            found: found(),
        }
    }
}

/// What a role is called on the command line.
pub const fn role_name(role: &Role) -> &'static str {
    match role {
        Role::ChainAndMiner => "chain-and-miner",
        Role::Miner { .. } => "miner",
        Role::Chain => "chain",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealdrop_miner::data_dir::KnownChain;

    #[test]
    fn a_new_folder_has_settled_nothing_and_is_not_made_for_the_question() {
        let dir = tempfile::tempdir().expect("there is room for a directory");
        let new = dir.path().join("new");
        let settled = Settled::of(&new).expect("nothing is there");
        assert_eq!(settled, Settled::default());
        assert!(!new.exists());
        assert!(
            settled.check_role(&Role::Chain).is_ok() && settled.check_network(SectorSize::S2KiB, Some("x")).is_ok()
        );
    }

    #[test]
    fn a_home_keeps_its_network_its_sectors_and_whose_chain_it_is_on() {
        let dir = tempfile::tempdir().expect("there is room for a directory");
        let home = DataDir::open(Some(dir.path().to_owned())).expect("it can be made");
        let identity = Identity {
            network: "alpha".into(),
            sector_size: SectorSize::S2KiB,
        };
        home.claim(&identity).expect("it is new");
        std::fs::create_dir_all(home.miner().join("store")).expect("there is room");
        let chain = KnownChain {
            genesis: "g".into(),
            endpoint: "http://192.0.2.7:4403/rpc".into(),
        };
        home.bind_chain(&chain).expect("it is the first");
        let settled = Settled::of(dir.path()).expect("it is whole");
        let chain = "http://192.0.2.7:4403".to_owned();
        assert_eq!(settled.role(), Some(Role::Miner { chain }));
        assert!(settled.has_role_for_good() && !settled.is_in_use);
        let refused = settled.check_role(&Role::Chain).expect_err("its chain is another's");
        assert!(refused.to_string().contains("miner"), "{refused}");
        let chain = "https://chain.example".to_owned();
        assert!(settled.check_role(&Role::Miner { chain }).is_ok());
        assert!(settled.check_network(SectorSize::S2KiB, Some("alpha")).is_ok());
        assert!(settled.check_network(SectorSize::S8MiB, None).is_err());
        assert!(settled.check_network(SectorSize::S2KiB, Some("beta")).is_err());

        std::fs::create_dir_all(home.devnet()).expect("there is room");
        let own = Settled::of(dir.path()).expect("it is whole");
        assert_eq!(own.role(), Some(Role::ChainAndMiner));
        assert!(own.check_role(&Role::Chain).is_err(), "its sectors would not be proven");
    }
}
