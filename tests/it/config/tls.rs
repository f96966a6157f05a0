//! The files of TLS: which are taken, and what is said of others.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::TempDir;

use super::super::support::certificates::Authority;
use super::{check_only_mistake, file, load, told, with};

/// A folder with an authority, a chain and its key.
fn files() -> (TempDir, [String; 3]) {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let (chain, key) = authority.vouches_for(&["bay.example"]).files_in(folder.path());
    let paths = [authority.file_in(folder.path()), chain, key];
    (folder, paths.map(|path| path.to_str().unwrap().to_owned()))
}

#[test]
fn https_boxes_and_a_file_of_authorities_are_taken() {
    let (_folder, [authority, ..]) = files();
    let line = ["--box", "https://box.example/p/", "--kind", "tangle", "--ca-file", &authority];
    let config = load(&line, [], None).unwrap().config;
    assert_eq!(config.boxes[0].endpoint.to_string(), "https://box.example/p");
    assert_ne!(config.authorities, afterbay::upstream::trust::Authorities::default());
    let table = file(&format!("[tls]\nca_file = \"{authority}\"\n"));
    let line = ["--box", "https://box.example", "--kind", "tangle"];
    assert_eq!(load(&line, [], Some(table.path())).unwrap().config.authorities, config.authorities);
}

#[test]
fn a_file_that_holds_no_authorities_is_told_with_its_place() {
    let broken = file("-----BEGIN CERTIFICATE-----\nY2FuYXJ5\n-----END CERTIFICATE-----\n");
    for (path, what) in [
        (Path::new("/nowhere"), "cannot be read"),
        (file("canary").path(), "holds no certificate"),
        (broken.path(), "certificate 1"),
    ] {
        let path = path.to_str().unwrap();
        check_only_mistake(with(&["--ca-file", path], []), &["--ca-file:", path, what]);
        let variables = [("HOME", "/h"), ("AFTERBAY_CA_FILE", path)];
        check_only_mistake(with(&[], variables), &["AFTERBAY_CA_FILE:", what]);
    }
}

#[test]
fn a_chain_and_its_key_are_taken_and_shown_nowhere() {
    let (_folder, [_, chain, key]) = files();
    let loaded = with(&["--tls-cert", &chain, "--tls-key", &key], []).unwrap();
    assert!(loaded.config.identity.is_some() && loaded.warnings.is_empty());
    let secret = fs::read_to_string(&key).unwrap();
    let secret = secret.lines().nth(1).unwrap();
    let shown = format!("{:?}", loaded.config);
    assert!(shown.contains("Identity") && !shown.contains(secret));
    assert!(with(&[], []).unwrap().config.identity.is_none());
}

#[test]
fn one_without_the_other_is_a_mistake() {
    let (_folder, [_, chain, key]) = files();
    let only = |flag: &str, path: &str| with(&[flag, path], []);
    check_only_mistake(only("--tls-cert", &chain), &["--tls-cert:", "give `tls-key`"]);
    check_only_mistake(only("--tls-key", &key), &["--tls-key:", "give `tls-cert`"]);
}

#[test]
fn files_that_make_no_identity_are_told_without_what_they_hold() {
    let (_folder, [authority, chain, key]) = files();
    let (_other, [.., other]) = files();
    let none = file("-----BEGIN CERTIFICATE-----\nY2FuYXJ5\n-----END CERTIFICATE-----\n");
    let none = none.path().to_str().unwrap();
    let unknown = file("-----BEGIN PRIVATE KEY-----\nY2FuYXJ5\n-----END PRIVATE KEY-----\n");
    let unknown = unknown.path().to_str().unwrap();
    for (chain, key, parts) in [
        (chain.as_str(), other.as_str(), ["--tls-key:", "is not the key of the certificate"]),
        (&authority, &key, ["--tls-key:", "is not the key of the certificate"]),
        (&key, &key, ["--tls-cert:", "holds no certificate"]),
        (&chain, &chain, ["--tls-key:", "holds no private key"]),
        (&chain, "/nowhere", ["--tls-key:", "cannot be read"]),
        (none, &key, ["--tls-key:", "should be its certificate is none"]),
        (&chain, unknown, ["--tls-key:", "of a kind that is not known"]),
    ] {
        let loaded = with(&["--tls-cert", chain, "--tls-key", key], []);
        let lines = told(loaded.as_ref().map(|_| ()).expect_err("a mistake"));
        assert!(!lines.concat().contains("canary") && !lines.concat().contains("Y2FuYXJ5"));
        check_only_mistake(loaded, &parts);
    }
}

#[test]
fn a_key_that_others_can_read_is_warned_of() {
    let (_folder, [_, chain, key]) = files();
    for (mode, warnings) in [(0o600, 0), (0o400, 0), (0o640, 1), (0o604, 1), (0o644, 1)] {
        fs::set_permissions(&key, Permissions::from_mode(mode)).unwrap();
        let loaded = with(&["--tls-cert", &chain, "--tls-key", &key], []).unwrap();
        assert_eq!(loaded.warnings.len(), warnings, "{mode:o} {:?}", loaded.warnings);
        let told = loaded.warnings.iter().all(|told| told.contains(&key));
        assert!(told, "{:?}", loaded.warnings);
    }
}
