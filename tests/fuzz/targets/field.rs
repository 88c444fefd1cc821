//! Field arithmetic of every kernel against blst.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| sealdrop_lanes::fuzzing::field(input));
