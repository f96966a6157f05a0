//! See the module `frames`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| afterbay_fuzz::frames(bytes));
