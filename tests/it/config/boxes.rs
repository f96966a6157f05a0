//! Several boxes in the configuration: which there are, in which order, and what is refused.

use afterbay::config::{Config, Loaded, Mistakes};
use afterbay::mode::BoxKind;
use afterbay::upstream::tangle::Lane;

use super::{ENOUGH, check_only_mistake, file, load, told};

const TWO: &str = "data_dir = \"/d\"\n[boxes.zeta]\nurl = \"http://z:1/p/\"\nkind = \"tangle\"\n\
                   lane = \"messages\"\nresult_path = \"/r/{id}\"\n\
                   [boxes.\"a:1\"]\nurl = \"http://a:1\"\nkind = \"opencode\"\n";

fn of_file(line: &[&str], text: &str) -> Result<Loaded, Mistakes> {
    load(line, [], Some(file(text).path()))
}

fn names(config: &Config) -> Vec<String> {
    let all = config.boxes.iter();
    all.map(|upstream| upstream.name.to_string()).collect()
}

#[test]
fn the_first_table_of_the_file_is_at_the_root_and_the_order_is_the_files() {
    let config = of_file(&[], TWO).unwrap().config;
    assert_eq!(names(&config), ["zeta", "a:1"]);
    let (zeta, a) = (&config.boxes[0], &config.boxes[1]);
    assert_eq!((zeta.endpoint.to_string().as_str(), zeta.kind), ("http://z:1/p", BoxKind::Tangle));
    assert_eq!((zeta.lane, &zeta.result_path), (Lane::Messages, &"/r/{id}".parse().ok()));
    assert_eq!((a.endpoint.to_string().as_str(), a.kind), ("http://a:1", BoxKind::Opencode));
    assert_eq!((a.lane, &a.result_path), (Lane::Run, &None));
    let turned = "[boxes.b]\nurl = \"http://b\"\nkind = \"tangle\"\n[boxes.a]\nkind = \"tangle\"\n\
                  url = \"http://a\"\n[boxes.c]\nurl = \"http://c\"\nkind = \"tangle\"\n";
    assert_eq!(names(&of_file(&[], turned).unwrap().config), ["b", "a", "c"]);
}

#[test]
fn the_box_of_the_flags_or_of_its_own_section_is_the_default_one_and_comes_first() {
    let config = of_file(&ENOUGH, TWO).unwrap().config;
    assert_eq!(names(&config), ["default", "zeta", "a:1"]);
    assert_eq!(config.boxes[0].endpoint.to_string(), "http://127.0.0.1:4096");
    let section = format!("{TWO}[box]\nurl = \"http://own\"\nkind = \"opencode\"\n");
    assert_eq!(names(&of_file(&[], &section).unwrap().config), ["default", "zeta", "a:1"]);
    assert_eq!(names(&of_file(&ENOUGH, "").unwrap().config), ["default"]);
    let named = "[boxes.default]\nurl = \"http://own\"\nkind = \"opencode\"\n";
    assert_eq!(names(&of_file(&[], named).unwrap().config), ["default"]);
}

#[test]
fn flags_and_variables_are_about_the_default_box_alone() {
    let line = ["--lane", "run", "--result-path", "/flag/{id}"];
    let config = of_file(&[&ENOUGH[..], &line].concat(), TWO).unwrap().config;
    assert_eq!(config.boxes[0].result_path, "/flag/{id}".parse().ok());
    assert_eq!(config.boxes[1].lane, Lane::Messages);
    assert_eq!(config.boxes[1].result_path, "/r/{id}".parse().ok());
    check_only_mistake(of_file(&line[..2], TWO), &["--lane", "no URL is given"]);
    let variables = [("HOME", "/h"), ("AFTERBAY_BOX_CREDENTIAL", "Bearer canary")];
    let strays = load(&[], variables, Some(file(TWO).path()));
    check_only_mistake(strays, &["AFTERBAY_BOX_CREDENTIAL:", "no URL is given"]);
    let variables = [("HOME", "/h"), ("AFTERBAY_BOX_CREDENTIAL_FILE", "/canary")];
    let strays = load(&[], variables, Some(file(TWO).path()));
    check_only_mistake(strays, &["AFTERBAY_BOX_CREDENTIAL_FILE:", "no URL is given"]);
}

#[test]
fn each_box_has_a_credential_of_its_own() {
    let secret = file("Bearer canary\n");
    let path = secret.path().to_str().unwrap();
    let one = "data_dir = \"/d\"\n[boxes.one]\nurl = \"http://b\"\nkind = \"opencode\"\n";
    let text = format!("{one}credential_file = \"{path}\"\n");
    let variables = [("HOME", "/h"), ("AFTERBAY_BOX_CREDENTIAL", "Bearer other")];
    let config = load(&ENOUGH, variables, Some(file(&text).path())).unwrap().config;
    let exposed = |upstream: &afterbay::config::Upstream| {
        upstream.credential.as_ref().map(|secret| secret.expose().to_owned())
    };
    assert_eq!(exposed(&config.boxes[0]).as_deref(), Some("Bearer other"));
    assert_eq!(exposed(&config.boxes[1]).as_deref(), Some("Bearer canary"));
    let config = load(&ENOUGH, variables, Some(file(one).path())).unwrap().config;
    assert_eq!(exposed(&config.boxes[1]), None);
}

#[test]
fn all_mistakes_of_all_boxes_are_told_together_each_with_its_place() {
    let text = "[boxes.one]\nurl = \"http://u:canary@b\"\ncolour = \"canary\"\n\
                [boxes.two]\nkind = \"toaster\"\ncredential = \"Bearer canary\"\n\
                [boxes.\"http://canary\"]\nurl = \"ftp://canary\"\nkind = \"tangle\"\n\
                [boxes.default]\nurl = \"http://b\"\nkind = \"tangle\"\nlane = \"fast\"\n\
                [boxes.\"x.y\"]\nurl = \"http://b\"\nkind = \"tangle\"\nlisten = \"canary\"\n\
                result_path = \"/r\"\ncredential_file = \"/does/not/exist\"\n[boxes]\nbare = 1\n";
    let mistakes = of_file(&ENOUGH, text).map(drop).unwrap_err();
    let mut lines = told(&mistakes);
    lines.sort_unstable();
    let keys = "has credential_file, kind, lane, result_path, url";
    let begin = [
        "file, boxes.(table 3).url: is neither an http:// nor",
        "file, boxes.(table 3): the name of the box must be 1 to 256 of",
        "file, boxes.bare.kind: is missing",
        "file, boxes.bare.url: is missing",
        "file, boxes.bare: a further box is a table of its own: [boxes.NAME]",
        "file, boxes.default.lane: ",
        "file, boxes.default: is the name of the box of `--box`",
        &format!("file, boxes.one.colour: there is no such key; [boxes.one] {keys}"),
        "file, boxes.one.kind: is missing",
        "file, boxes.one.url: a URL here has no user or password",
        "file, boxes.two.credential: a secret does not stand in this file; name its file in \
         boxes.two.credential_file",
        "file, boxes.two.kind: unknown box kind `toaster`",
        "file, boxes.two.url: is missing",
        "file, boxes.x.y.credential_file: the file /does/not/exist cannot be read",
        &format!("file, boxes.x.y.listen: there is no such key; [boxes.x.y] {keys}"),
        "file, boxes.x.y.result_path: ",
    ];
    for (line, begin) in lines.iter().zip(begin) {
        assert!(line.starts_with(begin), "{line:?} is not {begin:?}");
    }
    assert_eq!(lines.len(), begin.len(), "{lines:#?}");
    assert!(!format!("{mistakes} {mistakes:?}").contains("canary"), "{mistakes}");
}

#[test]
fn no_box_at_all_and_a_doubled_table_are_mistakes() {
    let missing = of_file(&[], "[boxes]\n").map(drop).unwrap_err().to_string();
    assert!(missing.contains("`box` is missing; give --box, AFTERBAY_BOX or `box.url`"));
    assert!(missing.contains("[boxes.NAME]"), "{missing}");
    let doubled = format!("{TWO}[boxes.zeta]\nurl = \"http://b\"\n");
    check_only_mistake(of_file(&ENOUGH, &doubled), &["line 10"]);
    for text in ["boxes = 3\n", "[[boxes]]\nurl = \"http://b\"\n"] {
        check_only_mistake(of_file(&ENOUGH, text), &["file, boxes:", "[boxes.NAME]"]);
    }
}

#[test]
fn a_box_that_would_be_afterbay_itself_is_refused() {
    let line = |url: &str, listen: &str, admin: &str| {
        let line = ["--box", url, "--kind", "tangle", "--listen", listen, "--admin", admin];
        load(&line, [], None)
    };
    let (free, listen) = ("127.0.0.1:0", "127.0.0.1:8788");
    for host in ["127.0.0.1", "localhost", "LOCALHOST.", "0.0.0.0", "[::1]", "[::]"] {
        let url = format!("http://{host}:8788/canary");
        for listen in [listen, "[::1]:8788"] {
            check_only_mistake(line(&url, listen, free), &["--box:", "`default`", listen]);
        }
        check_only_mistake(line(&url, free, listen), &["--box:", "`admin`", listen]);
    }
    for (url, listen) in [
        ("http://127.0.0.1:8789", listen),
        ("http://127.0.0.2:8788", listen),
        ("http://box:8788", listen),
        // The port is not known yet.
        ("http://127.0.0.1:8788", free),
    ] {
        assert!(line(url, listen, free).is_ok(), "{url} {listen}");
    }
    let table = "[boxes.one]\nurl = \"http://localhost:8788\"\nkind = \"tangle\"\n";
    check_only_mistake(of_file(&ENOUGH, table), &["file, boxes.one.url:", "`one`"]);
    // The default admin address gives way to a box that has its port.
    let (url, usual) = (format!("http://{}", afterbay::limits::ADMIN), "127.0.0.1:0");
    assert!(load(&["--box", &url, "--kind", "tangle", "--listen", usual], [], None).is_ok());
}

#[test]
fn a_door_beyond_this_machine_needs_a_credential_for_each_box() {
    let line = [&ENOUGH[..], &["--listen", "192.0.2.1:8788"]].concat();
    let variables = [("HOME", "/h"), ("AFTERBAY_BOX_CREDENTIAL", "Bearer a")];
    let one = "[boxes.one]\nurl = \"http://b\"\nkind = \"opencode\"\n";
    let loaded = load(&line, variables, Some(file(one).path()));
    check_only_mistake(loaded, &["box `one`", "boxes.one.credential_file", "--open"]);
    let open = [&line[..], &["--open"]].concat();
    assert!(load(&open, variables, Some(file(one).path())).is_ok());
    let secret = file("Bearer b");
    let guarded = format!("{one}credential_file = \"{}\"\n", secret.path().to_str().unwrap());
    assert!(load(&line, variables, Some(file(&guarded).path())).is_ok());
}

#[test]
fn a_box_at_the_public_url_is_a_mistake() {
    let line = ["--data-dir", "/d", "--kind", "tangle", "--public-url", "https://after.example/p"];
    let with = |url| load(&[&line[..], &["--box", url]].concat(), [("HOME", "/h")], None);
    for url in ["https://after.example/p", "https://AFTER.example:443/p/"] {
        check_only_mistake(with(url), &["box `default` would be afterbay itself", "public-url"]);
    }
    // A gateway may send other paths of its name to other programs.
    for url in ["https://after.example/q", "https://after.example:8443/p", "https://b.example/p"] {
        assert!(with(url).is_ok(), "{url}");
    }
}
