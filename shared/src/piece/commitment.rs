//! 32-byte commitments (CommP, CommD, CommR, CommC) and the piece CID, the text form of CommP that Filecoin tools print.

use crate::wire::cbor::{Cbor, DecodeError, Value};
use alloc::string::String;
use cid::multihash::Multihash;
use cid::Cid;
use core::fmt;
use core::str::FromStr;
use serde::{de, Deserialize, Deserializer, Serialize, Serializer};

/// Multicodec of an unsealed Filecoin commitment.
const FIL_COMMITMENT_UNSEALED: u64 = 0xf101;
/// Multihash code of the SHA-256 tree with two bits of each node cleared.
const SHA2_256_TRUNC254_PADDED: u64 = 0x1012;
/// Longest text read as a CID: a piece CID has 64 characters.
const MAX_CID_TEXT: usize = 128;

/// Why text or bytes are not a commitment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitmentError {
    #[error("a commitment has 32 bytes, not {found}")]
    Length { found: usize },
    #[error("a commitment is written as 64 hexadecimal digits")]
    NotHex,
    #[error("this is not a CID: {reason}")]
    NotACid { reason: String },
    #[error("this CID names no piece (codec {codec:#x}, hash {hash:#x}); a piece CID starts with baga6ea4seaq")]
    NotAPieceCid { codec: u64, hash: u64 },
}

/// The root of a tree over a piece or a sector: CommP, CommD, CommR or CommC. Shown and serialised as hexadecimal text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Commitment(pub [u8; 32]);

impl Commitment {
    /// The commitment's bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for Commitment {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl TryFrom<&[u8]> for Commitment {
    type Error = CommitmentError;
    fn try_from(bytes: &[u8]) -> Result<Self, CommitmentError> {
        let found = bytes.len();
        bytes
            .try_into()
            .map(Self)
            .map_err(|_| CommitmentError::Length { found })
    }
}

impl fmt::Display for Commitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Commitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Commitment({self})")
    }
}

impl FromStr for Commitment {
    type Err = CommitmentError;
    fn from_str(text: &str) -> Result<Self, CommitmentError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| CommitmentError::NotHex)?;
        Ok(Self(bytes))
    }
}

impl Cbor for Commitment {
    fn to_value(&self) -> Value {
        self.0.to_value()
    }
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        Cbor::from_value(value).map(Self)
    }
}

impl Serialize for Commitment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Commitment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// CommP as a CID (version 1, `fil-commitment-unsealed`, `sha2-256-trunc254-padded`): the text `baga6ea4seaq…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PieceCid(pub Commitment);

impl PieceCid {
    /// The CID itself.
    pub fn cid(&self) -> Cid {
        let hash = Multihash::wrap(SHA2_256_TRUNC254_PADDED, &self.0 .0).expect("32 bytes fit in a 64-byte multihash");
        Cid::new_v1(FIL_COMMITMENT_UNSEALED, hash)
    }
}

impl From<Commitment> for PieceCid {
    fn from(comm_p: Commitment) -> Self {
        Self(comm_p)
    }
}

impl TryFrom<&Cid> for PieceCid {
    type Error = CommitmentError;
    fn try_from(cid: &Cid) -> Result<Self, CommitmentError> {
        let (codec, hash) = (cid.codec(), cid.hash().code());
        if (codec, hash) != (FIL_COMMITMENT_UNSEALED, SHA2_256_TRUNC254_PADDED) {
            return Err(CommitmentError::NotAPieceCid { codec, hash });
        }
        cid.hash().digest().try_into().map(Self)
    }
}

impl fmt::Display for PieceCid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.cid(), f)
    }
}

impl FromStr for PieceCid {
    type Err = CommitmentError;
    fn from_str(text: &str) -> Result<Self, CommitmentError> {
        let not_a_cid = |reason: &dyn fmt::Display| CommitmentError::NotACid {
            reason: alloc::format!("{reason}"),
        };
        if text.len() > MAX_CID_TEXT {
            return Err(not_a_cid(&"it is too long"));
        }
        let cid = Cid::try_from(text).map_err(|e| not_a_cid(&e))?;
        Self::try_from(&cid)
    }
}

impl Serialize for PieceCid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PieceCid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::piece::zero_commitment;
    use alloc::string::ToString;

    /// The CommP of 32 GiB and 64 GiB of zeros, as published with go-fil-commcid.
    const EMPTY_32_GIB: &str = "baga6ea4seaqao7s73y24kcutaosvacpdjgfe5pw76ooefnyqw4ynr3d2y6x2mpq";
    const EMPTY_64_GIB: &str = "baga6ea4seaqomqafu276g53zko4k23xzh4h4uecjwicbmvhsuqi7o4bhthhm4aq";

    #[test]
    fn the_piece_cids_of_empty_sectors_are_the_published_ones() {
        for (height, text) in [(30, EMPTY_32_GIB), (31, EMPTY_64_GIB)] {
            let cid = PieceCid(zero_commitment(height).unwrap());
            assert_eq!(cid.to_string(), text);
            assert_eq!(text.parse(), Ok(cid));
        }
    }

    #[test]
    fn a_commitment_reads_back_from_its_text() {
        let commitment = Commitment([0xa5; 32]);
        assert_eq!(commitment.to_string().parse(), Ok(commitment));
        let json = serde_json::to_string(&commitment).unwrap();
        assert_eq!(json, alloc::format!("\"{}\"", "a5".repeat(32)));
        assert_eq!(serde_json::from_str::<Commitment>(&json).unwrap(), commitment);
        assert_eq!("a5".parse::<Commitment>(), Err(CommitmentError::NotHex));
        assert_eq!("zz".repeat(32).parse::<Commitment>(), Err(CommitmentError::NotHex));
        assert_eq!(
            Commitment::try_from([0u8; 31].as_slice()),
            Err(CommitmentError::Length { found: 31 })
        );
    }

    #[test]
    fn a_cid_of_something_else_is_not_a_piece_cid() {
        let raw = "bafkreidogqfzz75tpkmjzjke425xqcrmpcib2p5tg44hnbirumdbpl5adu";
        assert_eq!(
            raw.parse::<PieceCid>(),
            Err(CommitmentError::NotAPieceCid {
                codec: 0x55,
                hash: 0x12
            })
        );
        assert!(matches!("".parse::<PieceCid>(), Err(CommitmentError::NotACid { .. })));
        assert!(matches!(
            "b".repeat(1000).parse::<PieceCid>(),
            Err(CommitmentError::NotACid { .. })
        ));
    }
}
