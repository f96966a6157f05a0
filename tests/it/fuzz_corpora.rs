//! What the fuzzer has found worth keeping, once more: each input of each corpus through the same
//! function that the fuzzer calls (`tests/fuzz`).

use std::path::Path;

use super::support;

#[path = "../fuzz/src/forge.rs"]
mod forge;
#[path = "../fuzz/src/frames.rs"]
mod frames;
#[path = "../fuzz/src/input.rs"]
mod input;
#[path = "../fuzz/src/reading.rs"]
mod reading;
#[path = "../fuzz/src/records.rs"]
mod records;
#[path = "../fuzz/src/recovery.rs"]
mod recovery;
#[path = "../fuzz/src/tampering.rs"]
mod tampering;
#[path = "../fuzz/src/transcript.rs"]
mod transcript;
#[path = "../fuzz/src/watched.rs"]
mod watched;

/// Fewer inputs than these are no corpus.
const FEWEST: usize = 10;

/// Runs all inputs of a corpus, in the order of their names.
fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let listed = std::fs::read_dir(&folder).expect("a corpus");
    let mut files: Vec<_> = listed.map(|entry| entry.expect("an entry").path()).collect();
    files.sort_unstable();
    for file in &files {
        // The last one is the culprit.
        println!("{}", file.display());
        check(&std::fs::read(file).expect("an input"));
    }
    println!("{target}: {} inputs", files.len());
    assert!(files.len() >= FEWEST, "{target} has a corpus of {} inputs", files.len());
}

#[test]
fn the_corpus_of_frames_breaks_no_promise() {
    replay("frames", frames::check);
}

#[test]
fn the_corpus_of_records_breaks_no_promise() {
    replay("records", records::check);
}

#[test]
fn the_corpus_of_recovery_breaks_no_promise() {
    replay("recovery", recovery::check);
}

#[test]
fn the_corpus_of_transcripts_breaks_no_promise() {
    replay("transcript", transcript::check);
}
