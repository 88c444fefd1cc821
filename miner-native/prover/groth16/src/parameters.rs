//! A bellperson parameter file, mapped: the verifying key, then five arrays of uncompressed points, each behind its count.
//!
//! Every length is held against the file's before anything is indexed. The points themselves are not checked, as bellperson
//! does not with its default settings: a wrong one gives a proof that verification refuses.

use crate::error::ParametersError;
use bellperson::groth16::VerifyingKey;
use blstrs::Bls12;
use group::prime::PrimeCurveAffine;
use memmap2::Mmap;
use std::fs::File;
use std::io::Cursor;
use std::ops::Range;
use std::path::Path;

/// Bytes of an uncompressed point of G1.
pub(crate) const G1_BYTES: usize = 96;
/// Bytes of an uncompressed point of G2.
pub(crate) const G2_BYTES: usize = 192;

/// A circuit's proving parameters.
///
/// The file must not be changed or cut while it is mapped, as for bellperson: a page that is gone kills the process.
pub struct Parameters {
    map: Mmap,
    layout: Layout,
}

/// Where the arrays lie in a file.
#[derive(Debug)]
pub(crate) struct Layout {
    vk: VerifyingKey<Bls12>,
    h: Range<usize>,
    l: Range<usize>,
    a: Range<usize>,
    b_g1: Range<usize>,
    b_g2: Range<usize>,
}

/// One of a file's arrays of points.
#[derive(Clone, Copy)]
pub(crate) struct Points<'a> {
    bytes: &'a [u8],
    size: usize,
    /// The bytes are a mapped file's.
    mapped: bool,
}

impl Parameters {
    /// Maps a file and checks its lengths; reads the verifying key (its points are checked), nothing else.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ParametersError> {
        let file = File::open(path).map_err(ParametersError::Map)?;
        // SAFETY: the file is not changed while it is mapped; see the type.
        let map = unsafe { Mmap::map(&file) }.map_err(ParametersError::Map)?;
        let layout = Layout::parse(&map)?;
        Ok(Self { map, layout })
    }

    /// The key that proofs verify under.
    pub fn verifying_key(&self) -> &VerifyingKey<Bls12> {
        &self.layout.vk
    }

    /// The domain's size: a power of two, no less than the circuit's constraints and inputs together.
    pub fn domain(&self) -> usize {
        self.layout.h.len() / G1_BYTES + 1
    }

    pub(crate) fn h(&self) -> Points<'_> {
        self.points(&self.layout.h, G1_BYTES)
    }
    pub(crate) fn l(&self) -> Points<'_> {
        self.points(&self.layout.l, G1_BYTES)
    }
    pub(crate) fn a(&self) -> Points<'_> {
        self.points(&self.layout.a, G1_BYTES)
    }
    pub(crate) fn b_g1(&self) -> Points<'_> {
        self.points(&self.layout.b_g1, G1_BYTES)
    }
    pub(crate) fn b_g2(&self) -> Points<'_> {
        self.points(&self.layout.b_g2, G2_BYTES)
    }
    fn points(&self, range: &Range<usize>, size: usize) -> Points<'_> {
        Points {
            bytes: &self.map[range.clone()],
            size,
            mapped: true,
        }
    }
}

impl Layout {
    pub(crate) fn parse(file: &[u8]) -> Result<Self, ParametersError> {
        let mut cursor = Cursor::new(file);
        let vk = VerifyingKey::<Bls12>::read(&mut cursor).map_err(ParametersError::VerifyingKey)?;
        if (vk.delta_g1.is_identity() | vk.delta_g2.is_identity()).into() {
            return Err(ParametersError::Subverted);
        }
        let mut at = cursor.position() as usize;
        let mut next = |array, size| next_array(file, &mut at, array, size);
        let h = next("h", G1_BYTES)?;
        let l = next("l", G1_BYTES)?;
        let a = next("a", G1_BYTES)?;
        let b_g1 = next("b_g1", G1_BYTES)?;
        let b_g2 = next("b_g2", G2_BYTES)?;
        if at != file.len() {
            return Err(ParametersError::Trailing((file.len() - at) as u64));
        }
        let (n, b1, b2) = (h.len() / G1_BYTES + 1, b_g1.len() / G1_BYTES, b_g2.len() / G2_BYTES);
        // Indices have 31 bits, and so has the largest domain.
        let arrays = [("h", h.len()), ("l", l.len()), ("a", a.len()), ("b_g1", b_g1.len())];
        if let Some((array, len)) = arrays.into_iter().find(|(_, len)| len / G1_BYTES >= 1 << 31) {
            return Err(ParametersError::Length {
                array,
                len: len / G1_BYTES,
            });
        }
        if !n.is_power_of_two() {
            return Err(ParametersError::Length { array: "h", len: n - 1 });
        }
        if b1 != b2 {
            return Err(ParametersError::Length { array: "b_g2", len: b2 });
        }
        Ok(Self {
            vk,
            h,
            l,
            a,
            b_g1,
            b_g2,
        })
    }
}

/// The bytes of the array at `at`, which goes behind it.
fn next_array(file: &[u8], at: &mut usize, array: &'static str, size: usize) -> Result<Range<usize>, ParametersError> {
    let rest = file.get(*at..).unwrap_or_default();
    let truncated = |needed| ParametersError::Truncated {
        array,
        needed,
        left: rest.len() as u64,
    };
    let (count, points) = rest.split_first_chunk::<4>().ok_or(truncated(4))?;
    // A count of 32 bits times 192 fits a u64.
    let needed = u64::from(u32::from_be_bytes(*count)) * size as u64;
    if needed > points.len() as u64 {
        return Err(truncated(4 + needed));
    }
    let start = *at + 4;
    *at = start + needed as usize;
    Ok(start..*at)
}

impl<'a> Points<'a> {
    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() / self.size
    }
    /// The bytes of one; the caller keeps the index below `len`.
    #[inline(always)]
    pub(crate) fn at(&self, i: usize) -> &'a [u8] {
        &self.bytes[i * self.size..][..self.size]
    }
    /// Gives back the pages of points that were read, so that they do not count as this process's memory; whoever reads them
    /// again gets them from the page cache.
    pub(crate) fn done(&self, range: Range<usize>) {
        const PAGE: usize = 4096;
        let part = &self.bytes[range.start * self.size..range.end * self.size];
        let first = (part.as_ptr() as usize).next_multiple_of(PAGE);
        let end = (part.as_ptr() as usize + part.len()) & !(PAGE - 1);
        if self.mapped && first < end {
            // SAFETY: whole pages within a read-only mapping of a file: they are read again when they are needed.
            unsafe { libc::madvise(first as *mut _, end - first, libc::MADV_DONTNEED) };
        }
    }
    /// Points in memory.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn of(bytes: &'a [u8], size: usize) -> Self {
        Self {
            bytes,
            size,
            mapped: false,
        }
    }
}
