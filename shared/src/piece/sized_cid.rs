//! The second version of a piece CID (FRC-0069): CommP with the height of its tree and how many zeros were added to the bytes, so that
//! it says how long they are. The first, [`super::PieceCid`], says neither.

use super::commitment::{Commitment, PieceCid};
use super::commp::PieceCommitment;
use super::size::{PaddedSize, PieceSize, SizeError};
use crate::wire::leb128;
use alloc::string::{String, ToString};
use cid::multihash::Multihash;
use cid::Cid;
use core::fmt;
use core::str::FromStr;

/// Multicodec of raw bytes.
const RAW: u64 = 0x55;
/// Multihash code `fr32-sha2-256-trunc254-padbintree`.
const FR32_SHA2_256_TRUNC254_PADBINTREE: u64 = 0x1011;
/// Longest text read as a CID: one of these has 74 characters at most.
const MAX_CID_TEXT: usize = 128;

/// Why text or a CID names no piece.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PieceNameError {
    #[error("this is not a CID: {0}")]
    NotACid(String),
    #[error(
        "this CID names no piece (codec {codec:#x}, hash {hash:#x}); a piece CID starts with baga6ea4seaq or bafkzcib"
    )]
    NotAPieceCid { codec: u64, hash: u64 },
    #[error("this piece CID does not fit FRC-0069: {0}")]
    Malformed(&'static str),
}

/// CommP of bytes whose length is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizedPieceCid {
    pub comm_p: Commitment,
    size: PieceSize,
}

impl SizedPieceCid {
    pub fn new(comm_p: Commitment, size: PieceSize) -> Self {
        Self { comm_p, size }
    }

    /// Of a piece as it was hashed; fails for a size that no piece has.
    pub fn of(piece: &PieceCommitment) -> Result<Self, SizeError> {
        Ok(Self::new(piece.comm_p, PieceSize::new(piece.size)?))
    }

    /// Bytes of the piece.
    pub fn size(&self) -> u64 {
        self.size.bytes()
    }

    /// The CID itself.
    pub fn cid(&self) -> Cid {
        let padded = self.size.padded();
        let mut digest = leb128::unsigned(padded.unpadded().saturating_sub(self.size()));
        digest.push(padded.height());
        digest.extend_from_slice(self.comm_p.as_bytes());
        let hash = Multihash::wrap(FR32_SHA2_256_TRUNC254_PADBINTREE, &digest);
        Cid::new_v1(RAW, hash.expect("ten bytes of a number, one, and 32 fit in 64"))
    }

    fn of_digest(digest: &[u8]) -> Result<Self, PieceNameError> {
        let malformed = PieceNameError::Malformed;
        let read = leb128::read_unsigned(digest);
        let (padding, used) = read.map_err(|_| malformed("its padding is no number"))?;
        let rest = digest.get(used..).unwrap_or_default();
        let (height, root) = rest.split_first().ok_or(malformed("it has no height"))?;
        let root = Commitment::try_from(root).map_err(|_| malformed("its root has not 32 bytes"))?;
        let padded = PaddedSize::of_height(*height).ok_or(malformed("no piece has a tree of this height"))?;
        let size = padded.unpadded().checked_sub(padding);
        let size = size.and_then(|size| PieceSize::new(size).ok());
        let size = size.ok_or(malformed("its padding leaves no bytes"))?;
        match size.padded() == padded {
            true => Ok(Self::new(root, size)),
            false => Err(malformed("its padding is as long as its bytes")),
        }
    }
}

impl fmt::Display for SizedPieceCid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.cid(), f)
    }
}

/// The name of a piece in either version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PieceName {
    V1(PieceCid),
    V2(SizedPieceCid),
}

impl PieceName {
    /// CommP.
    pub fn comm_p(&self) -> Commitment {
        match self {
            Self::V1(cid) => cid.0,
            Self::V2(cid) => cid.comm_p,
        }
    }

    /// Whether a piece of this size may have the name.
    pub fn admits(&self, size: u64) -> bool {
        match self {
            Self::V1(_) => true,
            Self::V2(cid) => cid.size() == size,
        }
    }
}

impl TryFrom<&Cid> for PieceName {
    type Error = PieceNameError;
    fn try_from(cid: &Cid) -> Result<Self, PieceNameError> {
        let (codec, hash) = (cid.codec(), cid.hash().code());
        if (codec, hash) == (RAW, FR32_SHA2_256_TRUNC254_PADBINTREE) {
            return SizedPieceCid::of_digest(cid.hash().digest()).map(Self::V2);
        }
        let first = PieceCid::try_from(cid);
        first
            .map(Self::V1)
            .map_err(|_| PieceNameError::NotAPieceCid { codec, hash })
    }
}

impl FromStr for PieceName {
    type Err = PieceNameError;
    fn from_str(text: &str) -> Result<Self, PieceNameError> {
        if text.len() > MAX_CID_TEXT {
            return Err(PieceNameError::NotACid("it is too long".to_string()));
        }
        let cid = Cid::try_from(text).map_err(|error| PieceNameError::NotACid(error.to_string()))?;
        Self::try_from(&cid)
    }
}

impl fmt::Display for PieceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V1(cid) => cid.fmt(f),
            Self::V2(cid) => cid.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::piece::{CommPHasher, PieceCommitment};
    use alloc::vec;
    use alloc::vec::Vec;

    fn hashed(bytes: &[u8]) -> PieceCommitment {
        let mut hasher = CommPHasher::new();
        hasher.push(bytes).unwrap();
        hasher.finish().unwrap()
    }

    /// 127 bytes of 0, as many of 1, of 2 and of 3, and zeros behind.
    fn stairs(zeros: usize) -> Vec<u8> {
        let stairs = (0..4).flat_map(|step| [step; 127]);
        stairs.chain(core::iter::repeat_n(0, zeros)).collect()
    }

    #[test]
    fn the_examples_of_frc_0069_are_the_names_of_their_bytes() {
        for (bytes, first, second) in [
            (
                stairs(0),
                Some("baga6ea4seaqes3nobte6ezpp4wqan2age2s5yxcatzotcvobhgcmv5wi2xh5mbi"),
                "bafkzcibcaaces3nobte6ezpp4wqan2age2s5yxcatzotcvobhgcmv5wi2xh5mbi",
            ),
            (
                stairs(127 * 4),
                Some("baga6ea4seaqn42av3szurbbscwuu3zjssvfwbpsvbjf6y3tukvlgl2nf5rha6pa"),
                "bafkzcibcaac542av3szurbbscwuu3zjssvfwbpsvbjf6y3tukvlgl2nf5rha6pa",
            ),
            (
                stairs(4),
                Some("baga6ea4seaqn42av3szurbbscwuu3zjssvfwbpsvbjf6y3tukvlgl2nf5rha6pa"),
                "bafkzcibd7abqlxticxolgseegik2stpfgkkuwyf6kufex3doorkvmzpjuxwe4dz4",
            ),
            (
                stairs(5),
                None,
                "bafkzcibd64bqlxticxolgseegik2stpfgkkuwyf6kufex3doorkvmzpjuxwe4dz4",
            ),
            (
                vec![0; 127],
                None,
                "bafkzcibcaabdomn3tgwgrh3g532zopskstnbrd2n3sxfqbze7rxt7vqn7veigmy",
            ),
            (
                vec![0; 128],
                None,
                "bafkzcibcpybwiktap34inmaex4wbs6cghlq5i2j2yd2bb2zndn5ep7ralzphkdy",
            ),
        ] {
            let piece = hashed(&bytes);
            assert_eq!(SizedPieceCid::of(&piece).unwrap().to_string(), second);
            let name: PieceName = second.parse().unwrap();
            assert!(name.admits(piece.size) && !name.admits(piece.size + 1));
            assert_eq!((name.comm_p(), name.to_string().as_str()), (piece.comm_p, second));
            if let Some(first) = first {
                assert_eq!(PieceCid(piece.comm_p).to_string(), first);
                let name: PieceName = first.parse().unwrap();
                assert!(name.admits(1) && name.comm_p() == piece.comm_p);
            }
        }
        let of_32_gib = "bafkzcibcaapao7s73y24kcutaosvacpdjgfe5pw76ooefnyqw4ynr3d2y6x2mpq";
        let name: PieceName = of_32_gib.parse().unwrap();
        assert!(name.admits((32 << 30) / 128 * 127));
    }

    #[test]
    fn what_is_no_piece_of_frc_0069_is_refused() {
        let of = |padding: u64, height: u8, root: &[u8]| {
            let digest = [leb128::unsigned(padding), vec![height], root.to_vec()].concat();
            let hash = Multihash::wrap(FR32_SHA2_256_TRUNC254_PADBINTREE, &digest).unwrap();
            PieceName::try_from(&Cid::new_v1(RAW, hash))
        };
        let root = [7; 32];
        assert!(of(126, 2, &root).is_ok() && of(0, 3, &root).is_ok() && of(126, 3, &root).is_ok());
        for refused in [
            of(127, 2, &root),
            of(127, 3, &root),
            of(u64::MAX, 3, &root),
            of(0, 1, &root),
            of(0, 41, &root),
            of(0, 3, &root[1..]),
        ] {
            assert!(matches!(refused, Err(PieceNameError::Malformed(_))), "{refused:?}");
        }
        // No bytes are no piece.
        let empty = "bafkzcibcp4bdomn3tgwgrh3g532zopskstnbrd2n3sxfqbze7rxt7vqn7veigmy".parse::<PieceName>();
        assert!(matches!(empty, Err(PieceNameError::Malformed(_))));
        let data = "bafkreidogqfzz75tpkmjzjke425xqcrmpcib2p5tg44hnbirumdbpl5adu".parse::<PieceName>();
        assert!(matches!(
            data,
            Err(PieceNameError::NotAPieceCid {
                codec: 0x55,
                hash: 0x12
            })
        ));
        assert!(matches!(
            "b".repeat(1000).parse::<PieceName>(),
            Err(PieceNameError::NotACid(_))
        ));
    }
}
