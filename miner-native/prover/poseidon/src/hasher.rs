//! Batches of hashes from bytes to bytes: checks lengths, divides between the kernels, names what is not in the field.

use crate::schedule::Schedule;
use crate::{portable, Elements, Kernel};
use neptune::poseidon::{Arity as NeptuneArity, PoseidonConstants};
use std::sync::OnceLock;
use typenum::{U11, U2, U8};

/// Bytes of an element and of a hash: a number below r, little-endian.
pub const NODE: usize = 32;

/// What is wrong with a batch; nothing of its output may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// An element is r or more.
    #[error("element {element} of hash {hash} is not a number of the scalar field")]
    NotInField {
        /// Which hash of the batch.
        hash: usize,
        /// Which of its elements.
        element: usize,
    },
    /// Inputs and outputs do not fit together.
    #[error("{elements} bytes of elements do not make hashes of {arity} elements in {hashes} bytes")]
    Lengths {
        /// Bytes of all inputs.
        elements: usize,
        /// Elements of a hash.
        arity: usize,
        /// Bytes of the output.
        hashes: usize,
    },
}

/// How many elements a hash has: those that Filecoin's trees and columns need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    /// Columns of two layers, CommR, and the top of a 64 GiB sector's trees.
    Two,
    /// Trees.
    Eight,
    /// Columns of eleven layers.
    Eleven,
}

impl Arity {
    /// The number.
    pub const fn elements(self) -> usize {
        match self {
            Self::Two => 2,
            Self::Eight => 8,
            Self::Eleven => 11,
        }
    }

    /// The arity with so many elements, or `None` if Filecoin's sectors have no such hash.
    pub fn of(elements: usize) -> Option<Self> {
        [Self::Two, Self::Eight, Self::Eleven]
            .into_iter()
            .find(|arity| arity.elements() == elements)
    }
}

/// The hash of one arity, with its constants.
pub struct Poseidon {
    arity: Arity,
    tables: Tables,
}

enum Tables {
    Two(Box<Width<3>>),
    Eight(Box<Width<9>>),
    Eleven(Box<Width<12>>),
}

/// The constants in both kernels' forms.
struct Width<const T: usize> {
    portable: Schedule<T, portable::Limbs>,
    #[cfg(target_arch = "x86_64")]
    ifma: Schedule<T, crate::ifma::Limbs>,
}

impl Poseidon {
    /// The hash of `arity`; its constants (milliseconds of work, tens of kilobytes) are computed once a process.
    pub fn of(arity: Arity) -> &'static Self {
        static TWO: OnceLock<Poseidon> = OnceLock::new();
        static EIGHT: OnceLock<Poseidon> = OnceLock::new();
        static ELEVEN: OnceLock<Poseidon> = OnceLock::new();
        match arity {
            Arity::Two => TWO.get_or_init(|| Self {
                arity,
                tables: Tables::Two(Box::new(Width::new::<U2>())),
            }),
            Arity::Eight => EIGHT.get_or_init(|| Self {
                arity,
                tables: Tables::Eight(Box::new(Width::new::<U8>())),
            }),
            Arity::Eleven => ELEVEN.get_or_init(|| Self {
                arity,
                tables: Tables::Eleven(Box::new(Width::new::<U11>())),
            }),
        }
    }

    /// The arity.
    pub fn arity(&self) -> Arity {
        self.arity
    }

    /// Hashes columns: hash i is that of node i of each layer. `layers` are as many as the arity has elements, each as long
    /// as `hashes`, [`NODE`] bytes a node.
    ///
    /// # Errors
    /// [`Error`]; `hashes` then holds anything.
    pub fn hash_columns(&self, kernel: Kernel, layers: &[&[u8]], hashes: &mut [u8]) -> Result<(), Error> {
        let fit = layers.len() == self.arity.elements() && layers.iter().all(|layer| layer.len() == hashes.len());
        if !fit || !hashes.len().is_multiple_of(NODE) {
            return Err(self.lengths(layers.iter().map(|layer| layer.len()).sum(), hashes));
        }
        self.hash(
            kernel,
            &Elements {
                at: layers,
                first: 0,
                stride: NODE,
            },
            hashes,
        )
    }

    /// Hashes a tree's row to the one above: hash i is that of as many consecutive `nodes` as the arity has elements, from
    /// the arity times i on. `nodes` is longer than `hashes` by the arity.
    ///
    /// # Errors
    /// [`Error`]; `hashes` then holds anything.
    pub fn hash_nodes(&self, kernel: Kernel, nodes: &[u8], hashes: &mut [u8]) -> Result<(), Error> {
        let arity = self.arity.elements();
        if !hashes.len().is_multiple_of(NODE) || hashes.len().checked_mul(arity) != Some(nodes.len()) {
            return Err(self.lengths(nodes.len(), hashes));
        }
        if hashes.is_empty() {
            return Ok(());
        }
        let mut at = [&[][..]; 11];
        (0..arity).for_each(|j| at[j] = &nodes[NODE * j..]);
        self.hash(
            kernel,
            &Elements {
                at: &at[..arity],
                first: 0,
                stride: NODE * arity,
            },
            hashes,
        )
    }

    fn lengths(&self, elements: usize, hashes: &[u8]) -> Error {
        Error::Lengths {
            elements,
            arity: self.arity.elements(),
            hashes: hashes.len(),
        }
    }

    fn hash(&self, kernel: Kernel, from: &Elements<'_>, hashes: &mut [u8]) -> Result<(), Error> {
        match &self.tables {
            Tables::Two(width) => width.hash(kernel, from, hashes),
            Tables::Eight(width) => width.hash(kernel, from, hashes),
            Tables::Eleven(width) => width.hash(kernel, from, hashes),
        }
    }
}

impl<const T: usize> Width<T> {
    fn new<A: NeptuneArity<blstrs::Scalar>>() -> Self {
        let constants = PoseidonConstants::<blstrs::Scalar, A>::new();
        Self {
            portable: Schedule::derive(&constants, portable::RADIX, words),
            #[cfg(target_arch = "x86_64")]
            ifma: Schedule::derive(&constants, crate::ifma::RADIX, |x| sealdrop_lanes::limbs_r(words(x))),
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn hash(&self, _: Kernel, from: &Elements<'_>, hashes: &mut [u8]) -> Result<(), Error> {
        self.hash_one_by_one(from, hashes, 0)
    }

    #[cfg(target_arch = "x86_64")]
    fn hash(&self, kernel: Kernel, from: &Elements<'_>, hashes: &mut [u8]) -> Result<(), Error> {
        use crate::ifma::{hash_groups, GROUP};
        if kernel == Kernel::Portable || !crate::ifma::available() {
            return self.hash_one_by_one(from, hashes, 0);
        }
        let count = hashes.len() / NODE;
        let mut done = 0;
        while count - done >= GROUP {
            let rest = from.from(done);
            // SAFETY: the processor has the kernel's features: asked above.
            done += GROUP * unsafe { hash_groups(&self.ifma, &rest, &mut hashes[NODE * done..]) };
            if count - done >= GROUP {
                // It met a number with r's top word. There are so few (one in 2^63) that this group can take its time.
                self.hash_one_by_one(&from.from(done), &mut hashes[NODE * done..NODE * (done + GROUP)], done)?;
                done += GROUP;
            }
        }
        self.hash_remainder(&from.from(done), &mut hashes[NODE * done..], done)
    }

    /// Fewer than a group, in one that is filled up.
    #[cfg(target_arch = "x86_64")]
    fn hash_remainder(&self, from: &Elements<'_>, hashes: &mut [u8], first: usize) -> Result<(), Error> {
        use crate::ifma::{hash_groups, FEWEST, GROUP};
        let count = hashes.len() / NODE;
        let (mut columns, mut out) = ([[0; GROUP * NODE]; 11], [0; GROUP * NODE]);
        if count >= FEWEST {
            for (j, column) in columns.iter_mut().enumerate().take(T - 1) {
                for (i, place) in column.as_chunks_mut::<NODE>().0.iter_mut().enumerate().take(count) {
                    *place = *from.element(i, j);
                }
            }
            let at: [&[u8]; 11] = std::array::from_fn(|j| &columns[j][..]);
            let padded = Elements {
                at: &at[..T - 1],
                first: 0,
                stride: NODE,
            };
            // SAFETY: the processor has the kernel's features: the caller asked.
            if unsafe { hash_groups(&self.ifma, &padded, &mut out) } == 1 {
                hashes.copy_from_slice(&out[..hashes.len()]);
                return Ok(());
            }
        }
        self.hash_one_by_one(from, hashes, first)
    }

    /// By the portable kernel. `first` is what the first of these hashes is called in an error.
    fn hash_one_by_one(&self, from: &Elements<'_>, hashes: &mut [u8], first: usize) -> Result<(), Error> {
        for (i, out) in hashes.as_chunks_mut::<NODE>().0.iter_mut().enumerate() {
            let mut state = [[0; 4]; T];
            for (j, x) in state[1..].iter_mut().enumerate() {
                let wrong = Error::NotInField {
                    hash: first + i,
                    element: j,
                };
                *x = portable::read(from.element(i, j)).ok_or(wrong)?;
            }
            portable::write(&portable::hash(&self.portable, state), out);
        }
        Ok(())
    }
}

/// A number's canonical words.
fn words(x: &blstrs::Scalar) -> [u64; 4] {
    let bytes = x.to_bytes_le();
    let (words, _) = bytes.as_chunks::<8>();
    std::array::from_fn(|i| u64::from_le_bytes(words[i]))
}
