//! The admin door of the built program: who is let in, and what operators see and do.

mod page;
mod stage;
mod timeline;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::raw::Answer;
use super::support::daemon::Daemon;
use super::support::rig::within;
use super::support::scripted_box::Route;
use stage::{MEANT, Stage};

const CLOSED: [&str; 9] = [
    "GET /page/nothing.js",
    "GET /nothing",
    "GET /admin/status",
    "GET /admin/log-level",
    "GET /admin/sessions",
    "GET /admin/sessions/s/events",
    "GET /admin/sessions/s/turns/e-1/timeline",
    "POST /admin/sessions/s/turns/e-1/cancel",
    "POST /shutdown",
];

#[track_caller]
fn check(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.head.status(), &*answer.json("/error/code")), (status, code), "{answer:?}");
    assert_eq!(answer.head.one("x-afterbay-error"), Some(code));
}

#[tokio::test]
async fn probes_and_scrapers_need_no_token_and_everything_else_does() {
    let stage = Stage::open().await;
    for line in ["GET /livez", "GET /readyz", "GET /metrics", "HEAD /metrics"] {
        // Under whatever name they know it.
        let answer = stage.ask(line, "Host: afterbay.metrics.example\r\n", "").await;
        assert_eq!(answer.head.status(), 200, "{line}");
    }
    let (token, wrong) = (stage.token(), format!("Authorization: Bearer {}\r\n", "0".repeat(64)));
    let half = format!("{}\r\n", &token[..token.len() - 4]);
    for line in CLOSED {
        for fields in ["", wrong.as_str(), &half, "X-Afterbay-Token: x\r\n"] {
            let answer = stage.ask(line, &format!("{fields}{MEANT}"), "").await;
            check(&answer, 401, "TOKEN_REQUIRED");
            assert_eq!(answer.head.one("www-authenticate"), Some("Bearer"));
        }
    }
    for (line, status) in [("GET /nothing", 404), ("GET /page/", 404), ("GET /admin/status", 200)] {
        assert_eq!(stage.ask(line, &token, "").await.head.status(), status, "{line}");
    }
    check(
        &stage.ask("DELETE /admin/status", &format!("{token}{MEANT}"), "").await,
        405,
        "METHOD_NOT_ALLOWED",
    );
}

#[tokio::test]
async fn a_change_must_say_that_it_is_meant_and_no_foreign_page_gets_so_far() {
    let stage = Stage::open().await;
    let token = stage.token();
    let level = r#"{"level":"debug"}"#;
    for fields in ["", "X-Afterbay-Admin: 0\r\n", "X-Afterbay-Admin: yes\r\n"] {
        let fields = format!("{token}{fields}");
        check(
            &stage.ask("PUT /admin/log-level", &fields, level).await,
            403,
            "ADMIN_HEADER_REQUIRED",
        );
        check(&stage.ask("POST /shutdown", &fields, "").await, 403, "ADMIN_HEADER_REQUIRED");
    }
    for page in ["Origin: https://evil.example\r\n", "Sec-Fetch-Site: cross-site\r\n"] {
        check(
            &stage.ask("POST /shutdown", &format!("{page}{MEANT}"), "").await,
            403,
            "ORIGIN_NOT_ALLOWED",
        );
    }
    // What a browser asks before such a header is told nothing that lets it go on.
    let asks = "Origin: https://evil.example\r\nAccess-Control-Request-Method: PUT\r\n\
                Access-Control-Request-Headers: authorization,x-afterbay-admin\r\n";
    let answer = stage.ask("OPTIONS /admin/log-level", asks, "").await;
    check(&answer, 403, "ORIGIN_NOT_ALLOWED");
    assert!(answer.head.names().iter().all(|name| !name.starts_with("access-control")));
    // A page that has its own name resolve to this address.
    let rebound = format!("Host: evil.example\r\n{token}");
    check(&stage.ask("GET /admin/status", &rebound, "").await, 421, "HOST_NOT_ALLOWED");
    let (status, told) = stage.operate("GET /admin/log-level", "").await;
    assert_eq!((status, told), (200, json!({"level": "info"})), "nothing was changed");
}

#[tokio::test]
async fn the_token_is_made_once_and_only_its_owner_reads_it() {
    let stage = Stage::open().await;
    let token = stage.token();
    let mode = fs::metadata(stage.file("admin.token")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    stage.daemon.signal(Signal::TERM);
    let mut again = stage.again().await;
    assert_eq!(again.token(), token, "it outlives a restart");
    assert_eq!(again.operate("GET /admin/status", "").await.0, 200);
    let line = again.daemon.text_line().await;
    let path = again.file("admin.token");
    assert_eq!(
        line,
        format!("admin token in {}", path.display()),
        "who reads a pipe is told where"
    );
    again.daemon.signal(Signal::TERM);
    let (digits, lines) =
        (token.trim_start_matches("Authorization: Bearer ").trim_end(), again.lines());
    assert!(digits.len() == 64 && !lines.contains(digits), "{lines}");
}

#[tokio::test]
async fn a_damaged_token_is_no_start() {
    let stage = Stage::open().await;
    fs::write(stage.file("admin.token"), "short\n").unwrap();
    stage.daemon.signal(Signal::KILL);
    let data = stage.file("");
    let mut daemon = stage.daemon;
    daemon.exit().await;
    let line =
        ["serve", "--kind", "tangle", "--box", "http://127.0.0.1:9", "--listen", "127.0.0.1:0"];
    let line =
        [&line[..], &["--admin", "127.0.0.1:0", "--data-dir", data.to_str().unwrap()]].concat();
    let ended = super::support::daemon::Daemon::start(&line, &[]).ended().await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert!(
        ended.stderr.contains("admin.token") && !ended.stderr.contains("short"),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn the_log_level_changes_while_it_runs_and_bad_ones_are_told() {
    let stage = Stage::open().await;
    let moves = "turn moves";
    stage.turn("s", "e-1").await;
    assert!(!stage.lines().contains(moves), "that is a line of debug");
    let told = stage.operate("PUT /admin/log-level", r#"{"level":"debug"}"#).await;
    assert_eq!(told, (200, json!({"level": "debug"})));
    stage.turn("t", "e-2").await;
    assert!(stage.lines().contains(moves), "{}", stage.lines());
    for (body, code) in [
        (r#"{"level":"loud"}"#, "INVALID_LOG_LEVEL"),
        (r#"{"level":"DEBUG"}"#, "INVALID_LOG_LEVEL"),
        (r#"{"level":3}"#, "INVALID_LOG_LEVEL"),
        (r"{}", "INVALID_LOG_LEVEL"),
        (r#"["debug"#, "INVALID_JSON"),
        ("", "INVALID_JSON"),
    ] {
        let (status, told) = stage.operate("PUT /admin/log-level", body).await;
        assert_eq!((status, &told["error"]["code"]), (400, &json!(code)), "{body}");
    }
    let huge = format!(r#"{{"level":"{}"}}"#, "x".repeat(5000));
    assert_eq!(stage.operate("PUT /admin/log-level", &huge).await.0, 413);
    assert_eq!(stage.operate("GET /admin/log-level", "").await.1, json!({"level": "debug"}));
    let trace = stage.operate("PUT /admin/log-level", r#"{"level":"trace"}"#).await;
    assert_eq!(trace.0, 200);
    stage.turn("u", "e-3").await;
    let (token, lines) = (stage.token(), stage.lines());
    let digits = token.trim_start_matches("Authorization: Bearer ").trim_end();
    assert!(!lines.contains(digits) && !lines.contains("Bearer owner"), "capped libraries stay so");
}

#[tokio::test]
async fn sessions_are_listed_found_and_shown_with_their_turns() {
    let stage = Stage::open().await;
    for (session, execution) in [("one", "e-1"), ("two", "e-2"), ("three", "e-3")] {
        stage.turn(session, execution).await;
    }
    let (status, all) = stage.operate("GET /admin/sessions", "").await;
    let sessions = all["sessions"].as_array().expect("a list");
    assert_eq!((status, sessions.len(), all.get("nextPage")), (200, 3, None));
    let newest = &sessions[0]["newestTurn"];
    assert_eq!(
        (&newest["executionId"], &newest["box"], &newest["mode"]),
        (&json!("e-3"), &json!("default"), &json!("poll"))
    );
    assert!(newest["ageMs"].is_u64() && newest["acceptedAtMs"].as_u64() > Some(1_600_000_000_000));
    let ids = |page: &Value| -> Vec<String> {
        let sessions = page["sessions"].as_array().expect("a list").iter();
        sessions
            .map(|session| session["newestTurn"]["executionId"].as_str().expect("an id").to_owned())
            .collect()
    };
    let (_, page) = stage.operate("GET /admin/sessions?limit=2", "").await;
    assert_eq!(ids(&page), ["e-3", "e-2"]);
    let next = page["nextPage"].as_str().expect("more");
    let (_, page) = stage.operate(&format!("GET /admin/sessions?limit=2&page={next}"), "").await;
    assert_eq!((ids(&page), page.get("nextPage")), (vec!["e-1".to_owned()], None));
    for (query, expected) in [
        ("search=two", &["e-2"][..]),
        ("search=e-1", &["e-1"]),
        ("search=nowhere", &[]),
        ("state=idle", &[]),
        ("state=busy&box=default", &["e-3", "e-2", "e-1"]),
        ("box=other", &[]),
        ("outcome=failed", &[]),
    ] {
        let (_, page) = stage.operate(&format!("GET /admin/sessions?{query}"), "").await;
        assert_eq!(ids(&page), expected, "{query}");
    }
    for query in
        ["state=odd", "outcome=odd", "limit=0", "page=x", &format!("search={}", "x".repeat(257))]
    {
        let (status, told) = stage.operate(&format!("GET /admin/sessions?{query}"), "").await;
        assert_eq!((status, &told["error"]["code"]), (400, &json!("INVALID_QUERY")), "{query}");
    }
    let (status, one) = stage.operate("GET /admin/sessions/two", "").await;
    assert_eq!(
        (status, &one["state"], one["turns"].as_array().map(Vec::len)),
        (200, &json!("busy"), Some(1))
    );
    let key = one["key"].as_str().expect("a key");
    assert!(
        one["bytes"].as_u64() > Some(0)
            && one["names"].as_array().is_some_and(|names| names.contains(&json!("two")))
    );
    assert_eq!(stage.operate(&format!("GET /admin/sessions/{key}?box=default"), "").await.0, 200);
    let (status, told) = stage.operate("GET /admin/sessions/none", "").await;
    assert_eq!((status, &told["error"]["code"]), (404, &json!("SESSION_NOT_FOUND")));
    let (_, told) = stage.operate("GET /admin/status", "").await;
    assert_eq!(
        (&told["sessions"], &told["running"], &told["readiness"]["ready"]),
        (&json!(3), &json!(3), &json!(true))
    );
    assert_eq!(told["clients"], json!(format!("http://{}", stage.clients)));
}

#[tokio::test]
async fn an_operator_stops_a_turn_with_the_turns_own_credential() {
    let stage = Stage::open().await;
    stage.turn("s", "e-1").await;
    let line = "POST /admin/sessions/s/turns/e-1/cancel";
    let (status, told) = stage.operate(line, "").await;
    assert_eq!((status, &told["executionId"]), (202, &json!("e-1")), "{told}");
    let events = "/admin/sessions/s/events?until=idle";
    let mut stream = stage.open_stream(events, &stage.token()).await;
    within("the verdict", stream.read_to("event: done")).await;
    let aborts = stage.scripted.seen(Route::Abort);
    assert!(
        !aborts.is_empty() && aborts[0].headers["authorization"] == "Bearer owner",
        "{aborts:?}"
    );
    let over = async {
        loop {
            let (status, told) = stage.operate(line, "").await;
            if status == 200 {
                return told;
            }
        }
    };
    let told = within("it is over", over).await;
    assert_eq!(
        (&told["outcome"], &told["state"], &told["code"]),
        (&json!("cancelled"), &json!("finished"), &json!("CANCELLED"))
    );
    assert!(
        told["finishedAtMs"].is_u64()
            && told["dispatchedAtMs"].is_u64()
            && told.get("quietMs").is_none()
    );
    let (status, told) = stage.operate("POST /admin/sessions/s/turns/none/cancel", "").await;
    assert_eq!((status, &told["error"]["code"]), (404, &json!("EXECUTION_NOT_FOUND")));
}

#[tokio::test]
async fn events_are_read_after_a_cursor_with_the_token_or_a_ticket() {
    let stage = Stage::open().await;
    stage.turn("s", "e-1").await;
    let events = "/admin/sessions/s/events";
    let mut first = stage.open_stream(events, &stage.token()).await;
    within("an event", first.read_to("id: 1\n")).await;
    let after = format!("{}Last-Event-ID: 1\r\n", stage.token());
    let mut second = stage.open_stream(events, &after).await;
    let seen = within("the next one", second.read_to("id: 2\n")).await;
    assert!(!seen.contains("id: 1\n"), "{seen}");
    let (status, ticket) = stage.operate("POST /admin/sessions/s/ticket", "").await;
    let target = ticket["events"].as_str().expect("a target");
    assert!(status == 200 && ticket["expiresAtMs"].is_u64());
    let mut page = stage.open_stream(target, "Sec-Fetch-Site: same-origin\r\n").await;
    within("an event", page.read_to("id: 1\n")).await;
    // It opens that, and nothing else.
    let (path, query) = target.split_once('?').expect("a query");
    for line in [
        format!("GET {events}?{query}"),
        format!("GET {}?{query}", path.trim_end_matches("/events")),
        format!("GET /admin/sessions?{query}"),
        format!("POST /shutdown?{query}"),
        format!("GET {path}?{query}0"),
    ] {
        check(&stage.ask(&line, MEANT, "").await, 401, "TOKEN_REQUIRED");
    }
    for (cursor, status, code) in [("99", 409, "CURSOR_BEYOND_TAIL"), ("x", 400, "INVALID_CURSOR")]
    {
        let fields = format!("{}Last-Event-ID: {cursor}\r\n", stage.token());
        check(&stage.ask(&format!("GET {events}"), &fields, "").await, status, code);
    }
}

#[tokio::test]
async fn a_shutdown_ends_it_as_a_signal_does_and_the_turn_goes_on_after() {
    let stage = Stage::open().await;
    stage.turn("s", "e-1").await;
    assert!(stage.file("addresses.json").exists());
    let (status, told) = stage.operate("POST /shutdown", "").await;
    assert_eq!((status, told), (202, json!({"draining": true})));
    let mut stage = stage;
    assert_eq!(stage.daemon.exit().await.code(), Some(0));
    assert!(
        stage.lines().contains("an operator asks to stop") && stage.lines().contains("stopped")
    );
    assert!(!stage.file("addresses.json").exists(), "nobody serves");
    let again = stage.again().await;
    let (_, told) = again.operate("GET /admin/sessions/s", "").await;
    assert_eq!((&told["state"], &told["turns"][0]["executionId"]), (&json!("busy"), &json!("e-1")));
}

#[tokio::test]
async fn without_an_admin_address_nobody_listens_and_no_line_tells_of_it() {
    let stage = Stage::with(&["--admin", "off"]).await;
    let told: Value =
        serde_json::from_slice(&fs::read(stage.file("addresses.json")).unwrap()).unwrap();
    assert_eq!(told, json!({"clients": format!("http://{}", stage.clients)}));
    stage.daemon.signal(Signal::TERM);
    let ended = stage.daemon.ended().await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""), "one line, which was read");
}

/// As on a full disk: whoever waits for their events needs no file that says where they are.
#[tokio::test]
async fn a_folder_that_takes_no_addresses_is_served_all_the_same() {
    let stage = Stage::open().await;
    stage.daemon.signal(Signal::KILL);
    let path = stage.file("addresses.json");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let again = stage.again().await;
    assert_eq!(again.operate("GET /admin/status", "").await.0, 200);
    // A health check finds it by the address that was chosen for it, if one was.
    let folder = again.file("");
    let health = |admin: &str| {
        let line = ["health", "--data-dir", folder.to_str().expect("UTF-8")];
        let chosen = [("AFTERBAY_ADMIN", admin)];
        Daemon::start(&line, if admin.is_empty() { &[] } else { &chosen })
    };
    let chosen = health(&again.operators.to_string()).ended().await;
    assert_eq!((chosen.code, chosen.stdout.as_str()), (Some(0), "healthy\n"), "{chosen:?}");
    for none in ["", "127.0.0.1:0", "off"] {
        assert_eq!(health(none).ended().await.code, Some(1), "{none}");
    }
    again.daemon.signal(Signal::TERM);
    let lines = again.lines();
    assert_eq!(again.daemon.ended().await.code, Some(0), "{lines}");
    assert!(lines.contains("addresses.json"), "{lines}");
}
