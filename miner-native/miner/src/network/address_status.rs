//! Where the miner says that it is, and whether it answers there: what health, `mining status` and `sealdrop doctor` show.

use super::advertised::Reach;
use super::http_address::is_http;
use super::probe::{Fault, Unanswered};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An advertised address, and how it was when it was last tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AddressStatus {
    /// A multiaddr without the peer id.
    pub address: String,
    pub reach: Reach,
    /// Whether it answered as this miner; none before it was tried, and where it cannot be tried from here.
    pub answers: Option<bool>,
    /// Why it did not, or could not be tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<AddressFault>,
    /// When it was last tried, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tried_at: Option<u64>,
    /// Milliseconds until it answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
    /// What another miner found that dialled it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outside: Option<OutsideVerdict>,
}

/// Why an address does not answer, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AddressFault {
    pub code: Fault,
    pub text: String,
    pub advice: String,
}

impl From<&Unanswered> for AddressFault {
    fn from(reason: &Unanswered) -> Self {
        let code = reason.fault();
        Self {
            code,
            text: reason.to_string(),
            advice: code.advice().to_owned(),
        }
    }
}

/// Another miner's word (AutoNAT): it is not signed, and it may err.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutsideVerdict {
    /// Its peer id.
    pub by: String,
    pub reached: bool,
    /// Milliseconds since 1970.
    pub at: u64,
}

impl AddressStatus {
    /// One that was not tried yet.
    pub fn untried(address: String, reach: Reach) -> Self {
        Self {
            address,
            reach,
            answers: None,
            fault: None,
            tried_at: None,
            took_ms: None,
            outside: None,
        }
    }

    /// Whether somebody reached the miner there: from here, or from another miner's place. A router that does not lead its own network's
    /// connections back makes the two differ.
    pub fn is_reached(&self) -> bool {
        self.answers == Some(true) || self.outside.as_ref().is_some_and(|outside| outside.reached)
    }

    /// Whether it is one of HTTP, which libp2p does not dial.
    pub fn is_http(&self) -> bool {
        self.address.parse().is_ok_and(|address| is_http(&address))
    }

    /// In a line, for people.
    pub fn described(&self) -> String {
        let tried = match (self.answers, &self.fault) {
            (Some(true), _) => self
                .took_ms
                .map_or("answers".to_owned(), |ms| format!("answers in {ms} ms")),
            (_, Some(fault)) => fault.text.clone(),
            (_, None) => "not tried yet".to_owned(),
        };
        match &self.outside {
            None => tried,
            Some(outside) if outside.reached => format!("{tried}; another miner reached it"),
            Some(_) => format!("{tried}; another miner did not reach it"),
        }
    }
}
