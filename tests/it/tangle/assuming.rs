//! What the adapter assumes stands under one name each, and README lists every one of them.

use std::fs;
use std::path::Path;

#[test]
fn every_assumption_has_a_name_says_so_and_is_listed_for_users() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| fs::read_to_string(root.join(path)).expect("a file of the project");
    let (source, readme) = (read("src/upstream/tangle/assumed.rs"), read("README.md"));
    let mut names = Vec::new();
    for paragraph in source.split("\n\n") {
        let Some((_, declared)) = paragraph.split_once("pub(super) const ") else { continue };
        let name = declared.split(':').next().expect("a name");
        assert!(paragraph.starts_with("// [assumed] "), "{name} does not say that it is assumed");
        assert!(readme.contains(&format!("`{name}`")), "README does not list {name}");
        names.push(name);
    }
    assert!(names.len() >= 10, "only {names:?} were found");
}
