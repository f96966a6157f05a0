//! What is counted is what README says: each family with its type, its labels and its meaning, none
//! missing and none invented; labels have the values that it lists; names tell their units.

mod alerts;
mod promtool;
mod readme;
mod table;
mod text;

use std::collections::BTreeSet;

use super::raw::{Conn, read};
use super::support::daemon::Daemon;
use readme::label_values;
use text::{Family, Text};

/// Gauges that count things, so that the name says what and needs no unit.
const COUNTS: [&str; 11] = [
    "_boxes",
    "_fds",
    "_sessions",
    "_segments",
    "_threads",
    "_tombstones",
    "_turns",
    "_quiet",
    "_waiting",
    "_events",
    "_batches",
];
/// Gauges that are 1 or 0.
const SWITCHES: [&str; 6] =
    ["_info", "_poisoned", "_ready", "_ready_condition", "_refusing", "_refusing_turns"];

/// What a program says that has passed one request on, before a box that is away.
async fn scraped() -> Text {
    let line = ["serve", "--box", "http://127.0.0.1:1", "--kind", "tangle"];
    let line = [&line[..], &["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]].concat();
    let mut daemon = Daemon::start(&line, &[]);
    let (clients, operators) = daemon.addresses().await;
    for (at, path) in [(clients, "/nothing"), (operators, "/metrics")] {
        let mut client = Conn::open(at).await;
        client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).await;
        let answer = read(client).await;
        if at == operators {
            return Text::parse(answer.body);
        }
    }
    unreachable!("the operators' door is asked last")
}

fn names<'a, V: 'a>(of: impl IntoIterator<Item = (&'a String, &'a V)>) -> BTreeSet<&'a str> {
    of.into_iter().map(|(name, _)| name.as_str()).collect()
}

#[tokio::test]
async fn every_family_stands_in_the_table_and_the_table_invents_none() {
    let (text, table) = (scraped().await, table::families());
    assert!(text.families.len() >= 40, "{} families", text.families.len());
    assert_eq!(names(&text.families), names(&table));
    for (name, family) in &text.families {
        let Family { kind, help, labels } = family;
        let row = &table[name];
        let own: BTreeSet<_> = labels.keys().cloned().collect();
        assert_eq!((kind, &own), (&row.kind, &row.labels), "{name}");
        assert_eq!(help, &row.meaning, "{name}");
        assert!(help.ends_with('.') && help.len() > 15, "{name}: {help:?}");
    }
}

#[tokio::test]
async fn labels_have_the_values_that_the_table_lists_from_the_start() {
    let (text, table) = (scraped().await, label_values());
    let used: BTreeSet<&str> = text.families.values().flat_map(|f| names(&f.labels)).collect();
    assert_eq!(used, names(&table));
    for (label, seen) in text.values() {
        let listed = &table[&label];
        match label.as_str() {
            "box" => assert_eq!(seen, BTreeSet::from(["default".to_owned()])),
            "version" => {
                assert_eq!(seen, BTreeSet::from([env!("CARGO_PKG_VERSION").to_owned()]));
            }
            // They come as requests and answers do, and with boxes of another kind.
            "asked" | "kind" | "mode" | "result" | "status" => {
                assert!(seen.is_subset(listed), "{label}: {seen:?} of {listed:?}");
            }
            _ => assert_eq!(&seen, listed, "{label}"),
        }
    }
}

#[tokio::test]
async fn a_name_tells_its_unit_or_what_it_counts() {
    for (name, Family { kind, help, .. }) in &scraped().await.families {
        let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
        let base_unit = ends(&["_seconds", "_bytes"]);
        let fits = match kind.as_str() {
            "counter" => ends(&["_total"]),
            "histogram" => base_unit || ends(&["_events", "_batches"]),
            "gauge" => base_unit || ends(&COUNTS) || ends(&SWITCHES),
            other => panic!("{name} is a {other}"),
        };
        assert!(fits, "{name}, a {kind}, tells no unit");
        let says_bytes = help.starts_with("Bytes ");
        assert!(!says_bytes || name.contains("_bytes"), "{name}: {help}");
    }
}

#[tokio::test]
async fn promtool_has_nothing_to_say_about_it() {
    let said = promtool::says(&["check", "metrics"], &scraped().await.whole);
    assert_eq!(said.as_deref().unwrap_or_default().trim(), "");
}
