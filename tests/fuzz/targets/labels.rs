//! The labelling hash of every kernel against the crate sha2.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| sealdrop_stacked::fuzzing::labels(input));
