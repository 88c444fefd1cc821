//! Proofs that were made, kept in `proofs.json`, and what becomes of them when anything is changed.
//!
//! Those of 8 MiB are messages of a development chain, those of 2 KiB were made by `sealdrop-prover` (one window without a sector in its
//! middle), and the two of 512 MiB are *forged* with the public secrets of the development keys: no such sector ever was, which a verifier cannot
//! know. Used here, by the prover's `verdicts.rs`, which holds the verdicts against filecoin-proofs, and, as JSON, by `tests/browser`.

use serde_json::Value;
use shared::piece::{Commitment, SectorSize};
use shared::ports::verifier::{SealClaim, WindowPoStClaim};

const PARTITION: usize = 192;

#[derive(Clone, Debug)]
pub enum Claim {
    Seal(SealClaim),
    Window(WindowPoStClaim),
}

/// All kept proofs with their names.
pub fn kept() -> Vec<(String, Claim)> {
    let all: Value = serde_json::from_str(include_str!("../proofs.json")).expect("JSON");
    let all = all.as_array().expect("a list").iter();
    all.map(|claim| (text(&claim["name"]).to_owned(), Claim::read(claim)))
        .collect()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

fn array(value: &Value) -> [u8; 32] {
    hex::decode(text(value)).expect("hex").try_into().expect("32 bytes")
}

fn flip(bytes: &mut [u8; 32], bit: usize) {
    bytes[bit / 8] ^= 1 << (bit % 8);
}

/// A claim with a name of what was changed. Names with `=` in front: nothing that is proven is changed.
pub type Changed = (&'static str, Claim);

impl Claim {
    fn read(json: &Value) -> Self {
        let sector_size = SectorSize::from_bytes(json["sectorSize"].as_u64().expect("a number")).expect("a size");
        let prover_id = array(&json["proverId"]);
        let proof = hex::decode(text(&json["proof"])).expect("hex");
        let number = |value: &Value| text(value).parse::<u64>().expect("a number");
        if json["kind"] == "seal" {
            return Self::Seal(SealClaim {
                sector_size,
                comm_r: array(&json["commR"]).into(),
                comm_d: array(&json["commD"]).into(),
                prover_id,
                sector: number(&json["sector"]),
                ticket: array(&json["ticket"]),
                seed: array(&json["seed"]),
                proof,
            });
        }
        let sectors = json["sectors"].as_array().expect("a list").iter();
        let sectors = sectors.map(|pair| (number(&pair[0]), Commitment(array(&pair[1]))));
        Self::Window(WindowPoStClaim {
            sector_size,
            prover_id,
            randomness: array(&json["randomness"]),
            sectors: sectors.collect(),
            proof,
        })
    }

    pub fn proof(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Seal(claim) => &mut claim.proof,
            Self::Window(claim) => &mut claim.proof,
        }
    }

    fn with(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut claim = self.clone();
        change(&mut claim);
        claim
    }

    fn with_proof(&self, change: impl FnOnce(&mut Vec<u8>)) -> Self {
        self.with(|claim| change(claim.proof()))
    }

    fn with_seal(&self, change: impl FnOnce(&mut SealClaim)) -> Self {
        self.with(|claim| {
            if let Self::Seal(claim) = claim {
                change(claim);
            }
        })
    }

    fn with_window(&self, change: impl FnOnce(&mut WindowPoStClaim)) -> Self {
        self.with(|claim| {
            if let Self::Window(claim) = claim {
                change(claim);
            }
        })
    }

    /// Changed claims; of bytes and bits every `step`th.
    pub fn changed(&self, step: usize) -> Vec<Changed> {
        let mut all = self.changed_bytes(step);
        all.extend(self.changed_points());
        match self {
            Self::Seal(_) => all.extend(self.changed_seals(step)),
            Self::Window(window) => all.extend(self.changed_windows(window, step)),
        }
        all
    }

    fn changed_bytes(&self, step: usize) -> Vec<Changed> {
        let length = self.clone().proof().len();
        let part = |byte: usize| match byte % PARTITION {
            0..=47 => "proof A",
            48..=143 => "proof B",
            _ => "proof C",
        };
        let bytes = (0..length).step_by(step);
        let mut all: Vec<_> = bytes
            .map(|byte| (part(byte), self.with_proof(|proof| proof[byte] ^= 1 << (byte % 8))))
            .collect();
        for cut in [0, 1, length - 1, length - PARTITION] {
            all.push(("proof length", self.with_proof(|proof| proof.truncate(cut))));
        }
        all.push(("proof length", self.with_proof(|proof| proof.push(0))));
        let longer = self.with_proof(|proof| proof.extend_from_within(..PARTITION));
        all.push(("proof length", longer));
        all
    }

    fn changed_points(&self) -> Vec<Changed> {
        let length = self.clone().proof().len();
        let mut all = Vec::new();
        // The flag bits of each point: compressed, infinity, sign.
        for start in (0..length).step_by(PARTITION).flat_map(|p| [p, p + 48, p + 144]) {
            for bit in [0x80, 0x40, 0x20] {
                all.push(("proof flags", self.with_proof(|proof| proof[start] ^= bit)));
            }
            let end = start + if start % PARTITION == 48 { 96 } else { 48 };
            let infinity = self.with_proof(|proof| {
                proof[start..end].fill(0);
                proof[start] = 0xc0;
            });
            all.push(("point at infinity", infinity));
            all.push(("all ones", self.with_proof(|proof| proof[start..end].fill(0xff))));
        }
        // e(-A, -B) = e(A, B): anybody can change a Groth16 proof into another true one.
        let negated = self.with_proof(|proof| {
            proof[0] ^= 0x20;
            proof[48] ^= 0x20;
        });
        all.push(("= A and B negated", negated));
        // A pairing cannot tell A from A plus a point of order 3: only the check of the group can.
        let a = self.with_proof(|proof| add_small(&mut proof[..48]));
        let c = self.with_proof(|proof| add_small(&mut proof[144..192]));
        all.extend([("A + point of order 3", a), ("C + point of order 3", c)]);
        // Points that are all in their groups, so that only the equation can refuse them.
        let swapped = self.with_proof(|proof| (0..48).for_each(|i| proof.swap(i, 144 + i)));
        all.push(("A and C swapped", swapped));
        if length > PARTITION {
            // Would cancel out if a batch weighed all partitions alike.
            let swap =
                |from: usize, to: usize| self.with_proof(|proof| (from..to).for_each(|i| proof.swap(i, i + PARTITION)));
            all.push(("Cs of partitions swapped", swap(144, 192)));
            all.push(("As of partitions swapped", swap(0, 48)));
            all.push(("partitions swapped", swap(0, 192)));
        }
        all
    }

    fn changed_seals(&self, step: usize) -> Vec<Changed> {
        type Field = fn(&mut SealClaim) -> &mut [u8; 32];
        let fields: [(&str, Field); 5] = [
            ("commR", |claim| &mut claim.comm_r.0),
            ("commD", |claim| &mut claim.comm_d.0),
            ("prover id", |claim| &mut claim.prover_id),
            ("ticket", |claim| &mut claim.ticket),
            ("seed", |claim| &mut claim.seed),
        ];
        let mut all = Vec::new();
        for (name, field) in fields {
            let bits = (0..256).step_by(step);
            all.extend(bits.map(|bit| (name, self.with_seal(|claim| flip(field(claim), bit)))));
            all.push((name, self.with_seal(|claim| field(claim).fill(0))));
            all.push((name, self.with_seal(|claim| field(claim).fill(0xff))));
        }
        let bits = (0..64).step_by(step);
        all.extend(bits.map(|bit| ("sector", self.with_seal(|claim| claim.sector ^= 1 << bit))));
        all
    }

    fn changed_windows(&self, window: &WindowPoStClaim, step: usize) -> Vec<Changed> {
        let mut all = Vec::new();
        let mut push = |name, change: &dyn Fn(&mut WindowPoStClaim)| all.push((name, self.with_window(change)));
        for bit in (0..254).step_by(step) {
            push("randomness", &|claim| flip(&mut claim.randomness, bit));
        }
        push("randomness", &|claim| claim.randomness.fill(0));
        push("= randomness top bits", &|claim| claim.randomness[31] ^= 0xc0);
        push("= prover id", &|claim| claim.prover_id[0] ^= 1);
        push("prover id out of range", &|claim| claim.prover_id.fill(0xff));
        for i in 0..window.sectors.len() {
            for bit in (0..256).step_by(step) {
                push("sector commR", &|claim| flip(&mut claim.sectors[i].1 .0, bit));
            }
            push("sector commR", &|claim| claim.sectors[i].1 .0.fill(0));
            push("sector commR", &|claim| claim.sectors[i].1 .0.fill(0xff));
            push("sector left out", &|claim| {
                claim.sectors.remove(i);
            });
            for bit in (0..63).step_by(step) {
                push("sector number", &|claim| {
                    claim.sectors[i].0 ^= 1 << bit;
                    claim.sectors.sort();
                });
            }
        }
        // As a chain would check a proof that leaves a sector out without saying so.
        push("sector more in between", &|claim| {
            let new = (claim.sectors[0].0 + 1, claim.sectors[0].1);
            claim.sectors.insert(1, new);
            claim.sectors.dedup_by_key(|sector| sector.0);
            if claim.sectors.len() == window.sectors.len() {
                claim.sectors.pop();
            }
        });
        push("sector more", &|claim| claim.sectors.push((1000, claim.sectors[0].1)));
        if window.sectors.len() > 1 {
            push("commRs swapped", &|claim| {
                let first = claim.sectors[0].1;
                claim.sectors[0].1 = claim.sectors[1].1;
                claim.sectors[1].1 = first;
            });
        }
        all
    }
}

/// Adds a point of order 3 to a compressed point of the curve over Fp.
fn add_small(bytes: &mut [u8]) {
    use bls12_381::{G1Affine, G1Projective};
    let order = "73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001";
    let third_of_cofactor = "13242eaac71ca0722eaae38e55558e39"; // 0x396c8c005555e1568c00aaab0000aaab / 3
    let times = |point: G1Projective, factor: &str| {
        let bits = hex::decode(factor).expect("hex");
        let bits = bits
            .iter()
            .flat_map(|byte| (0..8).rev().map(move |i| byte >> i & 1 == 1));
        bits.fold(G1Projective::identity(), |sum, bit| match bit {
            true => sum.double() + point,
            false => sum.double(),
        })
    };
    let small = (1..100u8).find_map(|x| {
        let mut bytes = [0; 48];
        bytes[47] = x;
        bytes[0] = 0x80;
        let point: Option<G1Affine> = G1Affine::from_compressed_unchecked(&bytes).into();
        let small = times(times(point?.into(), order), third_of_cofactor);
        (!bool::from(small.is_identity())).then_some(small)
    });
    let small = small.expect("the cofactor has a 3");
    assert!(bool::from((small.double() + small).is_identity()));
    let whole: [u8; 48] = (&*bytes).try_into().expect("48 bytes");
    let point = G1Affine::from_compressed(&whole).expect("a point");
    let sum = G1Affine::from(small + point);
    assert!(bool::from(sum.is_on_curve()) && !bool::from(sum.is_torsion_free()));
    bytes.copy_from_slice(&sum.to_compressed());
}
