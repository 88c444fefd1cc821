//! Why an address or an endpoint is not used, in stable codes, and what to do about it.

use serde::{Deserialize, Serialize};

/// What stands between a client and an address. Programs go by the code, people by the words beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Obstacle {
    /// The browser's user does not let this site reach the local network, or this machine.
    PermissionDenied,
    /// The browser asks its user first, and has no answer yet.
    PermissionPending,
    /// A page over https may not talk to others in the clear.
    MixedContent,
    /// Browsers allow this only to pages over https and to those of the same machine.
    InsecurePage,
    /// This browser does not have the transport.
    MissingApi,
    /// The address vouches for a certificate that its listener has no more.
    OutdatedCertificate,
    /// Its listener has a certificate of no authority, and the address does not vouch for it.
    NoCertificateHash,
    /// The server answers, and does not let pages of this site read that.
    CrossOrigin,
    /// It was tried, and nothing came of it. Browsers do not say why.
    NoAnswer,
    /// It was tried a moment ago, in vain; others go first.
    FailedLately,
    /// No client of this kind has its transport.
    Unsupported,
    /// The address leads to somebody else.
    OtherPeer,
    /// The address cannot be read.
    Malformed,
    /// Better ones are tried first.
    Surplus,
    /// Another one was faster.
    NotNeeded,
}

impl Obstacle {
    /// Why, as the end of a sentence.
    pub const fn message(self) -> &'static str {
        match self {
            Self::PermissionDenied => "this site is not allowed to reach devices of the local network, this one included",
            Self::PermissionPending => {
                "the browser wants to know first whether this site may reach devices of the local network, this one included"
            }
            Self::MixedContent => "a page over https may not talk to it without encryption",
            Self::InsecurePage => "the browser allows that only to pages over https",
            Self::MissingApi => "this browser does not have that transport",
            Self::OutdatedCertificate => "its certificate has been renewed since",
            Self::NoCertificateHash => "the address does not vouch for its certificate",
            Self::CrossOrigin => "the server answers, but does not let pages of this site read that",
            Self::NoAnswer => "nothing came of it",
            Self::FailedLately => "it has just failed, so others go first",
            Self::Unsupported => "clients of this kind do not have that transport",
            Self::OtherPeer => "it leads to another peer",
            Self::Malformed => "it cannot be read as an address",
            Self::Surplus => "better ones are tried first",
            Self::NotNeeded => "another one was faster",
        }
    }

    /// What to do about it; empty where there is nothing to be done.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::PermissionDenied => {
                "Allow it in the browser's settings for this site (the sign beside the address, then “Local network access”, or “Apps on device”), and reload the page."
            }
            Self::PermissionPending => "Choose “Allow” when the browser asks, and try again.",
            Self::MixedContent => {
                "Open this page over http from the machine of the daemon, or have the operator offer WebTransport or a certificate (`wss`, `https`)."
            }
            Self::InsecurePage => "Open this page over https, or as http://127.0.0.1 on the machine of the daemon.",
            Self::MissingApi => "Use a current browser.",
            Self::OutdatedCertificate => "Ask whoever made the link for a new one. The chain's directory has the new address, too.",
            Self::NoCertificateHash => "Have the operator announce the address with its certificate hash.",
            Self::CrossOrigin => {
                "Have its operator open it to pages of other sites (for a chain: `chain.public = true` in sealdrop.toml), or use one that is."
            }
            Self::NoAnswer => "Check that it runs and that no firewall is in the way (WebTransport and WebRTC need UDP).",
            Self::FailedLately
            | Self::Unsupported
            | Self::OtherPeer
            | Self::Malformed
            | Self::Surplus
            | Self::NotNeeded => "",
        }
    }
}
