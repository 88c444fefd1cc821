//! A parameter file of arbitrary bytes: an error, never a panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| sealdrop_groth16::fuzzing::parameters(input));
