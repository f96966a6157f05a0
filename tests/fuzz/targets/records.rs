//! See the module `records`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| afterbay_fuzz::records(bytes));
