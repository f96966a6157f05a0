//! What is fuzzed: a function for each target, from any bytes to a panic if a promise is broken.
//!
//! The binaries in `targets` hand them what the fuzzer thinks of. The integration tests have the same
//! modules and hand them what is kept in `corpus` (`tests/it/fuzz_corpora.rs`).

mod forge;
mod frames;
mod input;
mod reading;
mod records;
mod recovery;
mod support;
mod tampering;
mod transcript;
mod watched;

/// See the module of this name.
pub fn frames(bytes: &[u8]) {
    frames::check(bytes);
}

/// See the module of this name.
pub fn records(bytes: &[u8]) {
    records::check(bytes);
}

/// See the module of this name.
pub fn recovery(bytes: &[u8]) {
    recovery::check(bytes);
}

/// See the module of this name.
pub fn transcript(bytes: &[u8]) {
    transcript::check(bytes);
}
