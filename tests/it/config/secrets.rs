//! Where a secret may come from, and that nothing shows it.

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use afterbay::config::{Credentials, Environment, Loaded, Mistakes};

use super::{ENOUGH, check_only_mistake, file, flags, load, with};

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

#[test]
fn own_tokens_come_from_a_file_and_close_the_door_that_a_box_leaves_open() {
    let tokens =
        file("# canary\n\nci canary-0123456789-0123456789\ncanary-9876543210-9876543210\n");
    let path = tokens.path().to_str().unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o640)).unwrap();
    for loaded in [
        with(&["--tokens-file", path, "--listen", "0.0.0.0:8788"], []),
        with(&["--listen", "[::]:8788"], [("AFTERBAY_TOKENS_FILE", path)]),
        load(
            &ENOUGH,
            [],
            Some(file(&format!("data_dir = \"/d\"\n[server]\ntokens_file = \"{path}\"\n")).path()),
        ),
    ] {
        let Loaded { config, warnings } = loaded.unwrap();
        assert_eq!(config.tokens.as_ref().map(Vec::len), Some(2));
        assert_eq!(warnings, [""; 0]);
        assert!(!format!("{config:?}").contains("canary"));
    }
    assert!(with(&[], []).unwrap().config.tokens.is_none());
    fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
    let warnings = with(&["--tokens-file", path], []).unwrap().warnings;
    assert!(warnings.len() == 1 && warnings[0].contains("can be read by everyone"), "{warnings:?}");
}

#[test]
fn a_wrong_file_of_tokens_is_a_mistake_that_tells_no_token_and_opens_nothing() {
    let mut shown = String::new();
    for text in ["", "# canary\n", "canary", "canary of canary-0123456789-0123456789"] {
        let wrong = file(text);
        let path = wrong.path().to_str().unwrap();
        check_told(with(&["--tokens-file", path], []), &mut shown);
        check_told(with(&["--tokens-file", path, "--listen", "0.0.0.0:8788"], []), &mut shown);
    }
    check_told(with(&["--tokens-file", "/does/not/exist"], []), &mut shown);
    assert!(shown.contains("line 1") && !shown.contains("canary"), "{shown}");
}

#[test]
fn credentials_are_sealed_only_with_a_key_and_a_key_alone_is_told() {
    let hex = "ca7a1200".repeat(8);
    let key = file(&format!("{hex}\n"));
    let path = key.path().to_str().unwrap();
    let sealed = |loaded: Result<Loaded, Mistakes>| {
        matches!(loaded.unwrap().config.credentials, Credentials::Sealed(_))
    };
    assert!(!sealed(with(&[], [])) && !sealed(with(&["--credentials", "memory"], [])));
    assert!(sealed(with(&["--credentials", "sealed"], [("AFTERBAY_CREDENTIALS_KEY", &*hex)])));
    assert!(sealed(with(&["--credentials", "sealed"], [("AFTERBAY_CREDENTIALS_KEY_FILE", path)])));
    let text =
        format!("credentials = \"sealed\"\ncredentials_key_file = \"{path}\"\ndata_dir = \"/d\"\n");
    assert!(sealed(load(&ENOUGH, [], Some(file(&text).path()))));
    let unused = with(&[], [("AFTERBAY_CREDENTIALS_KEY", &*hex)]).unwrap();
    assert!(unused.warnings.len() == 1 && unused.warnings[0].contains("not used"), "{unused:?}");
    check_only_mistake(
        with(&["--credentials", "sealed"], []),
        &["no key", "AFTERBAY_CREDENTIALS_KEY"],
    );
    check_only_mistake(with(&["--credentials", "disk"], []), &["`disk`", "`memory` nor `sealed`"]);
    let mut shown = String::new();
    for wrong in ["canary", &format!("canary{hex}"), &hex.replace('0', "canary")] {
        let line = ["--credentials", "sealed"];
        check_told(with(&line, [("AFTERBAY_CREDENTIALS_KEY", wrong)]), &mut shown);
    }
    check_told(with(&["--credentials-key", "canary"], []), &mut shown);
    write!(shown, "{:?}", with(&[], [("AFTERBAY_CREDENTIALS_KEY", &*hex)]).unwrap()).unwrap();
    assert!(!shown.contains("canary") && !shown.contains(&hex), "{shown}");
}

#[track_caller]
fn check_told(loaded: Result<Loaded, Mistakes>, shown: &mut String) {
    let mistakes = loaded.map(drop).expect_err("a mistake");
    write!(shown, "{mistakes} {mistakes:?}").unwrap();
}
