//! What a browser lets a page reach: mixed content, secure contexts, and the permission for the local network.
//!
//! The rules of Chromium 147 and later, the strictest there are: a page that passes them passes in the other engines, which have no
//! such permission ([`Permission::Granted`] there). A WebRTC data channel needs none anywhere.

use super::address::{Reach, Transport};
use super::obstacle::Obstacle;
use serde::{Deserialize, Serialize};

/// What the browser's user has said to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Permission {
    /// Allowed, or the browser does not ask.
    Granted,
    /// It will be asked.
    Prompt,
    Denied,
}

/// The page that a client is part of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// From where its origin can be reached.
    pub reach: Reach,
    /// Whether it was loaded over https, so that nothing may go in the clear.
    pub is_https: bool,
    /// Whether its browser calls it a secure context: https, or this machine.
    pub is_secure: bool,
    /// Whether it may talk to devices of the local network.
    pub local_network: Permission,
    /// Whether it may talk to this machine.
    pub loopback: Permission,
}

impl Page {
    /// A page by its origin (`https://app.example`); what the browser says of it comes beside.
    pub fn of_origin(origin: &str, is_secure: bool, local_network: Permission, loopback: Permission) -> Self {
        let (scheme, rest) = origin.split_once("://").unwrap_or(("", origin));
        Self {
            reach: Reach::of_host(host_of(rest)),
            is_https: scheme == "https",
            is_secure,
            local_network,
            loopback,
        }
    }

    /// Why the browser will not let the page dial such an address.
    pub(super) fn refuses(&self, transport: Transport, to: Reach) -> Option<Obstacle> {
        let is_clear = transport == Transport::WebSocket;
        self.refuses_clear(is_clear, to)
            .or_else(|| (transport == Transport::WebTransport && !self.is_secure).then_some(Obstacle::InsecurePage))
            .or_else(|| match self.permission(transport, to) {
                Permission::Denied => Some(Obstacle::PermissionDenied),
                _ if !self.is_secure && transport != Transport::WebRtcDirect && to < self.reach => {
                    Some(Obstacle::InsecurePage)
                }
                _ => None,
            })
    }

    /// The permission that the page needs for such an address: none for one that is no nearer than its own.
    pub(super) fn permission(&self, transport: Transport, to: Reach) -> Permission {
        match to {
            _ if to >= self.reach || transport == Transport::WebRtcDirect => Permission::Granted,
            Reach::Loopback => self.loopback,
            _ => self.local_network,
        }
    }

    /// Why the browser will not let the page ask an HTTP endpoint, such as a chain's; `None` for what it may ask, or may after its
    /// user was asked, and for what is no URL of http or https.
    fn refuses_url(&self, url: &str) -> Option<Obstacle> {
        let (scheme, to) = split_url(url)?;
        self.refuses_clear(scheme == "http", to)
            .or_else(|| match self.permission_for(to) {
                Permission::Denied => Some(Obstacle::PermissionDenied),
                _ if !self.is_secure && to < self.reach => Some(Obstacle::InsecurePage),
                _ => None,
            })
    }

    /// Whether the browser lets the page ask an HTTP endpoint without a question to its user; not so for what is no URL of http or https.
    pub fn may_ask(&self, url: &str) -> bool {
        let asks = |(_, to)| self.permission_for(to) != Permission::Granted;
        !split_url(url).is_none_or(asks) && self.refuses_url(url).is_none()
    }

    /// What is in the way of an HTTP endpoint that gave the page no answer, such as a chain's. `answers`: whether it does answer a
    /// request whose answer the page may not read.
    pub fn obstacle_to(&self, url: &str, answers: bool) -> Obstacle {
        let asks = split_url(url).is_some_and(|(_, to)| self.permission_for(to) == Permission::Prompt);
        match self.refuses_url(url) {
            Some(obstacle) => obstacle,
            None if answers => Obstacle::CrossOrigin,
            None if asks => Obstacle::PermissionPending,
            None => Obstacle::NoAnswer,
        }
    }

    fn permission_for(&self, to: Reach) -> Permission {
        self.permission(Transport::SecureWebSocket, to)
    }

    /// This machine is reached without a network, so what goes there in the clear is not mixed content.
    fn refuses_clear(&self, is_clear: bool, to: Reach) -> Option<Obstacle> {
        (is_clear && self.is_https && to != Reach::Loopback).then_some(Obstacle::MixedContent)
    }
}

/// Scheme and reach of a URL of http or https.
fn split_url(url: &str) -> Option<(&str, Reach)> {
    let (scheme, rest) = url.split_once("://")?;
    ["http", "https"]
        .contains(&scheme)
        .then(|| (scheme, Reach::of_host(host_of(rest))))
}

/// The host of what follows the scheme.
fn host_of(rest: &str) -> &str {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let authority = authority.rsplit('@').next().unwrap_or_default();
    match authority.strip_prefix('[').and_then(|v6| v6.split_once(']')) {
        Some((host, _)) => host,
        None => authority.split(':').next().unwrap_or_default(),
    }
}
