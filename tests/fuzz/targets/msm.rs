//! Sums of multiples of points, repeated and opposite ones among them, against adding one by one.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| sealdrop_groth16::fuzzing::msm(input));
