//! See the module `transcript`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| afterbay_fuzz::transcript(bytes));
