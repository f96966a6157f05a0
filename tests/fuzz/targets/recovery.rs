//! See the module `recovery`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| afterbay_fuzz::recovery(bytes));
