//! The Dockerfile as it is: its instructions in order, stage by stage.

use std::fs;
use std::path::Path;

use serde_json::Value;

/// What stands in one stage.
#[derive(Debug)]
pub(super) struct Stage(Vec<(String, String)>);

/// All stages of the project's Dockerfile.
pub(super) fn stages() -> Vec<Stage> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("Dockerfile");
    let text = fs::read_to_string(path).expect("the Dockerfile");
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let text = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    let mut stages = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let (word, rest) = line.split_once(' ').expect("an instruction and its arguments");
        let rest = rest.split_whitespace().collect::<Vec<_>>().join(" ");
        if word == "FROM" {
            stages.push(Stage(Vec::new()));
        }
        let stage = stages.last_mut().expect("FROM comes first");
        stage.0.push((word.to_owned(), rest));
    }
    stages
}

impl Stage {
    /// The arguments of each instruction of this name.
    pub(super) fn all<'a>(&'a self, word: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(name, _)| name == word).map(|(_, rest)| rest.as_str())
    }

    /// Those of the one that there is.
    pub(super) fn one(&self, word: &str) -> &str {
        let mut all = self.all(word);
        let one = all.next().unwrap_or_else(|| panic!("no {word}"));
        assert_eq!(all.next(), None, "one {word}");
        one
    }

    /// The words of a command in its JSON form: a shell is not there to read another.
    pub(super) fn command(&self, word: &str) -> Vec<String> {
        let text = self.one(word);
        let list = text.find('[').map(|at| &text[at..]).expect("the JSON form");
        let list: Value = serde_json::from_str(list).expect("a list");
        let words = list.as_array().expect("a list").iter();
        words.map(|word| word.as_str().expect("text").to_owned()).collect()
    }

    /// The variables that it sets.
    pub(super) fn environment(&self) -> Vec<(String, String)> {
        let pairs = self.all("ENV").flat_map(str::split_whitespace);
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').expect("NAME=VALUE");
            (name.to_owned(), value.to_owned())
        };
        pairs.map(pair).collect()
    }
}
