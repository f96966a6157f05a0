//! The files of `deploy/` for containers, Kubernetes and Prometheus, each judged by a validator of its
//! format; and each validator is shown a broken one, so that one that sees nothing is a failure.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::packages;

/// With the schemas of Kubernetes and of compose files in them.
const VALIDATORS: [&str; 2] = ["kubernetes-validate==1.32.0", "check-jsonschema==0.33.3"];

fn text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name);
    fs::read_to_string(path).expect("a file of deploy")
}

/// Whether `program` takes `text`, which it finds in a file behind `arguments`.
fn takes(program: &Path, arguments: &[&str], text: &str) -> bool {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("file.yaml");
    fs::write(&file, text).expect("write a file");
    // What a rule file may hold is another test's business.
    fs::write(folder.path().join("alerts.yml"), "groups: []\n").expect("write a file");
    let done = Command::new(program).args(arguments).arg(file).output().expect("start a validator");
    println!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    done.status.success()
}

fn validator(name: &str) -> PathBuf {
    packages::environment("validators", &VALIDATORS).join(name)
}

#[test]
fn kubernetes_takes_the_sidecar() {
    let (program, text) = (validator("kubernetes-validate"), text("kubernetes/sidecar.yaml"));
    let line = ["--strict", "-k", "1.32"];
    assert!(takes(&program, &line, &text));
    let misspelt = text.replace("readinessProbe:", "readynessProbe:");
    assert!(!takes(&program, &line, &misspelt), "a misspelt field is seen");
    // What the schema says nothing of: that it is a native sidecar, which outlasts the others.
    assert!(text.contains("restartPolicy: Always") && !text.contains("preStop:"), "{text}");
}

#[test]
fn compose_takes_its_file() {
    let (program, text) = (validator("check-jsonschema"), text("compose.yaml"));
    let line = ["--builtin-schema", "vendor.compose-spec"];
    assert!(takes(&program, &line, &text));
    let misspelt = text.replace("read_only:", "readonly:");
    assert!(!takes(&program, &line, &misspelt), "a misspelt field is seen");
}

#[test]
fn prometheus_takes_its_configuration() {
    let Some(program) = packages::found("promtool") else {
        println!("promtool is missing; the configuration is not looked at");
        return;
    };
    let text = text("prometheus/prometheus.yml");
    assert!(takes(&program, &["check", "config"], &text));
    let misspelt = text.replace("scrape_configs:", "scrape_config:");
    assert!(!takes(&program, &["check", "config"], &misspelt), "a misspelt key is seen");
}
