//! The Grafana dashboard against Grafana's own schema, which it publishes as types: each panel's options,
//! each variable, each place. What the queries find is another test's matter.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::packages;

const DASHBOARD: &str = include_str!("../../deploy/grafana/dashboard.json");

/// Grafana's types and what judges by them.
const PACKAGES: [&str; 2] = ["@grafana/schema@12.1.1", "typescript@5.9.3"];

/// Kinds of panels, and where their types are.
const PANELS: [(&str, &str); 3] = [
    ("timeseries", "timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen"),
    ("stat", "stat/panelcfg/x/StatPanelCfg_types.gen"),
    ("heatmap", "heatmap/panelcfg/x/HeatmapPanelCfg_types.gen"),
];

/// JSON holds an enum's values, not its names.
const LOOSE: &str = "type Loose<T> = T extends string ? `${T}` : T extends (infer U)[] ? Loose<U>[] \
    : T extends object ? { [K in keyof T]: Loose<T[K]> } : T;";

/// The dashboard as a module whose types are right if Grafana takes it.
fn module(dashboard: &Value) -> String {
    let mut lines = vec![
        LOOSE.to_owned(),
        "import type { Dashboard } from \"@grafana/schema\";".to_owned(),
        format!("export const dashboard: Loose<Dashboard> = {dashboard};"),
    ];
    for (kind, file) in PANELS {
        let path = format!("./node_modules/@grafana/schema/dist/types/raw/composable/{file}.js");
        lines.push(format!("import type * as {kind} from {};", json!(path)));
    }
    let panels = dashboard["panels"].as_array().expect("panels").iter();
    for (place, panel) in panels.filter(|panel| panel["type"] != "row").enumerate() {
        let kind = panel["type"].as_str().expect("a kind");
        assert!(PANELS.iter().any(|(known, _)| *known == kind), "{kind} has no types here");
        let custom = &panel["fieldConfig"]["defaults"]["custom"];
        for (part, value) in [("Options", &panel["options"]), ("FieldConfig", custom)] {
            if !value.is_null() {
                let wanted = format!("Loose<Partial<{kind}.{part}>>");
                lines.push(format!("export const {part}{place}: {wanted} = {value};"));
            }
        }
    }
    lines.join("\n")
}

fn is_taken(module: &str) -> bool {
    let installed = packages::of_node("grafana", &PACKAGES);
    let folder = TempDir::new().expect("a folder");
    std::os::unix::fs::symlink(installed.join("node_modules"), folder.path().join("node_modules"))
        .expect("lead to the packages");
    fs::write(folder.path().join("dashboard.ts"), module).expect("write the module");
    let done = Command::new(packages::program("node"))
        .arg(installed.join("node_modules/typescript/bin/tsc"))
        .args(["--noEmit", "--skipLibCheck", "--strict", "--target", "es2022"])
        .args(["--module", "nodenext", "--moduleResolution", "nodenext", "dashboard.ts"])
        .current_dir(Path::new(folder.path()))
        .output()
        .expect("start the compiler");
    println!("{}", String::from_utf8_lossy(&done.stdout));
    done.status.success()
}

#[test]
fn grafana_takes_the_dashboard() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).expect("JSON");
    assert!(is_taken(&module(&dashboard)));
    for (right, wrong) in [("\"showPoints\"", "\"showPoint\""), ("\"gridPos\"", "\"gridPlace\"")] {
        assert!(DASHBOARD.contains(right));
        let broken = serde_json::from_str(&DASHBOARD.replace(right, wrong)).expect("JSON");
        assert!(!is_taken(&module(&broken)), "{wrong} is seen");
    }
}
