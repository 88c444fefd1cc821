//! The verifying keys of development networks: 2 KiB, 8 MiB and 512 MiB, both circuits, each known by its SHA-256.
//!
//! They are generated from a public seed (`miner-native/prover/src/params`, which pins what comes out), so **a proof under them binds
//! nobody who knows the seed**. Keys for 32 GiB are those of Filecoin's networks; none is here.

use crate::key::Circuit;
use sha2::{Digest, Sha256};
use shared::piece::SectorSize;

/// The key's bytes, in bellperson's format.
pub const POREP_2KIB: &[u8] = include_bytes!("../keys/porep-2KiB.vk");
/// The key's bytes, in bellperson's format.
pub const WINDOW_2KIB: &[u8] = include_bytes!("../keys/window-2KiB.vk");
/// The key's bytes, in bellperson's format.
pub const POREP_8MIB: &[u8] = include_bytes!("../keys/porep-8MiB.vk");
/// The key's bytes, in bellperson's format.
pub const WINDOW_8MIB: &[u8] = include_bytes!("../keys/window-8MiB.vk");
/// The key's bytes, in bellperson's format.
pub const POREP_512MIB: &[u8] = include_bytes!("../keys/porep-512MiB.vk");
/// The key's bytes, in bellperson's format.
pub const WINDOW_512MIB: &[u8] = include_bytes!("../keys/window-512MiB.vk");

/// The bytes of a known key. A module that is given keys from elsewhere does not call this, and does not carry them.
pub fn built_in(circuit: Circuit, size: SectorSize) -> Option<&'static [u8]> {
    Some(match (circuit, size) {
        (Circuit::PoRep, SectorSize::S2KiB) => POREP_2KIB,
        (Circuit::PoRep, SectorSize::S8MiB) => POREP_8MIB,
        (Circuit::PoRep, SectorSize::S512MiB) => POREP_512MIB,
        (Circuit::WindowPoSt, SectorSize::S2KiB) => WINDOW_2KIB,
        (Circuit::WindowPoSt, SectorSize::S8MiB) => WINDOW_8MIB,
        (Circuit::WindowPoSt, SectorSize::S512MiB) => WINDOW_512MIB,
        (_, SectorSize::S32GiB) => return None,
    })
}

/// SHA-256 of a known key.
pub fn digest(circuit: Circuit, size: SectorSize) -> Option<[u8; 32]> {
    Some(match (circuit, size) {
        (Circuit::PoRep, SectorSize::S2KiB) => hex(b"9007555348cf2f3543e2af63a70b514b802be1e1253b011919ff9a260e96fe37"),
        (Circuit::PoRep, SectorSize::S8MiB) => hex(b"dc8b1821cc8f967a80e5e91f20520456e5d5ec751f13e95ebf2e850c710c44ad"),
        (Circuit::PoRep, SectorSize::S512MiB) => {
            hex(b"b3643d103138d1650201a1fa235a896b6cd41610f916cd7e19c0326859da7fa5")
        }
        (Circuit::WindowPoSt, SectorSize::S2KiB) => {
            hex(b"8c2a84e3d75621fc336e89eb6be901178263d710223cb45799c5b74bf1d5096a")
        }
        (Circuit::WindowPoSt, SectorSize::S8MiB) => {
            hex(b"621aa038552099df86cb74450b59f39460b0302830f06b1c488d19355ff13021")
        }
        (Circuit::WindowPoSt, SectorSize::S512MiB) => {
            hex(b"5b2aa83f9569f5c1c61ada7d0f32acb4293b00c042523824f66bf6751c34587e")
        }
        (_, SectorSize::S32GiB) => return None,
    })
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// The table's text as bytes, when this is compiled.
#[allow(clippy::indexing_slicing)] // both ends of a loop over constants
const fn hex(text: &[u8; 64]) -> [u8; 32] {
    const fn digit(letter: u8) -> u8 {
        match letter {
            b'0'..=b'9' => letter - b'0',
            _ => letter - b'a' + 10,
        }
    }
    let mut bytes = [0; 32];
    let mut at = 0;
    while at < 32 {
        bytes[at] = digit(text[2 * at]) << 4 | digit(text[2 * at + 1]);
        at += 1;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Key, KeyError};

    const SIZES: [SectorSize; 3] = [SectorSize::S2KiB, SectorSize::S8MiB, SectorSize::S512MiB];
    const CIRCUITS: [Circuit; 2] = [Circuit::PoRep, Circuit::WindowPoSt];

    #[test]
    fn every_key_has_the_digest_of_the_table_and_passes_all_checks() {
        for size in SIZES {
            for circuit in CIRCUITS {
                let bytes = built_in(circuit, size).unwrap();
                assert_eq!(digest(circuit, size), Some(sha256(bytes)), "{circuit} {size:?}");
                assert!(Key::read(circuit, size, bytes).is_ok(), "{circuit} {size:?}");
                assert_eq!(
                    Key::pinned(circuit, size, bytes).map(|key| key.digest()),
                    Ok(sha256(bytes))
                );
            }
        }
    }

    #[test]
    fn a_key_with_one_changed_bit_or_of_something_else_is_not_the_known_one() {
        let (circuit, size) = (Circuit::PoRep, SectorSize::S2KiB);
        let mut changed = POREP_2KIB.to_vec();
        changed[700] ^= 1;
        for bytes in [&changed[..], WINDOW_2KIB, POREP_8MIB, &[]] {
            let found = Key::pinned(circuit, size, bytes).map(|key| key.digest());
            assert_eq!(found, Err(KeyError::OtherDigest { circuit, size }));
        }
        let unknown = Key::pinned(circuit, SectorSize::S32GiB, POREP_2KIB).map(|key| key.digest());
        let size = SectorSize::S32GiB;
        assert_eq!(unknown, Err(KeyError::Unknown { circuit, size }));
    }

    /// A key's points decide what is accepted, so one from elsewhere is read with all checks.
    #[test]
    fn a_key_from_elsewhere_is_refused_when_it_is_cut_longer_of_another_circuit_or_has_a_point_that_is_none() {
        let (circuit, size) = (Circuit::PoRep, SectorSize::S2KiB);
        let whole = POREP_2KIB.to_vec();
        let longer = [&whole[..], &[0]].concat();
        let mut changed = whole.clone();
        changed[50] ^= 1;
        let mut infinity = whole.clone();
        infinity[..96].fill(0);
        infinity[0] = 0x40;
        for bytes in [
            &whole[..whole.len() - 1],
            &whole[..40],
            &longer,
            &changed,
            &infinity,
            WINDOW_2KIB,
            &[],
        ] {
            let found = Key::read(circuit, size, bytes).map(|key| key.digest());
            assert_eq!(found, Err(KeyError::Malformed { circuit, size }));
        }
    }
}
