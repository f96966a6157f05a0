//! The alert rules: each names what is counted, says what to do, stands in README, and was seen firing and
//! silent by `promtool`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use tempfile::TempDir;

use super::{promtool, readme, table};

const RULES: &str = "deploy/prometheus/alerts.yml";
const CASES: &str = "deploy/prometheus/alerts_test.yml";

fn read(path: &str) -> String {
    fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).expect(path)
}

/// The text of each rule, by its name.
fn rules() -> BTreeMap<String, String> {
    let text = read(RULES);
    let blocks = text.split("      - alert: ").skip(1);
    let named = |block: &str| {
        let (name, rule) = block.split_once('\n').expect("a name alone in its line");
        (name.to_owned(), rule.to_owned())
    };
    let rules: BTreeMap<_, _> = blocks.map(named).collect();
    assert!(rules.len() >= 10, "{rules:?}");
    rules
}

fn severity(rule: &str) -> &str {
    let (_, severity) = rule.split_once("labels: {severity: ").expect("a severity");
    severity.split('}').next().expect("its end")
}

/// What looks like a family of ours, or of the process.
fn families(expression: &str) -> BTreeSet<&str> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = words.filter(|word| word.starts_with("afterbay_") || word.starts_with("process_"));
    ours.map(|word| {
        let parts = ["_bucket", "_count", "_sum"].iter();
        parts.filter_map(|part| word.strip_suffix(part)).next().unwrap_or(word)
    })
    .collect()
}

#[test]
fn each_rule_names_what_is_counted_and_says_what_to_do() {
    let (families_told, rules) = (table::families(), rules());
    for (name, rule) in &rules {
        let (expression, rest) = rule.split_once("labels:").expect("labels behind the expression");
        for family in families(expression) {
            assert!(families_told.contains_key(family), "{name} asks for {family}");
        }
        assert!(matches!(severity(rule), "page" | "ticket"), "{name}");
        for part in ["summary: \"", "description: \"", "runbook: "] {
            assert!(rest.contains(part), "{name} has no {part}");
        }
    }
    let told: BTreeMap<_, _> = rules.iter().map(|(name, rule)| (&**name, severity(rule))).collect();
    let rows = readme::rows("| alert | severity | when |");
    let listed = rows.iter().map(|row| (row[0].trim_matches('`'), row[1].trim_matches('`')));
    assert_eq!(told, listed.collect());
}

#[test]
fn each_rule_was_seen_firing_and_silent() {
    let cases = read(CASES);
    for name in rules().keys() {
        let fires = format!("alertname=\"{name}\",instance=\"a\"");
        assert!(cases.contains(&fires), "{CASES} does not show {name} firing");
        // Whatever else fires, also for the instance that only comes near it, makes a case fail.
        assert!(!cases.contains(&format!("alertname=\"{name}\",instance=\"b\"")), "{name}");
    }
    promtool::says(&["check", "rules", RULES], "");
    promtool::says(&["test", "rules", CASES], "");
}

#[test]
fn each_rule_that_waits_was_seen_silent_for_what_is_over_sooner() {
    let (rules, cases, folder) = (read(RULES), read(CASES), TempDir::new().expect("a folder"));
    let mut hasty = 0;
    for (at, line) in rules.match_indices("        for: ") {
        let (before, rest) = rules.split_at(at);
        let (_, after) = rest.split_once('\n').expect("a whole line");
        let name = before.rsplit("- alert: ").next().and_then(|rule| rule.lines().next());
        let name = name.expect("a rule");
        let changed = format!("{before}{line}0m\n{after}");
        fs::write(folder.path().join("cases.yml"), of_rule(&cases, name)).expect("its cases");
        for (rules, are_right) in [(&rules, true), (&changed, false)] {
            fs::write(folder.path().join("alerts.yml"), rules).expect("the rules");
            let content = promtool::is_content(&["test", "rules", "cases.yml"], folder.path());
            let Some(content) = content else { return };
            assert_eq!(content, are_right, "{name} may fire at once, and no case minds");
        }
        hasty += 1;
    }
    assert!(hasty >= 10, "{hasty}");
}

/// The cases of one rule, behind the first case, which names what all of them ask for.
fn of_rule(cases: &str, name: &str) -> String {
    let mut blocks = cases.split_inclusive("\n\n");
    let first = blocks.next().expect("a case").to_owned();
    blocks.filter(|block| block.contains(&format!("- name: {name}"))).fold(first, |all, b| all + b)
}
