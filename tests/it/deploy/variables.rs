//! Each variable of the program that a file of `deploy/`, or the `Dockerfile`, sets is one.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use afterbay::config::{self, Environment, Flags};

const FILES: [&str; 4] = [
    "Dockerfile",
    "deploy/afterbay.service",
    "deploy/compose.yaml",
    "deploy/kubernetes/sidecar.yaml",
];

fn variables(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !(c.is_ascii_uppercase() || c == '_'));
    words.filter(|word| word.starts_with("AFTERBAY_")).collect()
}

fn is_known(name: &str) -> bool {
    let loaded = config::load(None, &Flags::default(), &Environment::of([(name, "x")]));
    !format!("{loaded:?}").contains("is not a variable of afterbay")
}

#[test]
fn no_file_sets_a_variable_that_nobody_reads() {
    assert!(!is_known("AFTERBAY_DATADIR"), "an unknown one is seen");
    for file in FILES {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        let variables = variables(&text);
        assert!(variables.contains("AFTERBAY_BOX_CREDENTIAL_FILE"), "{file}: {variables:?}");
        let unknown: Vec<_> = variables.iter().filter(|name| !is_known(name)).collect();
        assert!(unknown.is_empty(), "{file}: {unknown:?}");
    }
}
