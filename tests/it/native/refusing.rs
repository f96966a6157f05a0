//! What is not there, what is not allowed, and that nothing of it reaches the box.

use afterbay::http::Settings;
use afterbay::mode::Mode;

use super::super::raw::{Conn, read};
use super::super::support::play::Play;
use super::{EVENTS, MESSAGE, SESSION, TURNS, ask, ask_as, check_error, json, run};

#[tokio::test]
async fn what_is_not_there_is_ours_to_say_in_any_mode() {
    for mode in [Mode::Poll, Mode::Sse] {
        let play = Play::with(Settings { mode, ..Settings::default() }).await;
        for line in [
            "GET /afterbay",
            "GET /afterbay/",
            "GET /afterbay/v1",
            "GET /afterbay/v1/sessions/",
            "POST /afterbay/v1/nothing",
            "OPTIONS /afterbay/v1/nothing",
            "GET /afterbay/v1/../v1/sessions",
            "GET /afterbay/v1/boxes/default",
        ] {
            let answer = ask(&play, line, "Accept: text/event-stream\r\n", "").await;
            check_error(&answer, 404, "ROUTE_NOT_FOUND");
        }
        assert!(play.raw_box.is_untouched().await);
    }
}

#[tokio::test]
async fn a_wrong_method_is_told_which_there_are() {
    let play = Play::new().await;
    for (line, allow) in [
        ("POST /afterbay/v1/sessions".to_owned(), "GET, HEAD, OPTIONS"),
        (format!("DELETE {SESSION}"), "GET, HEAD, OPTIONS"),
        (format!("GET {TURNS}"), "POST, OPTIONS"),
        ("PATCH /afterbay/v1/boxes/default/turns/e-1/cancel".to_owned(), "POST, OPTIONS"),
    ] {
        let answer = ask(&play, &line, "", "").await;
        check_error(&answer, 405, "METHOD_NOT_ALLOWED");
        assert_eq!(answer.head.one("allow"), Some(allow), "{line}");
    }
    let options = ask(&play, &format!("OPTIONS {TURNS}"), "", "").await;
    assert_eq!((options.head.status(), options.head.one("allow")), (204, None));
    assert!(play.raw_box.is_untouched().await);
}

#[tokio::test]
async fn a_box_a_session_or_a_turn_that_is_unknown_is_named() {
    let play = Play::new().await;
    for (target, code, kind, id) in [
        ("GET /afterbay/v1/boxes/away/sessions/ses", "BOX_UNKNOWN", "box", "away"),
        ("GET /afterbay/v1/boxes/away/sessions/ses/events", "BOX_UNKNOWN", "box", "away"),
        ("GET /afterbay/v1/boxes/away/turns/e-1", "BOX_UNKNOWN", "box", "away"),
        ("POST /afterbay/v1/boxes/away/turns/e-1/cancel", "BOX_UNKNOWN", "box", "away"),
        ("POST /afterbay/v1/boxes/away/sessions/ses/turns", "BOX_UNKNOWN", "box", "away"),
        ("GET /afterbay/v1/boxes/default/sessions/ses", "SESSION_NOT_FOUND", "session", "ses"),
        (
            "GET /afterbay/v1/boxes/default/sessions/a%3Ab/events",
            "SESSION_NOT_FOUND",
            "session",
            "a:b",
        ),
        ("GET /afterbay/v1/boxes/default/turns/e-1", "EXECUTION_NOT_FOUND", "execution", "e-1"),
    ] {
        let fields = "Content-Type: application/json\r\n";
        let answer = ask(&play, target, fields, "").await;
        check_error(&answer, 404, code);
        let told = (answer.json("/resourceType"), answer.json("/resourceId"));
        assert_eq!((told.0.as_str(), told.1.as_str()), (kind, id), "{target}");
    }
    let invalid = ask(&play, "GET /afterbay/v1/boxes/default/sessions/a%20b", "", "").await;
    check_error(&invalid, 400, "INVALID_ID");
    assert!(play.raw_box.is_untouched().await);
}

#[tokio::test]
async fn a_wrong_credential_learns_nothing_by_reading() {
    let play = Play::new().await;
    run(&play, "X-Execution-ID: e-1\r\n", MESSAGE).await;
    let turn = "/afterbay/v1/boxes/default/turns/e-1";
    for target in
        [SESSION, EVENTS, turn, &format!("{EVENTS}?after=99"), &format!("{EVENTS}?after=x")]
    {
        for fields in ["", super::AS_JSON] {
            for (who, status, code) in [("Bearer bad", 403, "FORBIDDEN"), ("", 401, "UNAUTHORIZED")]
            {
                let answer = ask_as(&play, who, &format!("GET {target}"), fields, "").await;
                check_error(&answer, status, code);
                assert!(!answer.body.contains("box-1") && !answer.body.contains("finished"));
            }
        }
        let bare = ask_as(&play, "Bearer bad", &format!("HEAD {target}"), "", "").await;
        assert_eq!((bare.head.status(), bare.head.one("x-session-id")), (403, None));
    }
    let listed = ask_as(&play, "Bearer bad", "GET /afterbay/v1/sessions", "", "").await;
    assert_eq!(json(&listed), serde_json::json!({"sessions": []}));
}

#[tokio::test]
async fn two_credentials_are_none_and_pages_of_other_sites_are_kept_out() {
    let play = Play::new().await;
    for target in ["/afterbay/v1/sessions", SESSION] {
        let fields = "Authorization: Bearer b\r\n";
        let answer = ask(&play, &format!("GET {target}"), fields, "").await;
        check_error(&answer, 400, "INVALID_CREDENTIAL");
        for (fields, status, code) in [
            ("Host: evil.example\r\n", 421, "HOST_NOT_ALLOWED"),
            ("Host: a\r\nOrigin: http://evil.example\r\n", 403, "ORIGIN_NOT_ALLOWED"),
        ] {
            let mut client = Conn::open(play.hall.addr).await;
            let head = format!("GET {target} HTTP/1.1\r\nConnection: close\r\n{fields}\r\n");
            client.send(head).await;
            check_error(&read(client).await, status, code);
        }
    }
}
