//! Where a secret may come from, and that nothing shows it.

use std::fmt::Write as _;

use afterbay::config::{Environment, Loaded, Mistakes};

use super::{ENOUGH, file, flags, load, with};

#[test]
fn a_credential_comes_from_its_variable_or_from_a_file() {
    let secret = file("Bearer canary\n");
    let path = secret.path().to_str().unwrap();
    let exposed = |loaded: Result<Loaded, Mistakes>| {
        loaded.unwrap().config.boxes[0].credential.as_ref().unwrap().expose().to_owned()
    };
    let plain = with(&[], [("AFTERBAY_BOX_CREDENTIAL", "Bearer canary")]);
    assert_eq!(exposed(plain), "Bearer canary");
    assert_eq!(exposed(with(&[], [("AFTERBAY_BOX_CREDENTIAL_FILE", path)])), "Bearer canary");
    let toml = file(&format!("data_dir = \"/d\"\n[box]\ncredential_file = \"{path}\"\n"));
    assert_eq!(exposed(load(&ENOUGH, [], Some(toml.path()))), "Bearer canary");
}

#[test]
fn no_mistake_and_no_debug_shows_a_secret() {
    let secrets = [
        file("canary-without-a-scheme"),
        file(&format!("Bearer {}", "canary".repeat(2000))),
        file("Bearer can\nary canary"),
    ];
    let mut shown = String::new();
    for secret in &secrets {
        let loaded = with(&[], [("AFTERBAY_BOX_CREDENTIAL_FILE", secret.path().to_str().unwrap())]);
        check_told(loaded, &mut shown);
    }
    let files = [
        "[box]\ncredential = \"Bearer canary\"\n",
        "[box]\ncredential_file = \"Bearer canary\n",
        "[box]\nurl = \"http://u:canary@b\"\n",
        "[box]\ncredential_file = [1, \"canary\"]\n",
    ];
    for text in files {
        check_told(load(&[], [], Some(file(text).path())), &mut shown);
    }
    let variables = [("AFTERBAY_BOX_CREDENTIAL", "canary"), ("AFTERBAY_BOX", "http://b/?t=canary")];
    check_told(load(&[], variables, None), &mut shown);
    check_told(with(&["--box-credential", "canary"], []), &mut shown);
    check_told(with(&["--box-credential=canary"], []), &mut shown);
    let both =
        [("AFTERBAY_BOX_CREDENTIAL", "Bearer canary"), ("AFTERBAY_BOX_CREDENTIAL_FILE", "x")];
    check_told(with(&[], both), &mut shown);
    let sound = [("AFTERBAY_BOX_CREDENTIAL", "Bearer canary")];
    write!(shown, "{:?}", with(&[], sound).unwrap()).unwrap();
    write!(shown, "{:?} {:?}", Environment::of(sound), flags(&["--box", "http://u:canary@b"]))
        .unwrap();
    assert!(!shown.contains("canary"), "{shown}");
}

#[track_caller]
fn check_told(loaded: Result<Loaded, Mistakes>, shown: &mut String) {
    let mistakes = loaded.map(drop).expect_err("a mistake");
    write!(shown, "{mistakes} {mistakes:?}").unwrap();
}
