//! Poseidon of every kernel against neptune.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| sealdrop_poseidon::fuzzing::against_neptune(input));
