//! The sector sizes this product seals, and how many bytes of data fit into each.
//!
//! Used by every module here and by the miner; the proofs know nothing of other sizes.

use std::fmt;

/// A sector size of the Filecoin network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SectorSize {
    /// 2048 bytes: tests.
    S2KiB,
    /// 8 388 608 bytes: the development chain's default.
    S8MiB,
    /// 536 870 912 bytes: a larger development sector.
    S512MiB,
    /// 34 359 738 368 bytes: real networks, with their official parameter files only.
    S32GiB,
}

impl SectorSize {
    /// All sizes, smallest first.
    pub const ALL: [Self; 4] = [Self::S2KiB, Self::S8MiB, Self::S512MiB, Self::S32GiB];

    /// Bytes of the sealed (and of the padded unsealed) sector.
    pub const fn bytes(self) -> u64 {
        match self {
            Self::S2KiB => 2 << 10,
            Self::S8MiB => 8 << 20,
            Self::S512MiB => 512 << 20,
            Self::S32GiB => 32 << 30,
        }
    }

    /// Bytes of user data that fit: 127 of every 128, since Fr32 padding adds two bits to each 254.
    pub const fn usable(self) -> u64 {
        self.bytes() / 128 * 127
    }

    /// The size with this many bytes, or `None` if the product does not know it.
    pub fn from_bytes(bytes: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|size| size.bytes() == bytes)
    }

    /// The size without a space, for file names and seeds: "2KiB".
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::S2KiB => "2KiB",
            Self::S8MiB => "8MiB",
            Self::S512MiB => "512MiB",
            Self::S32GiB => "32GiB",
        }
    }
}

impl fmt::Display for SectorSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::S2KiB => "2 KiB",
            Self::S8MiB => "8 MiB",
            Self::S512MiB => "512 MiB",
            Self::S32GiB => "32 GiB",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_of_every_128_goes_to_padding() {
        assert_eq!(SectorSize::S2KiB.usable(), 2032);
        assert_eq!(SectorSize::S8MiB.usable(), 8_323_072);
        assert_eq!(SectorSize::S512MiB.usable(), 532_676_608);
        assert_eq!(SectorSize::S32GiB.usable(), 34_091_302_912);
    }

    #[test]
    fn a_size_is_found_by_its_bytes_and_no_other_number_is_a_size() {
        for size in SectorSize::ALL {
            assert_eq!(SectorSize::from_bytes(size.bytes()), Some(size));
        }
        assert_eq!(SectorSize::from_bytes(2047), None);
        assert_eq!(SectorSize::from_bytes(0), None);
    }
}
