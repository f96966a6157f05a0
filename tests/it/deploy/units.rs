//! The systemd units, as systemd itself reads them. Where `systemd-analyze` is missing the test says so
//! and does nothing.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const PROGRAM: &str = env!("CARGO_BIN_EXE_afterbay");
const UNITS: [&str; 3] = ["afterbay.service", "afterbay.socket", "afterbay-admin.socket"];
/// Of ten, the lower the better. systemd calls everything below 2 well protected; most of what is left
/// is that it has the network.
const EXPOSURE: f64 = 1.2;

/// The text of a unit, with the program that was built in the place of the installed one.
fn unit(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name);
    let text = fs::read_to_string(path).unwrap();
    text.replace("/usr/local/bin/afterbay", PROGRAM)
}

fn analyze(arguments: &[&str], folder: &Path) -> Option<Output> {
    let analyzed = Command::new("systemd-analyze").args(arguments).current_dir(folder).output();
    if analyzed.is_err() {
        println!("systemd-analyze is missing; the units are not looked at");
    }
    analyzed.ok()
}

#[test]
fn systemd_understands_every_line_of_the_units() {
    let folder = tempfile::tempdir().unwrap();
    let verify = |units: &[(&str, String)]| {
        for (name, text) in units {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let paths = UNITS.map(|name| format!("./{name}"));
        let line = [&["verify", "--man=no"][..], &paths.each_ref().map(String::as_str)].concat();
        let seen = analyze(&line, folder.path())?;
        let said = String::from_utf8_lossy(&seen.stderr).into_owned();
        Some((seen.status.success(), said.lines().filter(|it| it.contains("afterbay")).count()))
    };
    let units = UNITS.map(|name| (name, unit(name)));
    let Some(seen) = verify(&units) else { return };
    assert_eq!(seen, (true, 0), "a complaint of a unit");
    let broken = unit(UNITS[0]).replace("ProtectSystem=strict", "ProtectSytem=strict");
    let seen = verify(&[(UNITS[0], broken)]);
    assert!(seen.is_some_and(|(_, complaints)| complaints > 0), "a misspelt line is seen");
}

#[test]
fn the_service_is_hardly_exposed() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(UNITS[0]), unit(UNITS[0])).unwrap();
    let path = format!("./{}", UNITS[0]);
    let line = ["security", "--offline=true", "--no-pager", &path];
    let Some(seen) = analyze(&line, folder.path()) else { return };
    let said = String::from_utf8_lossy(&seen.stdout);
    let level = said
        .lines()
        .find_map(|line| line.split_once("Overall exposure level for ")?.1.split_once(": "));
    let level = level.and_then(|(_, level)| level.split(' ').next()?.parse::<f64>().ok());
    let level = level.unwrap_or_else(|| panic!("no level in {said}"));
    println!("exposure {level}");
    assert!(level <= EXPOSURE, "{said}");
}
