//! How a miner is reached: the address that is used, and for each other one why not. For people and programs to see.

use super::{Obstacle, Plan, Transport};
use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// What becomes of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// The connection is over it.
    Used,
    /// It would be dialled, in this order.
    Next,
    /// It was dialled, in vain.
    Failed,
    /// It is not dialled.
    LeftOut,
}

/// One address of a miner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RouteAddress {
    pub address: String,
    pub standing: Standing,
    /// Absent where the address cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport: Option<Transport>,
    /// Why it is not used; absent for the one that is, and for those that are to be dialled without a question.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub obstacle: Option<Obstacle>,
    /// The same in words; may be empty.
    pub message: String,
    /// What to do about it; may be empty.
    pub hint: String,
}

/// How a miner is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Route {
    /// Whether there is a connection now.
    pub connected: bool,
    /// The one that is used first, then those to be dialled, then the others.
    pub addresses: Vec<RouteAddress>,
}

impl Route {
    /// What a client makes of a miner's addresses: `used` is the one of its connection, `failed` those that were dialled in vain,
    /// with the reason in the words of libp2p or the browser.
    pub fn of(plan: &Plan, used: Option<&str>, failed: &[(String, String)]) -> Self {
        let mut addresses: Vec<RouteAddress> = used.map(RouteAddress::used).into_iter().collect();
        let others = plan
            .dial
            .iter()
            .filter(|candidate| Some(candidate.address.as_str()) != used);
        for candidate in others {
            let why = failed.iter().find(|(address, _)| *address == candidate.address);
            let asks = candidate.asks.then_some(Obstacle::PermissionPending);
            let (standing, obstacle) = match (why, used) {
                (Some(_), _) => (Standing::Failed, asks.or(Some(Obstacle::NoAnswer))),
                (None, Some(_)) => (Standing::LeftOut, Some(Obstacle::NotNeeded)),
                (None, None) => (Standing::Next, asks),
            };
            let mut shown = RouteAddress::new(&candidate.address, Some(candidate.transport), standing, obstacle);
            if let (Some((_, why)), Some(Obstacle::NoAnswer)) = (why, obstacle) {
                shown.message = why.clone();
            }
            addresses.push(shown);
        }
        let left_out = plan.left_out.iter().filter(|left| Some(left.address.as_str()) != used);
        addresses.extend(
            left_out
                .map(|left| RouteAddress::new(&left.address, left.transport, Standing::LeftOut, Some(left.obstacle))),
        );
        Self {
            connected: used.is_some(),
            addresses,
        }
    }

    /// The reason that tells most why there is no connection.
    pub fn obstacle(&self) -> Option<Obstacle> {
        let reasons = self.addresses.iter().filter_map(|shown| shown.obstacle);
        reasons.min().filter(|_| !self.connected)
    }
}

impl RouteAddress {
    fn new(address: &str, transport: Option<Transport>, standing: Standing, obstacle: Option<Obstacle>) -> Self {
        Self {
            address: address.to_owned(),
            standing,
            transport,
            obstacle,
            message: obstacle.map_or("", Obstacle::message).to_owned(),
            hint: obstacle.map_or("", Obstacle::hint).to_owned(),
        }
    }

    fn used(address: &str) -> Self {
        let read = super::DialAddress::parse(address);
        Self::new(address, read.ok().map(|read| read.transport), Standing::Used, None)
    }
}
