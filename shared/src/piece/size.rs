//! Sizes of pieces and sectors, as types (spec §8.2).
//!
//! Every 127 bytes of a file become 128 bytes of a sector ([`super::CommPHasher`] does it), so a piece has two sizes: its
//! own ([`PieceSize`]) and the room it takes in a sector ([`PaddedSize`]).

use alloc::string::String;
use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Serialize};

/// Bytes of a file that expand to one smallest padded piece.
pub const UNPADDED_QUAD: u64 = 127;
/// Bytes of the smallest padded piece: four tree leaves.
pub const PADDED_QUAD: u64 = 128;
/// Bytes of a tree leaf.
pub const LEAF: u64 = 32;
/// Largest padded size handled, 32 TiB: far above the largest sector, and low enough that no sum here overflows.
pub const MAX_PADDED: u64 = 1 << 45;
/// Largest file handled as one piece, in bytes.
pub const MAX_PIECE: u64 = MAX_PADDED / PADDED_QUAD * UNPADDED_QUAD;
/// Height of the tree over [`MAX_PADDED`] bytes.
pub const MAX_HEIGHT: u8 = 40;

/// Why a number is not the size it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// Nothing can be proven about no bytes.
    #[error("the piece is empty; choose a file with at least one byte")]
    Empty,
    /// Over [`MAX_PIECE`] or [`MAX_PADDED`].
    #[error("{size} bytes are more than the {limit} bytes handled; split the file into pieces")]
    TooLarge { size: u64, limit: u64 },
    /// Not 128·2^k.
    #[error("{size} is not a padded piece size; padded sizes are 128 times a power of two")]
    NotPadded { size: u64 },
    /// No sector has this many bytes.
    #[error("no sector has {bytes} bytes; sectors have 2 KiB, 8 MiB, 512 MiB or 32 GiB")]
    UnknownSector { bytes: u64 },
    /// No sector size has this name.
    #[error("'{name}' names no sector size; use 2KiB, 8MiB, 512MiB or 32GiB")]
    UnknownSectorName { name: String },
}

/// Bytes of a piece as its owner counts them: the file's length, from 1 to [`MAX_PIECE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct PieceSize(u64);

impl PieceSize {
    /// Fails with [`SizeError::Empty`] for 0 and [`SizeError::TooLarge`] above [`MAX_PIECE`].
    pub fn new(bytes: u64) -> Result<Self, SizeError> {
        match bytes {
            0 => Err(SizeError::Empty),
            size if size > MAX_PIECE => Err(SizeError::TooLarge { size, limit: MAX_PIECE }),
            size => Ok(Self(size)),
        }
    }

    /// The size in bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }

    /// The room the piece takes in a sector: the smallest 127·2^k that holds it, expanded (spec §8.2).
    pub fn padded(self) -> PaddedSize {
        let quads = self.0.div_ceil(UNPADDED_QUAD).next_power_of_two();
        PaddedSize(quads.saturating_mul(PADDED_QUAD))
    }
}

impl TryFrom<u64> for PieceSize {
    type Error = SizeError;
    fn try_from(bytes: u64) -> Result<Self, SizeError> {
        Self::new(bytes)
    }
}

impl From<PieceSize> for u64 {
    fn from(size: PieceSize) -> u64 {
        size.0
    }
}

impl fmt::Display for PieceSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0)
    }
}

/// Room in a sector: 128·2^k bytes, at most [`MAX_PADDED`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct PaddedSize(u64);

impl PaddedSize {
    /// 1 MiB.
    pub const MIB: Self = Self(1 << 20);

    /// Fails with [`SizeError::NotPadded`] for anything but 128·2^k and [`SizeError::TooLarge`] above [`MAX_PADDED`].
    pub fn new(bytes: u64) -> Result<Self, SizeError> {
        if bytes > MAX_PADDED {
            return Err(SizeError::TooLarge {
                size: bytes,
                limit: MAX_PADDED,
            });
        }
        if bytes < PADDED_QUAD || !bytes.is_power_of_two() {
            return Err(SizeError::NotPadded { size: bytes });
        }
        Ok(Self(bytes))
    }

    /// The size of a tree of `height` levels above its 32-byte leaves: 2 (one quad) to [`MAX_HEIGHT`].
    pub fn of_height(height: u8) -> Option<Self> {
        (2..=MAX_HEIGHT).contains(&height).then(|| Self(LEAF << height))
    }

    /// The size in bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }

    /// File bytes that fill this room exactly: 127·2^k.
    pub fn unpadded(self) -> u64 {
        (self.0 / PADDED_QUAD).saturating_mul(UNPADDED_QUAD)
    }

    /// Bytes of the shortest file that takes this room.
    pub fn least(self) -> u64 {
        match self.0 {
            ..=PADDED_QUAD => 1,
            _ => (self.unpadded() / 2).saturating_add(1),
        }
    }

    /// 32-byte leaves under the piece's root.
    pub fn leaves(self) -> u64 {
        self.0 / LEAF
    }

    /// Levels of the tree above its leaves: log2 of [`Self::leaves`].
    pub fn height(self) -> u8 {
        self.leaves().trailing_zeros() as u8
    }
}

impl TryFrom<u64> for PaddedSize {
    type Error = SizeError;
    fn try_from(bytes: u64) -> Result<Self, SizeError> {
        Self::new(bytes)
    }
}

impl From<PaddedSize> for u64 {
    fn from(size: PaddedSize) -> u64 {
        size.0
    }
}

impl fmt::Display for PaddedSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shift, name) = binary_unit(self.0);
        write!(f, "{} {name}", self.0 >> shift)
    }
}

/// The padded size of a file of `unpadded` bytes.
pub fn padded_for(unpadded: u64) -> Result<PaddedSize, SizeError> {
    Ok(PieceSize::new(unpadded)?.padded())
}

/// The sector sizes that proof parameters exist for (design §10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub enum SectorSize {
    /// For tests.
    S2KiB,
    /// The devnet's default.
    S8MiB,
    S512MiB,
    /// Needs the network's official parameters.
    S32GiB,
}

impl SectorSize {
    /// All sizes, smallest first.
    pub const ALL: [Self; 4] = [Self::S2KiB, Self::S8MiB, Self::S512MiB, Self::S32GiB];

    /// The size in bytes.
    pub fn bytes(self) -> u64 {
        match self {
            Self::S2KiB => 2 << 10,
            Self::S8MiB => 8 << 20,
            Self::S512MiB => 512 << 20,
            Self::S32GiB => 32 << 30,
        }
    }

    /// File bytes that a sector holds (spec §8.2).
    pub fn usable(self) -> u64 {
        self.padded().unpadded()
    }

    /// The room that a piece takes when it fills the sector.
    pub fn padded(self) -> PaddedSize {
        PaddedSize(self.bytes())
    }

    /// The size of exactly `bytes` bytes.
    pub fn from_bytes(bytes: u64) -> Result<Self, SizeError> {
        Self::ALL
            .into_iter()
            .find(|size| size.bytes() == bytes)
            .ok_or(SizeError::UnknownSector { bytes })
    }
}

impl TryFrom<u64> for SectorSize {
    type Error = SizeError;
    fn try_from(bytes: u64) -> Result<Self, SizeError> {
        Self::from_bytes(bytes)
    }
}

impl From<SectorSize> for u64 {
    fn from(size: SectorSize) -> u64 {
        size.bytes()
    }
}

impl FromStr for SectorSize {
    type Err = SizeError;
    /// Takes "8MiB" and "8 MiB".
    fn from_str(text: &str) -> Result<Self, SizeError> {
        match text {
            "2KiB" | "2 KiB" => Ok(Self::S2KiB),
            "8MiB" | "8 MiB" => Ok(Self::S8MiB),
            "512MiB" | "512 MiB" => Ok(Self::S512MiB),
            "32GiB" | "32 GiB" => Ok(Self::S32GiB),
            // The name comes from outside: an error message keeps only its start.
            other => Err(SizeError::UnknownSectorName {
                name: other.chars().take(32).collect(),
            }),
        }
    }
}

impl fmt::Display for SectorSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.padded())
    }
}

/// The largest binary unit that divides a power of two into at least 1: how many bits it takes off.
fn binary_unit(bytes: u64) -> (u32, &'static str) {
    match bytes {
        0..=1023 => (0, "bytes"),
        1024..=0xF_FFFF => (10, "KiB"),
        0x10_0000..=0x3FFF_FFFF => (20, "MiB"),
        0x4000_0000..=0xFF_FFFF_FFFF => (30, "GiB"),
        _ => (40, "TiB"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_piece_takes_the_smallest_room_that_holds_it() {
        for (unpadded, padded) in [
            (1, 128),
            (127, 128),
            (128, 256),
            (254, 256),
            (255, 512),
            (1016, 1024),
            (1017, 2048),
            (8_323_072, 8 << 20),
            (8_323_073, 16 << 20),
        ] {
            assert_eq!(padded_for(unpadded).map(PaddedSize::bytes), Ok(padded));
        }
        assert_eq!(padded_for(MAX_PIECE).map(PaddedSize::bytes), Ok(MAX_PADDED));
        assert_eq!(
            PaddedSize::of_height(MAX_HEIGHT).map(PaddedSize::bytes),
            Some(MAX_PADDED)
        );
    }

    #[test]
    fn sizes_out_of_range_are_refused() {
        assert_eq!(PieceSize::new(0), Err(SizeError::Empty));
        let (size, limit) = (MAX_PIECE + 1, MAX_PIECE);
        assert_eq!(PieceSize::new(size), Err(SizeError::TooLarge { size, limit }));
        assert_eq!(padded_for(u64::MAX), Err(SizeError::TooLarge { size: u64::MAX, limit }));
        for size in [0, 64, 127, 192, 384] {
            assert_eq!(PaddedSize::new(size), Err(SizeError::NotPadded { size }));
        }
        let (size, limit) = (MAX_PADDED * 2, MAX_PADDED);
        assert_eq!(PaddedSize::new(size), Err(SizeError::TooLarge { size, limit }));
        assert_eq!(PaddedSize::of_height(1), None);
        assert_eq!(PaddedSize::of_height(MAX_HEIGHT + 1), None);
    }

    #[test]
    fn sector_sizes_read_back_from_text_bytes_and_json() {
        let usable = [2032, 8_323_072, 532_676_608, 34_091_302_912];
        for (size, usable) in SectorSize::ALL.into_iter().zip(usable) {
            assert_eq!(size.usable(), usable);
            assert_eq!(SectorSize::from_bytes(size.bytes()), Ok(size));
            assert_eq!(size.to_string().parse(), Ok(size));
            assert_eq!(size.to_string().replace(' ', "").parse(), Ok(size));
            let json = serde_json::to_string(&size).unwrap();
            assert_eq!(json, size.bytes().to_string());
            assert_eq!(serde_json::from_str::<SectorSize>(&json).unwrap(), size);
        }
        assert_eq!(SectorSize::S8MiB.to_string(), "8 MiB");
        assert_eq!(
            SectorSize::from_bytes(1024),
            Err(SizeError::UnknownSector { bytes: 1024 })
        );
        let name = "1KiB".to_string();
        assert_eq!(name.parse::<SectorSize>(), Err(SizeError::UnknownSectorName { name }));
        assert!(serde_json::from_str::<PieceSize>("0").is_err());
        assert!(serde_json::from_str::<PaddedSize>("129").is_err());
    }
}
