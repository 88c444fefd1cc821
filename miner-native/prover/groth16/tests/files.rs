//! Parameter files that are not whole.
#![allow(clippy::unwrap_used)] // What tests share: what goes wrong fails the test.

mod common;

use common::{write, Shape, Test};
use sealdrop_groth16::{Parameters, ParametersError};
use std::fs;
use std::path::{Path, PathBuf};

/// Bytes of the verifying key in front of its `ic`: three points of G1, three of G2.
const KEY: usize = 3 * 96 + 3 * 192;

struct File {
    _dir: tempfile::TempDir,
    path: PathBuf,
    bytes: Vec<u8>,
    /// Where the five arrays' counts lie.
    counts: Vec<usize>,
}

impl File {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("params");
        let parameters = Test::new(Shape::Chain(5), 1).parameters();
        write(&parameters, &path);
        let bytes = fs::read(&path).unwrap();
        let mut at = KEY + 4 + 96 * parameters.vk.ic.len();
        let lengths = [&parameters.h, &parameters.l, &parameters.a, &parameters.b_g1].map(|x| 96 * x.len());
        let counts = lengths.into_iter().chain([192 * parameters.b_g2.len()]).map(|len| {
            let count = at;
            at += 4 + len;
            count
        });
        let counts = counts.collect();
        assert_eq!(at, bytes.len());
        Self {
            _dir: dir,
            path,
            bytes,
            counts,
        }
    }
    fn open(&self, bytes: &[u8]) -> Result<Parameters, ParametersError> {
        fs::write(&self.path, bytes).unwrap();
        Parameters::open(&self.path)
    }
}

#[test]
fn a_whole_file_is_read() {
    let file = File::new();
    let parameters = file.open(&file.bytes).unwrap();
    assert_eq!(parameters.domain(), 16);
    assert_eq!(parameters.verifying_key().ic.len(), 2);
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let file = File::new();
    // Every byte around the counts and the ends, and some in between; the key's points take long to read.
    let mut cuts: Vec<usize> = vec![0, 1, 95, 96, 97, KEY, KEY + 3, KEY + 4, KEY + 5];
    for count in file.counts.iter().copied().chain([file.bytes.len()]) {
        cuts.extend(count - 2..(count + 6).min(file.bytes.len()));
    }
    cuts.extend((file.counts[0]..file.bytes.len()).step_by(61));
    for cut in cuts {
        let opened = file.open(&file.bytes[..cut]);
        match opened {
            Err(ParametersError::VerifyingKey(_) | ParametersError::Map(_)) => assert!(cut < file.counts[0]),
            Err(ParametersError::Truncated { .. }) => assert!(cut >= file.counts[0]),
            Err(other) => panic!("cut at {cut}: {other}"),
            Ok(_) => panic!("cut at {cut}: opened"),
        }
    }
}

#[test]
fn a_file_that_goes_on_is_refused() {
    let file = File::new();
    for more in [1, 4, 96, 5000] {
        let bytes = [&file.bytes[..], &vec![0; more]].concat();
        assert!(matches!(file.open(&bytes), Err(ParametersError::Trailing(n)) if n == more as u64));
    }
}

#[test]
fn counts_that_are_not_the_arrays_are_refused() {
    let file = File::new();
    for at in &file.counts {
        for change in [-1i64, 1, 2, 1000, i64::from(u32::MAX)] {
            let mut bytes = file.bytes.clone();
            let count = u32::from_be_bytes(bytes[*at..at + 4].try_into().unwrap());
            let count = (i64::from(count) + change).clamp(0, i64::from(u32::MAX)) as u32;
            bytes[*at..at + 4].copy_from_slice(&count.to_be_bytes());
            assert!(file.open(&bytes).is_err(), "count at {at} {change:+}");
        }
    }
    let mut bytes = file.bytes.clone();
    bytes[KEY..KEY + 4].copy_from_slice(&u32::MAX.to_be_bytes());
    assert!(matches!(file.open(&bytes), Err(ParametersError::VerifyingKey(_))));
}

#[test]
fn arrays_whose_lengths_fit_no_circuit_are_refused() {
    let file = File::new();
    let array = |k: usize, size: usize| {
        let start = file.counts[k] + 4;
        start..file.counts.get(k + 1).copied().unwrap_or(file.bytes.len()) - if size == 0 { 1 } else { 0 }
    };
    // One point less in an array, with its count.
    let shorter = |k: usize, size: usize| {
        let (mut bytes, at) = (file.bytes.clone(), file.counts[k]);
        let count = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) - 1;
        bytes[at..at + 4].copy_from_slice(&count.to_be_bytes());
        let range = array(k, size);
        bytes.drain(range.end - size..range.end);
        bytes
    };
    assert!(matches!(
        file.open(&shorter(0, 96)),
        Err(ParametersError::Length { array: "h", len: 14 })
    ));
    assert!(matches!(
        file.open(&shorter(3, 96)),
        Err(ParametersError::Length { array: "b_g2", .. })
    ));
    assert!(matches!(
        file.open(&shorter(4, 192)),
        Err(ParametersError::Length { array: "b_g2", .. })
    ));
}

#[test]
fn a_key_with_delta_at_infinity_is_refused() {
    let file = File::new();
    // delta in G1 is the fifth of the key's points.
    let at = 96 + 96 + 192 + 192;
    let mut bytes = file.bytes.clone();
    bytes[at..at + 96].fill(0);
    bytes[at] = 0x40;
    assert!(matches!(file.open(&bytes), Err(ParametersError::Subverted)));
}

#[test]
fn no_file_and_a_folder_are_refused() {
    assert!(matches!(
        Parameters::open("/nonexistent/params"),
        Err(ParametersError::Map(_))
    ));
    assert!(matches!(Parameters::open(Path::new("/")), Err(ParametersError::Map(_))));
}
